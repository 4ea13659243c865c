"""The register of charges and the reference's zoo name the same faults."""

from __future__ import annotations

from trueup.scenarios.mutation.register import load_charges, load_zoo


def test_every_fault_is_charged_and_every_charge_has_a_fault() -> None:
    """A fault without a law would never count; a charge without a fault proves nothing."""
    zoo = {entry.id for entry in load_zoo().faults}
    charged = set(load_charges())
    assert zoo - charged == set()
    assert charged - zoo == set()


def test_every_fault_and_variant_says_what_it_does() -> None:
    """One sentence each, and no two the same."""
    zoo = load_zoo()
    said = [entry.what for entry in (*zoo.faults, *zoo.variants)]
    assert all(sentence.strip() for sentence in said)
    assert len(said) == len(set(said))
