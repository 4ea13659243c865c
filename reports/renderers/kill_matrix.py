"""The kill matrix: every registered fault against every check, for people and for programs.

A fault counts as killed only where a check of a law that is expected to detect it fails; a kill by
another law is shown and counted separately, since the check then failed for another reason.
Variants are correct, so that any failing check is a false alarm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trueup.reports.renderers.markdown import markdown_text
from trueup.reports.results import Json, Verdict
from trueup.reports.verdict_styles import VERDICTS

__all__ = [
    "FaultRow",
    "FaultStatus",
    "GeneratedRow",
    "KillMatrix",
    "VariantRow",
    "first_by_law",
    "matrix_document",
    "render_matrix_file",
    "render_matrix_json",
    "render_matrix_markdown",
    "wrongly_explained",
]


class FaultStatus(StrEnum):
    """Result of the trial of one fault."""

    KILLED = "killed"
    KILLED_OTHER = "killed-other"
    """A law failed, but none that is expected to detect the fault."""
    SURVIVED = "survived"
    VOID = "void"
    """The mutant did not start, or its trial has no result."""
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
    """One fault and the verdict of every check."""

    id: str
    what: str
    laws: tuple[str, ...]
    """The expected laws: one of them has to fail."""
    status: FaultStatus
    verdicts: Mapping[str, Verdict]
    """Check → verdict; empty where the trial was void."""
    note: str = ""
    """Why the trial has no result, where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRow:
    """One correct implementation and the checks that failed it wrongly."""

    id: str
    what: str
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedRow:
    """One generated mutant and the law that failed first. Any failing law detects it."""

    id: str
    what: str
    status: FaultStatus
    first_law: str = ""
    """The first law in order that failed; "" where none did."""
    explained: str = ""
    """Why no check can notice it, where a reason is known."""
    note: str = ""
    """Why the trial has no result, where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KillMatrix:
    """The whole matrix, as plain values."""

    faults: tuple[FaultRow, ...]
    variants: tuple[VariantRow, ...]
    laws: Mapping[str, str]
    """Check → its law; the columns of the matrix, in their order."""
    wall_s: float
    subject: str = "the reference"
    """What a fault is built into."""
    seed: int | None = None
    combinations: tuple[VariantRow, ...] = ()
    """Several variants at once."""
    generated: tuple[GeneratedRow, ...] = ()
    generated_in_all: int = 0
    """How many generated mutants there are, of which `generated` were tried."""

    def ids(self, *statuses: FaultStatus) -> list[str]:
        """Return the ids of the faults with one of the statuses, in order."""
        return [row.id for row in self.faults if row.status in statuses]

    @property
    def false_alarms(self) -> list[str]:
        """`variant: check` of every check that failed a correct implementation."""
        rows = (*self.variants, *self.combinations)
        return [f"{row.id}: {alarm}" for row in rows for alarm in row.alarms]

    def generated_with(self, *statuses: FaultStatus) -> list[GeneratedRow]:
        """Return the generated mutants with one of the statuses, in order."""
        return [row for row in self.generated if row.status in statuses]


def matrix_document(matrix: KillMatrix) -> dict[str, Json]:
    """Return the proof as one JSON object.

    `faults`, `killed`, `variants` are numbers; `survivors` (kills for another reason included,
    since the declared law did not fail), `void` (time-outs included), `false_alarms` and
    `killed_other` list names; `wall_s` is in seconds. `generated` has the numbers of generated
    mutants that were tried and detected, how many each law was the first to detect, and the
    survivors with their sentence and, where there is one, the reason why they stay unseen.
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
        "combinations": len(matrix.combinations),
        "generated": _generated_document(matrix),
    }


def _generated_document(matrix: KillMatrix) -> dict[str, Json]:
    survivors = matrix.generated_with(FaultStatus.SURVIVED)
    unproven = matrix.generated_with(FaultStatus.VOID, FaultStatus.TIMEOUT)
    return {
        "in_all": matrix.generated_in_all,
        "tried": len(matrix.generated),
        "detected": len(matrix.generated_with(FaultStatus.KILLED)),
        "first_by_law": dict[str, Json](first_by_law(matrix)),
        "survivors": [
            {"id": row.id, "what": row.what, "explained": row.explained} for row in survivors
        ],
        "void": [row.id for row in unproven],
        "wrongly_explained": list[Json](wrongly_explained(matrix)),
    }


def wrongly_explained(matrix: KillMatrix) -> list[str]:
    """Return ids of mutants that were detected though a reason says that no check can."""
    return [row.id for row in matrix.generated_with(FaultStatus.KILLED) if row.explained]


def first_by_law(matrix: KillMatrix) -> dict[str, int]:
    """Return law → number of generated mutants that it was the first to detect, every law once."""
    laws = dict.fromkeys(matrix.laws.values(), 0)
    for row in matrix.generated:
        if row.first_law:
            laws[row.first_law] = laws.get(row.first_law, 0) + 1
    return laws


def render_matrix_json(matrix: KillMatrix) -> str:
    """Return `matrix_document` on one line, with a final line feed."""
    return json.dumps(matrix_document(matrix), ensure_ascii=False) + "\n"


