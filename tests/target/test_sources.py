"""Every source of a clause, a claim or a reading exists."""

from __future__ import annotations

import re
from pathlib import Path

from trueup.conformance.contract.claims import CLAIMS
from trueup.conformance.contract.clauses import load_clauses
from trueup.conformance.contract.interpretations import READINGS
from trueup.conformance.datasets.interpretation_probes import PROBES

_ROOT = Path(__file__).parents[2]
_OPEN_POINTS = (_ROOT / "docs" / "open-points.md").read_text("utf-8")
_KNOWN = set(re.findall(r"^\| ([CS]\d+) \|", _OPEN_POINTS, re.MULTILINE))
_CONTRACTS = (_ROOT / "docs" / "architecture.md").read_text("utf-8")
_GUIDE = {
    "Analytics Components",
    "Log Objects",
    "Raw Logs",
    "Log Summaries",
    "Residential Ledger",
    "Mobile Ledger",
    "Data Flow Process",
    "Residential Proxy Requests",
    "Mobile Proxy Requests",
    "Analytics Graph Endpoint",
    "Endpoint Selection Guide",
    "Reference Table",
}
"""Sections of the guide."""
_SOURCES = {
    **{one.id: one.source for one in load_clauses()},
    **{one.name: one.source for one in CLAIMS.values()},
    **{one.name: one.source for one in READINGS.values()},
}


def _found(source: str) -> bool:
    kind, _, place = source.partition(": ")
    match kind:
        case "guide":
            return place in _GUIDE
        case "docs" | "sdk":
            return re.fullmatch(r"[a-z-]+(/[a-z-]+)*", place) is not None
        case "architecture":
            return f"### {place}" in _CONTRACTS
        case "targets":
            return f"## {place}" in (_ROOT / "docs" / "targets.md").read_text("utf-8")
        case _:
            return source in _KNOWN


def test_every_source_exists() -> None:
    lost = [
        (name, one)
        for name, all_ in _SOURCES.items()
        for one in all_.split("; ")
        if not _found(one)
    ]
    assert len(_SOURCES) > 150
    assert lost == []


def test_open_points_name_only_existing_readings_and_claims() -> None:
    named = set(re.findall(r"(?:readings?|claim) ((?:`[a-z0-9-]+`(?:, )?)+)", _OPEN_POINTS))
    words = {word for part in named for word in re.findall(r"`([a-z0-9-]+)`", part)}
    assert len(words) > 20
    assert words <= set(READINGS) | set(CLAIMS)


def test_every_reading_is_listed_among_the_open_points() -> None:
    assert [name for name in READINGS if f"`{name}`" not in _OPEN_POINTS] == []


def test_every_probed_reading_has_a_probe() -> None:
    probed = {name for name, one in READINGS.items() if one.probed}
    assert probed == {*PROBES, "proxied-bytes"}  # the latter: `contract.proxied.probed_counting`


def test_every_claim_and_reading_has_an_effect() -> None:
    """A check, a probe or the runner uses each one."""
    folder = _ROOT / "conformance"
    tables = {"claims.py", "interpretations.py", "targets_page.py", "inspect.py"}
    files = [file for file in folder.rglob("*.py") if file.name not in tables]
    code = "\n".join(file.read_text("utf-8") for file in files)
    graphs = {f"{interval}-graph" for interval in ("minute", "hour", "month")}
    assert '{window.interval}-graph"' in code
    idle = [name for name in (*CLAIMS, *READINGS) if f'"{name}"' not in code]
    assert set(idle) - graphs == _FIXED


_FIXED = {"time-zone"}
"""A reading with one allowed value: it says what is assumed, and nothing can depend on it."""
