"""The register of expected kills and the reference name the same faults."""

from __future__ import annotations

from trueup.scenarios.mutation.register import load_expected_kills, load_mutants


def test_every_fault_is_charged_and_every_charge_has_a_fault() -> None:
    """A fault without a law would never count; a charge without a fault proves nothing."""
    mutants = {entry.id for entry in load_mutants().faults}
    charged = set(load_expected_kills())
    assert mutants - charged == set()
    assert charged - mutants == set()


def test_every_fault_and_variant_says_what_it_does() -> None:
    """One sentence each, and no two the same."""
    mutants = load_mutants()
    said = [entry.what for entry in (*mutants.faults, *mutants.variants)]
    assert all(sentence.strip() for sentence in said)
    assert len(said) == len(set(said))
