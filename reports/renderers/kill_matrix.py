"""The kill matrix: every fault of the zoo against every check, for readers and for machines.

A fault counts as killed only where a check of a law that it is charged with fails; a kill by
another law is shown and counts apart, since a judge that convicts for the wrong reason is not
to be trusted. Variants are right, so that any failing check there is a false alarm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trueup.reports.formatting import duration
from trueup.reports.renderers.markdown import markdown_text
from trueup.reports.results import Json, Verdict
from trueup.reports.verdict_styles import VERDICTS

__all__ = [
    "FaultRow",
    "FaultStatus",
    "KillMatrix",
    "VariantRow",
    "matrix_document",
    "matrix_headline",
    "render_matrix_json",
    "render_matrix_markdown",
]


class FaultStatus(StrEnum):
    """What became of one fault."""

    KILLED = "killed"
    KILLED_OTHER = "killed-other"
    """A law failed, but none that the fault is charged with."""
    SURVIVED = "survived"
    VOID = "void"
    """The fault did not start, or could not be judged: it proves nothing."""
    TIMEOUT = "timeout"


_MARKS: Final[Mapping[FaultStatus, str]] = {
    FaultStatus.KILLED: "✓",
    FaultStatus.KILLED_OTHER: "≠",
    FaultStatus.SURVIVED: "✗",
    FaultStatus.VOID: "∅",
    FaultStatus.TIMEOUT: "⏱",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """One fault and what every check said of it."""

    id: str
    what: str
    laws: tuple[str, ...]
    """The laws charged: one of them must fail."""
    status: FaultStatus
    verdicts: Mapping[str, Verdict]
    """Check → verdict; empty where the trial was void."""
    note: str = ""
    """Why the trial proves nothing, where it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRow:
    """One correct implementation and the alarms that it raised, wrongly."""

    id: str
    what: str
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KillMatrix:
    """The whole proof, as plain values."""

    faults: tuple[FaultRow, ...]
    variants: tuple[VariantRow, ...]
    laws: Mapping[str, str]
    """Check → its law; the columns of the matrix, in their order."""
    wall_s: float
    seed: int | None = None

    def ids(self, *statuses: FaultStatus) -> list[str]:
        """Ids of the faults with one of the statuses, in order."""
        return [row.id for row in self.faults if row.status in statuses]

    @property
    def false_alarms(self) -> list[str]:
        return [f"{row.id}: {alarm}" for row in self.variants for alarm in row.alarms]


def matrix_document(matrix: KillMatrix) -> dict[str, Json]:
    """The proof as one JSON object.

    `faults`, `killed`, `variants` are numbers; `survivors` (kills for another reason included,
    since the declared law did not fail), `void` (time-outs included), `false_alarms` and
    `killed_other` list names; `wall_s` is in seconds.
    """
    return {
        "faults": len(matrix.faults),
        "killed": len(matrix.ids(FaultStatus.KILLED)),
        "survivors": list[Json](matrix.ids(FaultStatus.SURVIVED, FaultStatus.KILLED_OTHER)),
        "void": list[Json](matrix.ids(FaultStatus.VOID, FaultStatus.TIMEOUT)),
        "variants": len(matrix.variants),
        "false_alarms": list[Json](matrix.false_alarms),
        "wall_s": round(matrix.wall_s, 3),
        "killed_other": list[Json](matrix.ids(FaultStatus.KILLED_OTHER)),
    }


def render_matrix_json(matrix: KillMatrix) -> str:
    """`matrix_document` on one line, ended by a line end."""
    return json.dumps(matrix_document(matrix), ensure_ascii=False) + "\n"


def render_matrix_markdown(matrix: KillMatrix) -> str:
    """The page `docs/kill-matrix.md`: the score, faults, who kills whom, variants.

    Wall time is left out of the page, so that the same proof gives the same page.
    """
    return "\n".join(_lines(matrix)) + "\n"


def _lines(matrix: KillMatrix) -> Iterator[str]:
    killed = len(matrix.ids(FaultStatus.KILLED))
    alarms = len(matrix.false_alarms)
    yield "# The kill matrix"
    yield ""
    yield (
        f"**{killed} of {len(matrix.faults)} faults killed by a law they are charged with; "
        f"{alarms} false {'alarm' if alarms == 1 else 'alarms'} on {len(matrix.variants)} correct "
        "implementations.**"
    )
    yield ""
    yield (
        "Each fault is the reference with one lie. It counts as killed only if a check of a law "
        "that it is charged with fails. Made by `trueup prove`."
    )
    yield ""
    for status, title in (
        (FaultStatus.SURVIVED, "Survivors"),
        (FaultStatus.KILLED_OTHER, "Killed, but for another reason"),
        (FaultStatus.VOID, "Void: proves nothing"),
        (FaultStatus.TIMEOUT, "Timed out"),
    ):
        if ids := matrix.ids(status):
            yield f"- {_MARKS[status]} {title}: {', '.join(map(markdown_text, ids))}"
    yield from _fault_table(matrix)
    yield from _grid(matrix)
    yield from _variants(matrix.variants)


