"""A profile fitted from a log brings back the log's sizes, total, number and hours."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

from trueup.scenarios.cli import trueup
from trueup.simulator.access_logs import AccessRecord, LogReader
from trueup.simulator.errors import FitError, ProfileError
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.profile import Profile, load_profile, parse_profile
from trueup.simulator.random.stratified import stratified
from trueup.simulator.realism.fit import FittedProfile, fit_log
from trueup.simulator.realism.log_summary import LogSummary, SizeCounts

PUBLIC: Final = Path(__file__).parents[1] / "data" / "access_logs" / "public-10000.log.xz"
QUANTILES: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""The bounds that docs/fleet.md states for logs of 10,000 requests and more."""
NUMBER, TOTAL, SIZE, HOUR = 0.01, 0.02, 0.01, 0.005


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kathmandu"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The time zone of the machine."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def within_bounds(fit: FittedProfile, total: float = TOTAL) -> None:
    """Assert that a fit is within the bounds that are stated."""
    check = fit.check
    assert check is not None
    assert check.events_error <= NUMBER, check
    assert check.total_error <= total, check
    assert check.quantile_error <= SIZE, check
    assert check.hours_error is not None and check.hours_error <= HOUR, check


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as NDJSON."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_public_log_of_10000_requests_comes_back_within_the_bounds(zone: str) -> None:
    """2.7 GB in 83 hours; a third of the bytes in 30 requests, 7 % of the requests without any."""
    fit = fit_log(PUBLIC)
    assert (fit.report.read, fit.report.refused) == (10_000, 0)
    assert "10000 events over 83.02 h, 2747282740 bytes" in fit.text
    within_bounds(fit)


@pytest.fixture(scope="module")
def public() -> tuple[Profile, npt.NDArray[np.int64]]:
    """The profile that is fitted from the public log, and the sizes of the log in order."""
    sizes = np.sort([record.size or 0 for record in LogReader(PUBLIC)])
    return parse_profile(fit_log(PUBLIC).text, "public"), sizes


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_events_drawn_from_the_public_log_have_its_quantiles_and_total(
    seed: int, public: tuple[Profile, npt.NDArray[np.int64]]
) -> None:
    """As anyone would check it: 10,000 events of `trueup fleet --profile`."""
    profile, sizes = public
    some = Fleet(
        profile,
        seed=seed,
        start=datetime(2025, 4, 1, tzinfo=UTC),
        customers=(1, 2),
        events_per_s=float(profile.decimal("fleet.events_per_s")),
    )
    drawn = np.sort(some.batch(0, 10_000).columns().total_bytes)
    assert drawn.sum() == pytest.approx(sizes.sum(), rel=0.05)
    for share in QUANTILES:
        place = int(share * 10_000)
        low, high = sizes[max(place - 50, 0)], sizes[place + 50]
        assert low * (1 - SIZE) <= drawn[place] <= high * (1 + SIZE)


def test_a_log_of_the_fleet_itself_comes_back_within_the_bounds(tmp_path: Path) -> None:
    """Bursts, a daily cycle and a heavy tail on four networks."""
    profile = load_profile("default", {"coverage.enabled": False})
    start = datetime(2025, 4, 1, tzinfo=UTC)
    some = Fleet(profile, seed=7, start=start, customers=(1, 2), events_per_s=0.5)
    first, count = some.window(some.start, some.start + timedelta(hours=30))
    path = tmp_path / "log.ndjson"
    path.write_bytes(some.batch(first, count).ndjson(compact=True))
    # Networks mix at random: of each, not every run of events has its share of the large sizes.
    within_bounds(fit_log(path), total=0.1)


def small_rows(
    sizes: list[int], start: datetime, step: timedelta, form: str
) -> list[dict[str, Any]]:
    return [
        {
            "log_network": "residential",
            "log_total_bytes": size,
            "log_request_datetime": (start + step * number).strftime(form),
            "log_hostname": f"h{number % 9}.example",
        }
        for number, size in enumerate(sizes)
    ]


