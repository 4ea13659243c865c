"""Fleet traffic contains failed and empty requests; whether they are summed is a reading."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from trueup.conformance.reconciliation.expected import Expected
from trueup.reports.results import CellKey, Counts

_CELL = CellKey(1001, "user-1", "isp", "apple.com", "2025-04-01")
_CLEAN = _CELL._replace(hostname="mozilla.org")


class _Sent:
    customers = (1001,)

    def cells(self) -> Mapping[CellKey, Counts]:
        return {_CELL: Counts(10, 5000, 7, 3), _CLEAN: Counts(4, 400, 4, 0)}

    def slack(self) -> Mapping[CellKey, Counts]:
        return {_CELL: Counts(1, 100, 1, 0)}


@pytest.mark.parametrize(
    ("failed", "empty", "sure", "maybe"),
    [
        (True, True, (10, 5000), (1, 100)),
        (False, True, (7, 0), (1, 5100)),
        (True, False, (0, 5000), (11, 100)),
        (False, False, (0, 0), (8, 5100)),
    ],
)
def test_only_requests_that_every_reading_counts_are_certain(
    failed: bool, empty: bool, sure: tuple[int, int], maybe: tuple[int, int]
) -> None:
    expected = Expected(_Sent(), failed_count=failed, empty_count=empty)  # type: ignore[arg-type]
    assert expected.cells[_CELL][:2] == sure
    assert expected.slack[_CELL][:2] == maybe


def test_cells_without_failures_stay_exact() -> None:
    expected = Expected(_Sent(), failed_count=False)  # type: ignore[arg-type]
    assert expected.cells[_CLEAN][:2] == (4, 400)
    assert expected.slack[_CLEAN][:2] == (0, 0)
