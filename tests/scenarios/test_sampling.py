"""Samples of generated mutants, combinations of variants, and explained survivors."""

from __future__ import annotations

from itertools import combinations

from trueup.scenarios.embedded.target import TargetOverrides
from trueup.scenarios.mutation.register import (
    VariantSetup,
    exclusive_variants,
    load_explained,
    load_mutants,
    load_variant_setups,
)
from trueup.scenarios.mutation.sampling import (
    combined_setup,
    explanation,
    sample,
    variant_combinations,
)


def test_a_sample_is_spread_over_the_whole_order() -> None:
    """One item of every n; the same seed gives the same sample, and no item comes twice."""
    items = range(1000)
    chosen = sample(items, 60, seed=7)
    assert chosen == sample(items, 60, seed=7) != sample(items, 60, seed=8)
    assert len(set(chosen)) == 60
    for start in range(0, 1000, 100):
        assert sum(start <= each < start + 100 for each in chosen) in (5, 6, 7)


def test_a_sample_of_all_or_of_more_is_everything_and_of_none_is_nothing() -> None:
    """None stands for all."""
    assert sample("abc", None, seed=1) == sample("abc", 9, seed=1) == ("a", "b", "c")
    assert sample("abc", 0, seed=1) == ()


def test_every_compatible_pair_of_variants_is_tried_together_and_no_other() -> None:
    """Over the reference's own variants: what replaces one decision is never combined."""
    variants = load_mutants().variants
    exclusive = exclusive_variants()
    rows = variant_combinations(variants, exclusive, seed=7)
    together = {frozenset(pair) for row in rows for pair in combinations(row, 2)}
    for one, two in combinations(variants, 2):
        pair = frozenset((one.id, two.id))
        clash = set(one.replaces) & set(two.replaces) or any(pair <= each for each in exclusive)
        assert (pair in together) is not bool(clash), (one.id, two.id)
    assert len(rows) < 40


def test_a_combination_joins_what_its_variants_need() -> None:
    """Flags, overrides and, where they are declared, readings."""
    setups = {
        "V1": VariantSetup(readings={"usage-sign": "positive"}),
        "V2": VariantSetup(
            options=("--tenants", "3"),
            overrides=TargetOverrides(without=("charged",), graph={"points": "x"}),
        ),
    }
    setup = combined_setup(["V1", "V2", "V3"], setups, declared=True)
    flags = ("--variant", "V1", "--variant", "V2", "--variant", "V3", "--tenants", "3")
    assert setup.options == flags
    assert setup.overrides == TargetOverrides(
        without=("charged",), graph={"points": "x"}, readings={"usage-sign": "positive"}
    )
    assert combined_setup(["V1"], setups, declared=False).overrides == TargetOverrides()


def test_the_register_names_known_variants_only() -> None:
    """A setup or a group of something that does not exist would say nothing."""
    known = {variant.id for variant in load_mutants().variants} | {"reference-limited"}
    assert load_variant_setups().keys() <= known
    assert all(group <= known for group in exclusive_variants())


def test_every_explanation_is_of_a_mutant_that_exists() -> None:
    """A pattern without a mutant is stale; a reason is a sentence."""
    mutants = load_mutants(generated=True).generated
    assert len(mutants) >= 400
    for pattern, reason in load_explained().items():
        assert any(explanation(each.id, {pattern: reason}) for each in mutants), pattern
        assert len(reason.split()) > 3


def test_the_first_pattern_that_matches_explains() -> None:
    """Patterns are those of a shell; what none matches is unexplained."""
    table = {"day:*@after=restart": "first", "day:*": "second"}
    assert explanation("day:utc+9@after=restart", table) == "first"
    assert explanation("day:utc+9", table) == "second"
    assert explanation("limit:stops", table) == ""