def test_small_sizes_are_not_taken_for_one_byte(tmp_path: Path) -> None:
    """None, a few bytes and below 4,600: what an overhead of 4,600 bytes would swallow."""
    sizes = [0] * 40 + [120 + 7 * n for n in range(400)] + [60_000 + n for n in range(60)]
    rows = small_rows(sizes, datetime(2025, 4, 1), timedelta(minutes=1), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ001
    fit = fit_log(write(tmp_path / "small.ndjson", rows))
    assert fit.check is not None
    assert fit.check.sizes >= 10_000
    assert fit.check.quantile_error <= SIZE and fit.check.total_error <= TOTAL


def test_the_time_of_a_log_is_the_same_in_every_zone_of_the_machine(
    zone: str, tmp_path: Path
) -> None:
    """Across a clock change of New York, and with `Z` beside `+00:00`."""
    begin = datetime(2025, 3, 9, 5, 30)  # noqa: DTZ001
    rows = small_rows([5000] * 241, begin, timedelta(seconds=45), "%Y-%m-%d %H:%M:%S")
    assert "241 events over 3.00 h" in fit_log(write(tmp_path / "dst", rows)).text
    rows = small_rows([5000] * 241, begin, timedelta(seconds=10), "%Y-%m-%dT%H:%M:%S")
    for number, row in enumerate(rows):
        row["log_request_datetime"] += "Z" if number % 2 else "+00:00"
    assert "241 events over 0.67 h" in fit_log(write(tmp_path / "mixed", rows)).text


def test_a_log_of_some_seconds_is_held_to_its_rate(tmp_path: Path) -> None:
    """Over two hours, because bursts decide how many events some seconds have."""
    begin = datetime(2025, 3, 9, 5, 30)  # noqa: DTZ001
    rows = small_rows([5000] * 300, begin, timedelta(seconds=1), "%Y-%m-%dT%H:%M:%SZ")
    check = fit_log(write(tmp_path / "short", rows)).check
    assert check is not None and check.hours_error is None
    assert check.events_error < 0.01
    assert "drawn over more than two hours" in check.text()


def test_hours_without_requests_stay_empty(tmp_path: Path) -> None:
    """A log of office hours, over three days: no traffic at night comes back."""
    rows = []
    for day in range(3):
        begin = datetime(2025, 4, 1 + day, 8)  # noqa: DTZ001
        rows += small_rows([5000] * 3600, begin, timedelta(seconds=10), "%Y-%m-%d %H:%M:%S")
    fit = fit_log(write(tmp_path / "office.ndjson", rows))
    assert fit.check is not None and fit.check.hours_error is not None
    assert fit.check.hours_error < 0.02
    weights = dict(parse_profile(fit.text, "x").weights("cycle.observed"))
    assert weights["3"] == 0 and weights["12"] > 0


def test_a_log_without_sizes_or_with_too_few_requests_says_so(tmp_path: Path) -> None:
    """The rest is fitted; nothing is invented."""
    rows = [{"time": 1_741_482_000 + n, "host": "a.example"} for n in range(200)]
    fit = fit_log(write(tmp_path / "a", rows))
    assert "the log has no sizes; the default's are kept" in fit.notes
    assert fit.check is None and "observed" in fit.text and "size." not in fit.text
    with pytest.raises(FitError, match="99 events; a fit needs at least 100"):
        fit_log(write(tmp_path / "b", rows[:99]))


def test_sizes_are_counted_with_their_exact_sum_in_few_bins() -> None:
    """A bin is at most 1/64 wide, so a quantile is at most that far off."""
    sizes = np.random.default_rng(1).lognormal(9, 3, 50_000).astype(np.int64)
    counts = SizeCounts()
    for size in sizes.tolist():
        counts.add(size)
    table = counts.table()
    assert sum(size * count for size, count in table) == sizes.sum() == counts.total
    assert len(table) < 4000
    values = np.repeat([size for size, _ in table], [count for _, count in table])
    assert (np.abs(values - np.sort(sizes)) <= np.sort(sizes) / 64 + 1).all()


def test_stratified_words_are_evenly_spread_in_every_run_and_neighbours_are_unrelated() -> None:
    for first in (0, 12_345, 2**40 + 7):
        words = np.sort(stratified(1 << 70 | 9, first, 10_000)) / 2**32
        assert np.abs(words - np.arange(10_000) / 10_000).max() < 0.005
    row = stratified(5, 0, 65_536)
    assert len(np.unique(row >> np.uint64(16))) == 65_536
    assert abs(np.corrcoef(row[:-1], row[1:])[0, 1]) < 0.03


def test_a_wrong_key_of_a_table_of_sizes_or_hours_is_refused(tmp_path: Path) -> None:
    """By name, when the fleet is built."""
    for name, key in (("size.isp.observed", "1.5"), ("cycle.observed", "168")):
        path = tmp_path / f"{name}.toml"
        path.write_text(
            f'based_on = "default"\n[parameters]\n"{name}" = {{ value = {{ "{key}" = 1 }}, '
            'unit = "x", grade = "M", source = "x" }\n'
        )
        with pytest.raises(ProfileError, match=f"{name}: expected whole numbers from 0 to"):
            Fleet(load_profile(path), seed=1, start=datetime(2025, 4, 1, tzinfo=UTC),
                  customers=(1,), events_per_s=1)  # fmt: skip


def test_a_profile_has_no_name_of_the_log_and_the_command_reports_what_it_did(
    tmp_path: Path,
) -> None:
    """Read, refused and held to the log, on the standard error."""
    rows = small_rows([700] * 300, datetime(2025, 4, 1), timedelta(minutes=1), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ001
    for row in rows:
        row["proxy_user_id"], row["log_hostname"] = "jane-doe", "clinic.example"
    path = write(tmp_path / "own.ndjson", rows)
    path.write_text(path.read_text() + "half a line\n")
    found = CliRunner().invoke(
        trueup, ["fleet", "fit", str(path), "--out", str(tmp_path / "p.toml")]
    )
    assert found.exit_code == 0, found.output
    assert "300 read, 1 refused" in found.stderr
    assert f"refused: {path}:301: not JSON" in found.stderr
    assert "held to the log: " in found.stderr
    profile = (tmp_path / "p.toml").read_text()
    assert "jane" not in profile and "clinic" not in profile
    drawn = CliRunner().invoke(
        trueup, ["fleet", "--profile", str(tmp_path / "p.toml"), "--events", "50"]
    )
    assert {json.loads(line)["log_total_bytes"] for line in drawn.stdout.splitlines()} == {700}


def test_the_memory_of_a_summary_does_not_grow_with_the_log() -> None:
    """Requests of some hours, some hostnames and any sizes."""

    def grown(events: int) -> int:
        dice = np.random.default_rng(3)
        tracemalloc.start()
        summary = LogSummary("isp")
        for number in range(events):
            size = int(dice.lognormal(9, 2))
            summary.add(AccessRecord(10**15 + number * 10**5, size, f"h{number % 100}"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert grown(60_000) < 1.5 * grown(20_000)
