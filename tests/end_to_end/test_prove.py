"""The quick subset of the zoo, for every day; `make prove` tries all of it."""

from __future__ import annotations

import asyncio
import os

import pytest

from trueup.reports.renderers.kill_matrix import matrix_document
from trueup.scenarios.mutation.prove import CORRECT, exit_status_of_proof, prove
from trueup.scenarios.mutation.register import (
    load_expected_kills,
    load_mutants,
    load_variant_setups,
    quick_ids,
)

pytestmark = pytest.mark.slow


def test_the_quick_subset_is_killed_and_nobody_innocent_is_accused() -> None:
    """Every fault by a law that it is charged with; no alarm on what is right."""
    zoo, ids = load_mutants(), quick_ids()
    matrix = asyncio.run(
        prove(
            zoo,
            load_expected_kills(),
            load_variant_setups(),
            only=ids,
            seed=7,
            workers=len(os.sched_getaffinity(0)),
            progress=lambda done, total, name: None,
        )
    )
    found = matrix_document(matrix)
    variants = {entry.id for entry in zoo.variants} & ids
    assert (found["survivors"], found["void"], found["false_alarms"]) == ([], [], [])
    assert found["faults"] == len(ids - variants)
    assert found["killed"] == found["faults"]
    assert found["variants"] == len(variants) + len(CORRECT)
    assert exit_status_of_proof(matrix) == 0
