"""A subset of the mutants, for every day; `make prove` tries all of them."""

from __future__ import annotations

import asyncio
import os

import pytest

from trueup.conformance.datasets.depth import Depth
from trueup.reports.renderers.kill_matrix import (
    FaultStatus,
    first_by_law,
    matrix_document,
    wrongly_explained,
)
from trueup.scenarios.mutation.prove import CORRECT, exit_status_of_proof, prove
from trueup.scenarios.mutation.register import (
    exclusive_variants,
    load_expected_kills,
    load_explained,
    load_mutants,
    load_variant_setups,
    quick_ids,
)
from trueup.scenarios.mutation.sampling import sample, variant_combinations

SAMPLE = 48
DETECTED = 0.6
"""Least share of the sample at depth `quick`; `make prove` measures that of all of them."""
COMBINATIONS = 1
SEED = 7

pytestmark = pytest.mark.slow


def test_the_quick_faults_are_detected_and_no_variant_fails() -> None:
    """Every fault by a law that is registered for it; no check fails for a variant."""
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
            depth=Depth.QUICK,
        )
    )
    found = matrix_document(matrix)
    variants = {entry.id for entry in zoo.variants} & ids
    assert (found["survivors"], found["void"], found["false_alarms"]) == ([], [], [])
    assert found["faults"] == len(ids - variants)
    assert found["killed"] == found["faults"]
    assert found["variants"] == len(variants) + len(CORRECT)
    assert exit_status_of_proof(matrix) == 0


def test_a_sample_of_generated_mutants_is_tried_and_accounted_for() -> None:
    """Each is detected, with the law that was first, or survives, with its sentence."""
    mutants = load_mutants(generated=True)
    matrix = asyncio.run(
        prove(
            mutants,
            load_expected_kills(),
            load_variant_setups(),
            only=frozenset(),
            seed=SEED,
            workers=len(os.sched_getaffinity(0)),
            progress=lambda done, total, name: None,
            generated=sample(mutants.generated, SAMPLE, seed=SEED),
            explained=load_explained(),
            depth=Depth.QUICK,
        )
    )
    assert len({row.id for row in matrix.generated}) == SAMPLE
    assert matrix.generated_with(FaultStatus.VOID, FaultStatus.TIMEOUT) == []
    assert wrongly_explained(matrix) == []
    detected = matrix.generated_with(FaultStatus.KILLED)
    assert sum(first_by_law(matrix).values()) == len(detected) >= DETECTED * SAMPLE
    assert all(row.first_law in matrix.laws.values() for row in detected)
    survivors = matrix.generated_with(FaultStatus.SURVIVED)
    assert len(detected) + len(survivors) == SAMPLE
    assert all(row.what.endswith(".") and not row.first_law for row in survivors)
    assert matrix.false_alarms == []


def test_combinations_of_variants_raise_no_alarm() -> None:
    """Many differences at once, with their readings declared and without."""
    mutants = load_mutants()
    rows = variant_combinations(mutants.variants, exclusive_variants(), seed=SEED)
    matrix = asyncio.run(
        prove(
            mutants,
            load_expected_kills(),
            load_variant_setups(),
            only=frozenset(),
            seed=SEED,
            workers=len(os.sched_getaffinity(0)),
            progress=lambda done, total, name: None,
            combinations=sample(rows, COMBINATIONS, seed=SEED),
        )
    )
    assert len(matrix.combinations) == 2 * COMBINATIONS
    assert matrix.false_alarms == []
