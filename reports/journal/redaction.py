"""Redact API keys in whatever a target says, in the encodings that a key may come back in.

Text of a target is redacted where it comes in, and every line once more where it is written: a
target may echo a key in a header, in an error message or percent-encoded, and a run's directory
must be safe to pass on at any time.

Keys of fewer than `SHORT` characters are replaced as whole words only. In a written line only keys
of `LEAST_IN_LINES` characters are looked for: shorter ones could be names of trueup's own.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, Self
from urllib.parse import quote

import msgspec

from trueup.reports.results import Json
from trueup.reports.transport.known_secrets import known_secrets

__all__ = ["STRUCK", "Redactor", "redactor_of"]

STRUCK: Final = "[key]"
"""Replaces a redacted key."""
SHORT: Final = 8
"""Characters below which a key is replaced as a whole word only."""
LEAST_IN_LINES: Final = 12
"""Characters of a key from which written lines are searched for it; no name of a record's kind, and
few of its fields, are that long."""
_MARKS: Final = ("%", "\\u00", "\\x", "&#")
"""What begins an encoded character."""
_JSON_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')


class Redactor:
    """Replaces the keys of one target by `[key]`: plain, percent-encoded, as base64 or hex, and as
    escapes of JSON, Python and HTML. Tokens that are fetched while it is used are among the keys.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)
        self._added = known_secrets()
        self._look_for((*self._secrets, *self._added))

    def _now(self) -> Self:
        """Return this redactor, which from now on redacts what was added meanwhile too."""
        if self._added is not known_secrets():
            self._added = known_secrets()
            self._look_for((*self._secrets, *self._added))
        return self

    def _look_for(self, secrets: tuple[str, ...]) -> None:
        known = sorted({secret for secret in secrets if secret}, key=lambda one: (-len(one), one))
        long = [secret for secret in known if len(secret) >= SHORT]
        short = [secret for secret in known if len(secret) < SHORT]
        forms = {form for secret in long for form in _forms(secret)}
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        self._bytes = tuple(form.encode() for form in self._forms)
        self._encoded = re.compile("|".join(map(_any_encoding, long))) if long else None
        self._in_lines = (
            self
            if all(len(secret) >= LEAST_IN_LINES for secret in known)
            else Redactor(secret for secret in self._secrets if len(secret) >= LEAST_IN_LINES)
        )
        words = "|".join(map(re.escape, short))
        self._words = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])") if short else None
        self._numbers = frozenset(secret for secret in long if secret.isdigit())

    def text(self, text: str) -> str:
        """Return a target's text with the keys replaced."""
        text = self._now()._long(text)
        return text if self._words is None else self._words.sub(STRUCK, text)

    def value(self, value: Json) -> Json:
        """Return a JSON value of a target with the keys replaced, in strings and names of fields.

        A number of `SHORT` digits or more that is a key becomes a string.
        """
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.value(each) for each in value]
            case dict():
                return {self.text(name): self.value(each) for name, each in value.items()}
            case bool() | None:
                return value
            case int() if self._numbers and _digits(value) in self._numbers:
                return STRUCK
            case _:
                return value

    def may_touch(self, data: bytes) -> bool:
        """Return whether bytes may hold a key; before they are decoded."""
        return (
            self._now()._words is not None
            or b"\\" in data
            or b"%" in data
            or b"&#" in data
            or any(form in data for form in self._bytes)
        )

    def line(self, data: bytes) -> bytes:
        """Return one line of JSON with the keys replaced within its strings, so that it stays JSON.

        Keys below `LEAST_IN_LINES` characters are left: they were replaced where the text came in.
        """
        found = self._now()._in_lines
        encoded = found._encoded is not None and any(mark.encode() in data for mark in _MARKS)
        if not encoded and not any(form in data for form in found._bytes):
            return data
        return _JSON_STRING.sub(lambda text: found._string(text[0]), data)

    def file(self, data: bytes) -> bytes:
        """Return the content of a text file with the keys of `LEAST_IN_LINES` replaced."""
        # Latin-1 keeps every byte; keys are ASCII.
        return self._now()._in_lines._long(data.decode("latin-1")).encode("latin-1")

    def _string(self, data: bytes) -> bytes:
        """Return one JSON string, quotes included, with the keys replaced in what it says."""
        said = msgspec.json.decode(data, type=str)
        struck = self._long(said)
        return data if struck == said else msgspec.json.encode(struck)

    def _long(self, text: str) -> str:
        """Return a text with the keys of `SHORT` characters and more replaced."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, STRUCK)
        if self._encoded is not None and any(mark in text for mark in _MARKS):
            text = self._encoded.sub(STRUCK, text)
        return text


@lru_cache(maxsize=64)
def redactor_of(secrets: tuple[str, ...]) -> Redactor:
    """Return the redactor of some secrets; made once."""
    return Redactor(secrets)


def _digits(value: int) -> str:
    """Return a number's digits; empty for one with more than any key has."""
    return str(value) if abs(value) < 10**100 else ""


def _forms(secret: str) -> Iterator[str]:
    """Yield the forms of a secret that are searched for literally."""
    plain = secret.encode()
    yield secret
    yield secret.replace("\\", "\\\\").replace('"', '\\"')
    yield quote(secret, safe="")
    yield html.escape(secret)
    yield plain.hex()
    yield plain.hex().upper()
    for offset in range(3):
        yield from _base64_cores(plain, offset)


def _base64_cores(plain: bytes, offset: int) -> Iterator[str]:
    """Yield what base64 makes of the secret whatever stands before and after it.

    `offset`: bytes before it, modulo 3. Characters that depend on its neighbours are left out.
    """
    first = -(-offset * 8 // 6)
    last = (offset + len(plain)) * 8 // 6
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        core = encode(b"\0" * offset + plain).decode()[first:last]
        if len(core) >= SHORT:
            yield core


def _any_encoding(secret: str) -> str:
    """Return a pattern of a secret in which each character may be encoded, or not."""
    return "".join(_any_character(character) for character in secret)


def _any_character(character: str) -> str:
    code = f"{ord(character):02x}"
    number = ord(character)
    return (
        rf"(?:{re.escape(character)}|%(?i:{code})|\\u00(?i:{code})|\\x(?i:{code})"
        rf"|&#0*{number};|&#[xX]0*(?i:{code});)"
    )
