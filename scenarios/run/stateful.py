"""Stateful tests as a part of a run, and the file that keeps the shortest failing sequence."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from trueup.conformance.client.deadline import Deadline
from trueup.conformance.stateful.run import explore, replay
from trueup.conformance.stateful.steps import StepSequence
from trueup.reports.renderers.writer import write_text
from trueup.scenarios.drivers import open_driver
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.run.phases import RunContext
from trueup.scenarios.scenario import StatefulPart

__all__ = ["STEPS_FILE", "run_stateful_part"]

STATEFUL_NAME: Final = "stateful"
STEPS_FILE: Final = "steps.json"
"""In the folder of a run: the shortest failing sequence."""


def run_stateful_part(context: RunContext, part: StatefulPart, deadline: Deadline) -> None:
    """Run sequences until one fails or enough have passed; keep the shortest that fails."""
    context.reporter.start("stateful tests", None)
    context.phase(STATEFUL_NAME, "begin")
    driver = partial(open_driver, context.target)
    if part.replay:
        sequence = _read_steps(Path(part.replay))
        outcome = replay(
            context.target,
            sequence,
            writer=context.writer,
            ingest=driver,
            level=part.level,
        )
    else:
        outcome = explore(
            context.target,
            writer=context.writer,
            ingest=driver,
            seed=context.seed,
            examples=part.examples,
            level=part.level,
            deadline=deadline,
        )
    if outcome.shortest is not None:
        text = msgspec.json.format(msgspec.json.encode(outcome.shortest), indent=2).decode()
        write_text(context.folder / STEPS_FILE, text + "\n")
    context.phase(STATEFUL_NAME, "end")
    context.reporter.finish(f"{outcome.examples} sequences, {outcome.requests} requests")


def _read_steps(path: Path) -> StepSequence:
    """Return a sequence as an earlier run kept it. Raises UsageProblem that names the file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=StepSequence)
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise UsageProblem(
            f"{path}: not a sequence of steps: {error}. A run with a failure writes {STEPS_FILE}."
        ) from error
