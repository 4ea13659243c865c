"""Fit a profile from a log: CSV or NDJSON with the fields of the log object.

Fits only what a log contains: rate, mix, sizes, protocols, failures, authentication, popularity.
The rest stays as in the default profile. A tail cannot be distinguished from a lognormal body on a
few thousand rows, and the notes say so.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from trueup.reports.results import Json
from trueup.simulator.errors import FitError
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.realism.series import hill, slope

__all__ = ["fit_file", "fit_rows"]

_ROWS_MIN: Final = 100
_SHOWN: Final = 60
"""Characters of a value that a message shows."""
_ROW_LINES_MAX: Final = 100
"""Lines that one row of CSV may have, by line breaks within quotes."""
_BAD_SHOWN: Final = 5
_BAD_SHARE_MAX: Final = 0.1
_NEEDED: Final = ("log_network", "log_total_bytes", "log_request_datetime", "log_hostname")


def fit_file(path: Path) -> tuple[str, list[str]]:
    """Return (profile as TOML text, notes for the user) fitted from a file.

    Raises FitError, which names the line, if more than a tenth of the lines cannot be read or fewer
    than 100 can.
    """
    good: list[Mapping[str, Json]] = []
    bad: list[str] = []
    for number, row, unread in _rows(path):
        fault = unread or _fault(row)
        if fault:
            bad.append(f"{path}:{number}: {fault}")
        else:
            good.append(row)
    total = len(good) + len(bad)
    shown = "\n".join(bad[:_BAD_SHOWN])
    if total and len(bad) > _BAD_SHARE_MAX * total:
        raise FitError(f"{len(bad)} of {total} lines cannot be read; the first ones:\n{shown}")
    if len(good) < _ROWS_MIN:
        raise FitError(
            f"{path}: {len(good)} events; a fit needs at least {_ROWS_MIN}, and is "
            "reliable from 10,000 on" + (f"\n{shown}" if shown else "")
        )
    notes = [f"left out: {line}" for line in bad[:_BAD_SHOWN]]
    if len(bad) > _BAD_SHOWN:
        notes.append(f"left out: {len(bad) - _BAD_SHOWN} more lines")
    text, more = fit_rows(good, path.name)
    return text, notes + more


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Json], str]]:
    """Yield (line, row, error) for each line; as CSV if the file's name or header says so."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            first = file.readline()
            file.seek(0)
            if _is_csv(path, first):
                yield from _csv_rows(path, file)
                return
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _json_row(number, line)
    except UnicodeDecodeError as error:
        raise FitError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from error
    except (OSError, csv.Error) as error:
        raise FitError(f"{path}: cannot be read: {error}") from error


def _csv_rows(path: Path, file: Iterator[str]) -> Iterator[tuple[int, Mapping[str, Json], str]]:
    lines = _Lines(file)
    reader = csv.DictReader(lines, strict=True)
    begun = lines.begin_row()
    try:
        missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
        if missing:
            raise FitError(
                f"{path}:1: expected a header with {', '.join(_NEEDED)}; "
                f"missing: {', '.join(missing)}"
            )
        begun = lines.begin_row()
        for row in reader:
            yield begun, {k: v for k, v in row.items() if v != "" and k is not None}, ""
            begun = lines.begin_row()
    except (csv.Error, _RowTooLong) as error:
        raise FitError(
            f"{path}:{begun}: the row that begins here cannot be read: {error}. "
            "Is a quote opened in it and not closed?"
        ) from error


def _is_csv(path: Path, first: str) -> bool:
    """Return whether the name says so, or else the first line does not look like JSON."""
    suffix = path.suffix.lower()
    if suffix in (".ndjson", ".jsonl", ".json"):
        return False
    return suffix == ".csv" or bool(first and not first.lstrip().startswith(("{", "[")))


class _RowTooLong(Exception):
    """A row of CSV has too many lines."""


class _Lines:
    """Lines of a file, counted, so that a message can name the line where a row began."""

    def __init__(self, file: Iterator[str]) -> None:
        self._file = file
        self._number = self._begun = 0

    def begin_row(self) -> int:
        """Return the line on which the next row begins, from 1."""
        self._begun = self._number
        return self._begun + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._number - self._begun >= _ROW_LINES_MAX:
            raise _RowTooLong(f"it does not end within {_ROW_LINES_MAX} lines")
        line = next(self._file)
        self._number += 1
        return line


