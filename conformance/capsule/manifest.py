"""The manifest of a time capsule: what was sent, what became of it, and when it can be judged.

One JSON object that needs no other file. It holds the records of the planting run by which a
harvest is evaluated: deliveries in full with their outcomes, readings, and what the accounts and
ledgers showed before and after. Names of users and hosts that others use are replaced.

The digest shows that the file is not the one that was written; whoever changes the file can also
compute another digest. The signature, an HMAC with a key that only its owner has, shows that too.
Neither shows that the target was sent anything: who has the key can sign any file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from trueup.conformance.errors import ManifestUnusable
from trueup.conformance.rows import format_time, parse_time
from trueup.reports.journal.records import Delivered, Exchange, ReadingSeen
from trueup.reports.results import Json

__all__ = [
    "CapsuleRecord",
    "Manifest",
    "ManifestDate",
    "PlantedCustomers",
    "ReadManifest",
    "read_manifest",
    "write_manifest",
]

KIND: Final = "trueup-capsule"
VERSION: Final = 1
MOST_MB: Final = 64
"""Most megabytes of a manifest that is read."""

CapsuleRecord = ReadingSeen | Delivered | Exchange
PlantedCustomers = Mapping[str, int]
"""Tenant (`a`, `b`) → customer number."""


class ManifestDate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When one part of the capsule can be judged, by the target's clock, `YYYY-MM-DD HH:MM`."""

    part: str
    when: str


class _Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    base_url: str
    customers: dict[str, int]


class _Planted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    at: str
    """Our time, UTC, ISO 8601 with a `Z`."""
    target_time: str
    """The target's, UTC, `YYYY-MM-DD HH:MM:SS`."""
    run: str
    complete: bool
    """False: the planting ended early."""


class _Events(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    accepted: int
    refused: int
    unknown: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A manifest, without its digest and signature."""

    kind: str = KIND
    version: int = VERSION
    trueup: str
    prefix: str
    """Begins every name that was sent."""
    target: _Target
    planted: _Planted
    events: _Events
    dates: tuple[ManifestDate, ...]
    records: tuple[CapsuleRecord, ...]

    @classmethod
    def of(
        cls,
        *,
        trueup: str,
        prefix: str,
        target: tuple[str, str],
        customers: PlantedCustomers,
        planted: tuple[str, datetime],
        run: str,
        complete: bool,
        outcomes: Mapping[str, int],
        dates: Sequence[ManifestDate],
        records: Sequence[CapsuleRecord],
    ) -> Manifest:
        """Return a manifest. `target`: name and URL; `planted`: our time and the target's."""
        return cls(
            trueup=trueup,
            prefix=prefix,
            target=_Target(name=target[0], base_url=target[1], customers=dict(customers)),
            planted=_Planted(
                at=planted[0], target_time=format_time(planted[1]), run=run, complete=complete
            ),
            events=_Events(**{name: outcomes.get(name, 0) for name in _Events.__struct_fields__}),
            dates=tuple(dates),
            records=tuple(records),
        )

    @property
    def target_time(self) -> datetime:
        """The target's time of the planting."""
        at = parse_time(self.planted.target_time)
        assert at is not None, "a manifest that was read has a time"
        return at


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadManifest:
    """A manifest as it was read."""

    manifest: Manifest
    sha256: str
    signature: str
    """`verified`, `not verified` (no key at hand) or `none`."""


def write_manifest(manifest: Manifest, path: Path, *, key: str) -> str:
    """Write a manifest into a file that exists already; return its digest.

    `key` signs it; empty: it is not signed. Raises OSError.
    """
    content = json.loads(msgspec.json.encode(manifest))
    digest = _digest(content)
    document = {**content, "sha256": digest}
    if key:
        document["hmac_sha256"] = _signature(content, key)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return digest


def read_manifest(path: Path, *, key: str) -> ReadManifest:
    """Return the manifest in a file. `key` verifies its signature; empty: it is not verified.

    Raises ManifestUnusable for a file that cannot be read, is no manifest, is of another version,
    or was changed after it was written; with a key also for one that this key did not sign.
    """
    document = _document(path)
    digest, signature = document.pop("sha256", None), document.pop("hmac_sha256", None)
    if document.get("kind") != KIND:
        raise ManifestUnusable(
            f"{path}: not the manifest of a capsule\n"
            f'  expected: "kind": "{KIND}", as trueup capsule plant writes it'
        )
    if document.get("version") != VERSION:
        raise ManifestUnusable(
            f"{path}: a manifest of version {document.get('version')!r}, written by trueup "
            f"{document.get('trueup')}\n  expected: version {VERSION}; use a trueup that reads it"
        )
    if digest != _digest(document):
        raise ManifestUnusable(
            f"{path}: changed after it was written: its content does not have the digest that it "
            "states\n  expected: the file as trueup capsule plant wrote it; use a copy of that"
        )
    state = _signature_state(path, document, signature, key)
    try:
        manifest = msgspec.convert(document, Manifest)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ManifestUnusable(f"{path}: not a manifest of a capsule: {error}") from error
    if parse_time(manifest.planted.target_time) is None or parse_time(manifest.planted.at) is None:
        raise ManifestUnusable(f"{path}: says no time at which the capsule was planted")
    return ReadManifest(manifest=manifest, sha256=digest, signature=state)


def _signature_state(path: Path, content: Mapping[str, Json], found: Json, key: str) -> str:
    if not key:
        return "none" if found is None else "not verified"
    if found is None:
        raise ManifestUnusable(
            f"{path}: is not signed, but TRUEUP_CAPSULE_KEY is set\n"
            "  expected: a signature with that key; unset the variable to use the file all the same"
        )
    if not isinstance(found, str) or not hmac.compare_digest(
        found.encode("utf-8", "replace"), _signature(content, key).encode()
    ):
        raise ManifestUnusable(
            f"{path}: its signature is not that of the key in TRUEUP_CAPSULE_KEY: the file was "
            "changed, or signed with another key\n  expected: the key that it was planted with"
        )
    return "verified"


def _document(path: Path) -> dict[str, Json]:
    try:
        with path.open("rb") as file:
            text = file.read(MOST_MB * 1_000_000 + 1)
    except OSError as error:
        raise ManifestUnusable(f"{path}: cannot be read: {error.strerror}") from error
    if len(text) > MOST_MB * 1_000_000:
        raise ManifestUnusable(f"{path}: larger than {MOST_MB} MB, so it is no manifest")
    try:
        found: Json = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestUnusable(
            f"{path}: not JSON, or cut short: {error}\n"
            "  expected: the file as trueup capsule plant wrote it"
        ) from error
    return found if isinstance(found, dict) else {}


def _canonical(content: Mapping[str, Json]) -> bytes:
    """One form of the content, whatever the order of its keys and its white space."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode("ascii")


def _digest(content: Mapping[str, Json]) -> str:
    return hashlib.sha256(_canonical(content)).hexdigest()


def _signature(content: Mapping[str, Json], key: str) -> str:
    return hmac.new(key.encode(), _canonical(content), hashlib.sha256).hexdigest()