def render_matrix_file(matrix: KillMatrix) -> str:
    """Return `docs/kill-matrix.json`: `matrix_document` on many lines, without the wall time."""
    document = {key: value for key, value in matrix_document(matrix).items() if key != "wall_s"}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def render_matrix_markdown(matrix: KillMatrix) -> str:
    """Return the page `docs/kill-matrix.md`: score, faults, kills by check, variants.

    Wall time is left out of the page, so that the same proof gives the same page.
    """
    return "\n".join(_lines(matrix)) + "\n"


def _lines(matrix: KillMatrix) -> Iterator[str]:
    killed = len(matrix.ids(FaultStatus.KILLED))
    alarms = len(matrix.false_alarms)
    correct = len(matrix.variants) + len(matrix.combinations)
    yield "# The kill matrix"
    yield ""
    yield (
        f"**{killed} of {len(matrix.faults)} faults killed by an expected law; "
        f"{alarms} false {'alarm' if alarms == 1 else 'alarms'} on {correct} correct "
        "implementations.**"
    )
    yield ""
    yield (
        f"Each fault is {matrix.subject} with one defect. It counts as killed only if a check of "
        "a law that is expected to detect it fails. Made by `trueup prove`."
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
    yield from _generated(matrix)
    yield from _variants(matrix.variants, title="Correct, but different")
    yield from _variants(matrix.combinations, title="Several differences at once")


def _generated(matrix: KillMatrix) -> Iterator[str]:
    """Numbers of the generated mutants, which law was first to detect how many, survivors."""
    if not matrix.generated:
        return
    tried = [
        row for row in matrix.generated if row.status in (FaultStatus.KILLED, FaultStatus.SURVIVED)
    ]
    survivors = matrix.generated_with(FaultStatus.SURVIVED)
    explained = sum(bool(row.explained) for row in survivors)
    yield ""
    yield "## Generated mutants"
    yield ""
    yield (
        f"**{len(tried) - len(survivors)} of {len(tried)} detected**, out of "
        f"{matrix.generated_in_all} that the reference generates from its decisions, operators and "
        f"conditions; {len(survivors)} survive, {explained} of them explained. A mutant counts as "
        "detected where any law fails; the first in order is counted."
    )
    if unproven := matrix.generated_with(FaultStatus.VOID, FaultStatus.TIMEOUT):
        yield ""
        yield f"{len(unproven)} prove nothing: {', '.join(f'`{row.id}`' for row in unproven)}."
    if mistaken := wrongly_explained(matrix):
        yield ""
        yield f"Detected though explained: {', '.join(f'`{name}`' for name in mistaken)}."
    yield ""
    yield "| law | generated mutants that it was the first to detect |"
    yield "|---|---:|"
    for law, count in first_by_law(matrix).items():
        yield f"| {markdown_text(law)} | {count} |"
    if survivors:
        yield ""
        yield f"<details><summary>Survivors ({len(survivors)})</summary>"
        yield ""
        yield "| mutant | what it does wrong | why it stays unseen |"
        yield "|---|---|---|"
        for row in survivors:
            reason = markdown_text(row.explained) or "not explained"
            yield f"| `{row.id}` | {markdown_text(row.what)} | {reason} |"
        yield ""
        yield "</details>"


def _fault_table(matrix: KillMatrix) -> Iterator[str]:
    """A line for each fault; of the checks that detected it, those of the expected laws first."""
    yield ""
    yield "## Faults"
    yield ""
    yield "| | fault | what it does wrong | expected law | killed by |"
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
    """Law × fault: how many checks of the law fail; bold where it is expected to detect it."""
    laws = list(dict.fromkeys(matrix.laws.values()))
    if not laws or not matrix.faults:
        return
    yield ""
    yield "## Which law detects which fault"
    yield ""
    yield (
        "A row for each law, and the faults that make it fail. Bold: this law is expected to "
        "detect the fault. A law without a bold fault has not been shown to detect one."
    )
    yield ""
    yield "| law | checks | faults that make it fail |"
    yield "|---|---:|---|"
    for law in laws:
        checks = [check for check, of in matrix.laws.items() if of == law]
        detected = [
            f"**{markdown_text(row.id)}**" if law in row.laws else markdown_text(row.id)
            for row in matrix.faults
            if any(row.verdicts.get(check) is Verdict.FAIL for check in checks)
        ]
        yield f"| {markdown_text(law)} | {len(checks)} | {', '.join(detected) or 'none'} |"
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


def _variants(variants: Sequence[VariantRow], *, title: str) -> Iterator[str]:
    if not variants:
        return
    yield ""
    yield f"## {title}"
    yield ""
    yield "| | implementation | how it differs | alarms |"
    yield "|---|---|---|---|"
    for row in variants:
        alarms = ", ".join(map(markdown_text, row.alarms)) or "none"
        mark = "✗" if row.alarms else "✓"
        yield f"| {mark} | {markdown_text(row.id)} | {markdown_text(row.what)} | {alarms} |"