def _shown(value: Json) -> str:
    """Return a value for a message, truncated if it is long."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _json_row(number: int, line: str) -> tuple[int, Mapping[str, Json], str]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return number, {}, f"not JSON: {error.msg} at column {error.colno}"
    except (ValueError, RecursionError) as error:
        return number, {}, f"not JSON that can be read: {str(error).split(';')[0]}"
    if not isinstance(row, dict):
        return number, {}, "expected an object"
    return number, row, ""


def _fault(row: Mapping[str, Json]) -> str:
    """Return what is wrong with a row; empty if nothing is."""
    for name in _NEEDED:
        if row.get(name) is None:
            return f"{name} is missing"
    if row["log_network"] not in NETWORKS:
        return (
            f"log_network: expected one of {', '.join(NETWORKS)}, not {_shown(row['log_network'])}"
        )
    try:
        if not 0 <= int(str(row["log_total_bytes"])) < 2**63:
            return f"log_total_bytes: expected 0 … 2^63-1, not {_shown(row['log_total_bytes'])}"
    except ValueError:
        return f"log_total_bytes: expected a whole number, not {_shown(row['log_total_bytes'])}"
    try:
        _moment(row)
    except ValueError:
        return f"log_request_datetime: cannot be read: {_shown(row['log_request_datetime'])}"
    return ""


def _moment(row: Mapping[str, Json]) -> datetime:
    return datetime.fromisoformat(str(row["log_request_datetime"]).removesuffix("Z"))


def fit_rows(rows: list[Mapping[str, Json]], source: str) -> tuple[str, list[str]]:
    """Return (profile as TOML text, notes) fitted from valid rows."""
    found: dict[str, tuple[str, str]] = {}
    notes: list[str] = []
    moments = [_moment(row).timestamp() for row in rows]
    span = max(moments) - min(moments)
    if span > 0:
        found["fleet.events_per_s"] = (f"{len(rows) / span:.6g}", "events/s")
    networks = Counter(str(row["log_network"]) for row in rows)
    found["mix"] = (_weights({name: networks.get(name, 0) for name in NETWORKS}), "weight")
    for network in NETWORKS:
        if networks.get(network, 0) >= _ROWS_MIN:
            sizes = [int(str(r["log_total_bytes"])) for r in rows if r["log_network"] == network]
            found |= _fit_sizes(network, np.array(sizes, dtype=np.float64))
            if len(sizes) < 10_000:
                notes.append(f"{network}: {len(sizes)} sizes are too few to fit the tail well")
        elif networks.get(network, 0):
            notes.append(f"{network}: too few events for sizes; the default's are kept")
    found |= _fit_mixes(rows, networks)
    hosts = np.array(list(Counter(str(row["log_hostname"]) for row in rows).values()))
    exponent = slope(hosts, 10, 1000)
    if exponent == exponent and exponent > 0:
        found["host.exponent"] = (f"{exponent:.3f}", "Zipf-Mandelbrot exponent")
    lines = [
        f'"{name}" = {{ value = {value}, unit = "{unit}", grade = "M", '
        f"source = {json.dumps('fitted from ' + source)} }}"
        for name, (value, unit) in found.items()
    ]
    head = f"# Fitted from {source}: {len(rows)} events over {span / 3600:.2f} h.\n"
    return head + 'based_on = "default"\n\n[parameters]\n' + "\n".join(lines) + "\n", notes


def _fit_sizes(network: str, sizes: np.typing.NDArray[np.float64]) -> dict[str, tuple[str, str]]:
    """Return body parameters from the quartiles of ln(bytes - overhead), the tail from the top
    1 %.
    """
    logs = np.log(np.maximum(1, sizes - 4600))
    low, middle, high = np.quantile(logs, (0.25, 0.5, 0.75))
    sigma = max(0.1, (high - low) / 1.349)
    alpha = hill(sizes.astype(np.int64), max(10, len(sizes) // 100))
    fitted = {
        f"size.{network}.mu": (f"{middle:.3f}", "ln bytes"),
        f"size.{network}.sigma": (f"{sigma:.3f}", "ln bytes"),
        f"size.{network}.cap": (f"{int(max(sizes.max(), 1))}", "bytes"),
    }
    if alpha == alpha:
        fitted[f"size.{network}.alpha"] = (f"{min(10.0, max(0.5, alpha)):.2f}", "Pareto exponent")
    return fitted


def _fit_mixes(
    rows: list[Mapping[str, Json]], networks: Counter[str]
) -> dict[str, tuple[str, str]]:
    """Return protocols, proxy failures and kinds of authentication, if the log has them."""
    socks = Counter(str(r["log_network"]) for r in rows if r.get("log_protocol") == "socks")
    failed = Counter(str(r["log_network"]) for r in rows if r.get("log_error_code") is not None)
    found: dict[str, tuple[str, str]] = {}
    if any(row.get("log_protocol") for row in rows):
        shares = {n: socks[n] * 1000 // max(1, networks[n]) for n in NETWORKS}
        shares = shares if any(shares.values()) else {**shares, NETWORKS[0]: 1}
        found["socks"] = (_weights(shares), "per mille of jobs")
    if failed:
        shares = {n: failed[n] * 100_000 // max(1, networks[n]) for n in NETWORKS}
        if any(shares.values()):
            found["failure"] = (_weights(shares), "per 100,000 requests")
    name = "log_authentication_type"
    codes = Counter(str(row[name]) for row in rows if row.get(name) is not None)
    if codes and all(code.isdecimal() for code in codes):
        found["auth"] = (_weights(dict(sorted(codes.items()))), "weight")
    return found


def _weights(table: Mapping[str, int]) -> str:
    return "{ " + ", ".join(f'"{name}" = {weight}' for name, weight in table.items()) + " }"
