"""The sensitivity of a run as text: what was noticed by view and stage, and what was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from trueup.reports.formatting import amount, one_line, plural
from trueup.reports.metrics.sensitivity import BlindSpot, Sensitivity, Share

__all__ = ["blind_fields", "headline", "percent", "sensitivity_text", "view_totals"]

_WIDTH: Final = 100
_SPOTS_MOST: Final = 40
_STAGES_A_TABLE: Final = 6


def percent(share: float) -> str:
    """Return a share as a whole per cent, rounded down so that 100 % means all."""
    return f"{int(share * 100)} %"


def headline(found: Sensitivity) -> str:
    """Return one sentence: how many judgeable changed responses were noticed."""
    judgeable = found.mutants - found.explained
    return (
        f"{amount(found.noticed)} of {amount(judgeable)} judgeable changes of its responses "
        f"noticed ({percent(found.share)})"
    )


def blind_fields(found: Sensitivity) -> tuple[str, ...]:
    """Return fields with unnoticed changes that are not explained, those with most first."""
    counts: Counter[str] = Counter()
    for spot in found.blind_spots:
        if not spot.why:
            counts[f"{spot.view}: {spot.field}"] += spot.mutants
    return tuple(name for name, _ in counts.most_common())


def view_totals(found: Sensitivity) -> tuple[Share, ...]:
    """Return noticed and tried changes by view, over all stages."""
    tried: Counter[str] = Counter()
    noticed: Counter[str] = Counter()
    for share in found.stages:
        tried[share.view] += share.mutants
        noticed[share.view] += share.noticed
    return tuple(
        Share(view=view, by="", noticed=noticed[view], mutants=count)
        for view, count in tried.items()
    )


def sensitivity_text(found: Sensitivity) -> str:
    """Return the table by view and stage, the laws that noticed, and the blind spots."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Sensitivity) -> Iterator[str]:
    yield f"Sensitivity of {found.run}: {headline(found)}"
    yield (
        f"{amount(found.mutants)} of {plural(found.enumerated, 'possible mutant')} judged, "
        f"seed {found.seed}; {amount(found.explained)} cannot be judged, "
        f"{amount(found.doubted)} only made a verdict inconclusive"
    )
    yield ""
    yield from _table(found)
    yield ""
    yield "First law to fail: " + ", ".join(f"{law} {n}" for law, n in found.laws.items())
    unexplained = [spot for spot in found.blind_spots if not spot.why]
    if unexplained:
        yield ""
        yield f"NOT NOTICED AND NOT EXPLAINED ({plural(found.unexplained, 'mutant')})"
        yield from map(_spot, unexplained[:_SPOTS_MOST])
        if len(unexplained) > _SPOTS_MOST:
            yield f"  and {plural(len(unexplained) - _SPOTS_MOST, 'more kind')}"
    yield from _explained([spot for spot in found.blind_spots if spot.why])
    for broken in found.broken:
        yield f"THE JUDGE FAILED on {one_line(broken, _WIDTH)}"


def _table(found: Sensitivity) -> Iterator[str]:
    every = list(dict.fromkeys(share.by for share in found.stages))
    cells = {(share.view, share.by): share for share in found.stages}
    totals = view_totals(found)
    views = max((len(total.view) for total in totals), default=4)
    for first in range(0, max(len(every), 1), _STAGES_A_TABLE):
        stages = every[first : first + _STAGES_A_TABLE]
        if first:
            yield ""
        yield f"{'VIEW':<{views}} {'ALL':>9}" + "".join(f" {stage:>9.9}" for stage in stages)
        for total in totals:
            shown = [cells.get((total.view, stage)) for stage in stages]
            yield f"{total.view:<{views}} {_share(total):>9}" + "".join(
                f" {_share(share) if share else '·':>9}" for share in shown
            )


def _share(share: Share) -> str:
    return f"{share.noticed}/{share.mutants}"


def _spot(spot: BlindSpot) -> str:
    count = f"{spot.mutants} of {spot.tried}"
    what = one_line(f"{spot.view}, {spot.field}: {spot.operator}", _WIDTH - 16)
    return f"  {count:>12}  {what}"


def _explained(spots: Sequence[BlindSpot]) -> Iterator[str]:
    reasons: Counter[tuple[str, str]] = Counter()
    for spot in spots:
        reasons[spot.why, spot.source] += spot.mutants
    if reasons:
        yield ""
        yield "NOT NOTICED BECAUSE IT CANNOT BE JUDGED"
    for (why, source), count in reasons.most_common():
        yield f"  {count:>12}  {why} ({source})"
