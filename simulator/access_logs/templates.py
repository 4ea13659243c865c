"""Templates of log lines, as the programs' configuration writes them, compiled to patterns.

`%ts.%03tu %6tr %>a …` of Squid, `$remote_addr - …` of nginx, `%h %l %u %t …` of Apache and
`%ci:%cp [%tr] …` of HAProxy have one form: literal text, and directives that each stand for a
value. What a directive means is a row of its program's table; a directive that is not in the table
stands for a value that is read and not used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from trueup.simulator.access_logs.build import build_record
from trueup.simulator.access_logs.record import AccessRecord, BadLine, shorten
from trueup.simulator.access_logs.times import TimeReader
from trueup.simulator.errors import AccessLogError

__all__ = ["Dialect", "Template", "Value", "compile_template", "template_parser"]

_BLANKS: Final = re.compile(r"(?:\\ |\\\t|\\\\t)+")
"""Blanks and tabs in an escaped text."""
_SYSLOG: Final = re.compile(
    r"^(?:<\d+>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) \S+ [^\s:]+: "
)
_EPOCHS: Final = ("sec", "msec", "usec")
_SHORT_FORMS: Final = {
    "%T": "%H:%M:%S", "%F": "%Y-%m-%d", "%D": "%m/%d/%y", "%R": "%H:%M", "%e": "%d", "%h": "%b",
}  # fmt: skip
"""Directives of `strftime` that `strptime` does not know, and what they stand for."""
_FORM_PATTERNS: Final = {
    "%Y": r"\d{4}", "%y": r"\d\d", "%m": r"\d\d", "%d": r"[ \d]\d", "%H": r"\d\d", "%I": r"\d\d",
    "%M": r"\d\d", "%S": r"\d\d", "%f": r"\d+", "%j": r"\d{3}", "%b": r"\w+", "%B": r"\w+",
    "%a": r"\w+", "%A": r"\w+", "%p": r"\w+", "%z": r"[+-]\d\d:?\d\d", "%Z": r"\w+", "%%": "%",
}  # fmt: skip
COMMON_TIME: Final = r"\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d{4})?"


@dataclass(frozen=True, slots=True)
class Value:
    """What a directive stands for."""

    group: str
    """Name that `build_record` knows; empty: not used. `bytes` may occur several times."""
    pattern: str = ""
    """Pattern of the value; empty: anything up to the literal that follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one program writes templates."""

    program: str
    directive: re.Pattern[str]
    """Matches one directive; group `name` is what the table is asked for, group `quote` says that
    the value is put into quotes."""
    table: Mapping[str, Value]
    example: str
    normalise: Callable[[str], str] = str
    """Applied to a directive's name before it is looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """The lines that a template makes."""

    pattern: re.Pattern[str]
    """Its groups have the names that `build_record` knows."""
    time_form: str = ""
    """How the time is written, for `strptime`; empty: in a form that `TimeReader` knows."""


def compile_template(template: str, dialect: Dialect) -> Template:
    """Return the lines that a template makes.

    Raises AccessLogError for a template without a time.
    """
    pieces: list[tuple[str, Value | None, bool]] = []
    at, form = 0, ""
    for found in dialect.directive.finditer(template):
        if found.start() > at:
            pieces.append((template[at : found.start()], None, False))
        name = dialect.normalise(found["name"])
        groups = found.groupdict()
        literal = name == "%"
        value = None if literal else dialect.table.get(name, Value(""))
        argument = groups.get("argument") or groups.get("after")
        if value is not None and value.group == "time" and argument:
            value, form = _written_time(argument.strip("{}"), form)
        pieces.append(("%" if literal else "", value, bool(groups.get("quote"))))
        at = found.end()
    pieces.append((template[at:], None, False))
    used: set[str] = set()
    text: list[str] = []
    for number, (literal_text, value, quoted) in enumerate(pieces):
        if value is None:
            text.append(_BLANKS.sub(r"\\s+", re.escape(literal_text)))
            continue
        after = next((part for part, what, _ in pieces[number + 1 :] if what is None and part), "")
        pattern = value.pattern or _up_to(after)
        if quoted:
            text.append(f'"?{_group(value.group, ".*?", used)}"?')
        else:
            # Widths pad with blanks on either side.
            text.append(rf" *{_group(value.group, pattern, used)}")
    if "time" not in used:
        raise AccessLogError(
            f"the template {shorten(template)} has no time of the request. Write it as "
            f"{dialect.program}'s configuration does, such as {dialect.program}:{dialect.example}"
        )
    return Template(pattern=re.compile("".join(text) + r"\s*$"), time_form=form)


def _written_time(argument: str, known: str) -> tuple[Value, str]:
    """Return the value of a time that is written as `strftime` does, and its form.

    `known` is the form of a time before it, which is the one that is read.
    """
    form = argument.removeprefix("begin:").removeprefix("end:")
    if form in _EPOCHS or form == "%s":
        return Value("time", r"\d+"), known
    for short, long in _SHORT_FORMS.items():
        form = form.replace(short, long)
    # A date alone is no time of a request, nor is an hour alone.
    parts = re.split(r"(%[A-Za-z%])", form)
    if {"%Y", "%y"}.isdisjoint(parts) or {"%H", "%I"}.isdisjoint(parts):
        return Value(""), known
    pattern = "".join(_FORM_PATTERNS.get(part, re.escape(part)) for part in parts)
    return Value("time", pattern), known or form


def _up_to(literal: str) -> str:
    """Return a pattern of a value that ends where a literal begins."""
    if literal.startswith('"'):
        return ".*?"
    if not literal or literal[0].isspace():
        return r"\S*"
    return rf"[^{re.escape(literal[0])}]*?"


def _group(name: str, pattern: str, used: set[str]) -> str:
    """Return a pattern as a group of a name not yet used; without a name where it is not needed."""
    if name == "bytes":
        name = f"bytes{sum(each.startswith('bytes') for each in used)}"
    if not name or name in used:
        return f"(?:{pattern})"
    used.add(name)
    return f"(?P<{name}>{pattern})"


def template_parser(
    template: Template, times: TimeReader, expected: str
) -> Callable[[str], AccessRecord]:
    """Return the parser of the lines of a template; `expected` is for the message of an error.

    What syslog puts before a line is left out.
    """
    match = template.pattern.match

    def parse(line: str) -> AccessRecord:
        bare = _SYSLOG.sub("", line, count=1)
        found = match(bare) or (match(line) if bare is not line else None)
        if found is None:
            raise BadLine(f"expected {expected}, not {shorten(line)}")
        return build_record(found.groupdict(), times, template.time_form)

    return parse