def _fault_table(matrix: KillMatrix) -> Iterator[str]:
    """A line a fault; checks of the laws charged stand first among those that caught it."""
    yield ""
    yield "## Faults"
    yield ""
    yield "| | fault | what it does wrong | law charged | killed by |"
    yield "|---|---|---|---|---|"
    for row in matrix.faults:
        failed = [check for check, verdict in row.verdicts.items() if verdict is Verdict.FAIL]
        failed.sort(key=lambda check: matrix.laws.get(check) not in row.laws)
        by = ", ".join(f"`{check}`" for check in failed[:4])
        more = f" and {len(failed) - 4} more" if len(failed) > 4 else ""
        yield (
            f"| {_MARKS[row.status]} | {markdown_text(row.id)} | {markdown_text(row.what)} "
            f"| {', '.join(map(markdown_text, row.laws))} "
            f"| {by + more or markdown_text(row.note)} |"
        )


def _grid(matrix: KillMatrix) -> Iterator[str]:
    """Law × fault: how many checks of the law fail, bold where the fault is charged with it."""
    laws = list(dict.fromkeys(matrix.laws.values()))
    if not laws or not matrix.faults:
        return
    yield ""
    yield "## Which law convicts which fault"
    yield ""
    yield (
        "A row a law, and the faults that make it fail. Bold: the fault is charged with this law. "
        "A law without a bold fault has not been proven to convict."
    )
    yield ""
    yield "| law | checks | faults that make it fail |"
    yield "|---|---:|---|"
    for law in laws:
        checks = [check for check, of in matrix.laws.items() if of == law]
        convicted = [
            f"**{markdown_text(row.id)}**" if law in row.laws else markdown_text(row.id)
            for row in matrix.faults
            if any(row.verdicts.get(check) is Verdict.FAIL for check in checks)
        ]
        yield f"| {markdown_text(law)} | {len(checks)} | {', '.join(convicted) or 'none'} |"
    yield from _cells(matrix)


def _cells(matrix: KillMatrix) -> Iterator[str]:
    """The whole matrix, fault × check, folded: it is wide."""
    checks = list(matrix.laws)
    yield ""
    yield "<details><summary>Every check against every fault</summary>"
    yield ""
    yield f"| check | law | {' | '.join(markdown_text(row.id) for row in matrix.faults)} |"
    yield f"|---|---|{'---|' * len(matrix.faults)}"
    for check in checks:
        cells = (_cell(row, check) for row in matrix.faults)
        yield f"| `{check}` | {markdown_text(matrix.laws[check])} | {' | '.join(cells)} |"
    yield ""
    looks = (look for verdict, look in VERDICTS.items() if verdict is not Verdict.PASS)
    legend = ", ".join(f"{look.mark} {look.word}" for look in looks)
    yield f"{legend}; an empty cell passed or did not report."
    yield ""
    yield "</details>"


def _cell(row: FaultRow, check: str) -> str:
    verdict = row.verdicts.get(check, Verdict.PASS)
    return "" if verdict is Verdict.PASS else VERDICTS[verdict].mark


def _variants(variants: Sequence[VariantRow]) -> Iterator[str]:
    if not variants:
        return
    yield ""
    yield "## Correct, but different"
    yield ""
    yield "| | implementation | how it differs | alarms |"
    yield "|---|---|---|---|"
    for row in variants:
        alarms = ", ".join(map(markdown_text, row.alarms)) or "none"
        mark = "✗" if row.alarms else "✓"
        yield f"| {mark} | {markdown_text(row.id)} | {markdown_text(row.what)} | {alarms} |"


def matrix_headline(matrix: KillMatrix) -> str:
    """One line for a terminal."""
    killed = len(matrix.ids(FaultStatus.KILLED))
    return (
        f"{killed} of {len(matrix.faults)} faults killed, {len(matrix.false_alarms)} false alarms "
        f"on {len(matrix.variants)} variants, {duration(matrix.wall_s)}"
    )
