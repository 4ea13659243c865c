"""The register of faults: by which laws each must be convicted.

What a fault does belongs to the reference; this file only reads `register.toml` and the
list that the reference prints, and says where the two disagree.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Final

import msgspec

from trueup.scenarios.embedded.target import NO_OVERRIDES, TargetOverrides
from trueup.scenarios.errors import OwnError

__all__ = [
    "ExpectedKill",
    "MutantCatalogue",
    "MutantEntry",
    "VariantSetup",
    "load_expected_kills",
    "load_mutants",
    "load_variant_setups",
    "quick_ids",
]

LIST_LIMIT_S: Final = 30.0


class VariantSetup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a variant is started and described."""

    options: tuple[str, ...] = ()
    overrides: TargetOverrides = NO_OVERRIDES


class ExpectedKill(VariantSetup, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The laws of which at least one must fail, and the lowest level that can show it."""

    laws: tuple[str, ...]
    level: int


class MutantEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A fault or a variant, in the reference's own words."""

    id: str
    what: str


class MutantCatalogue(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the reference can be told to be instead of right."""

    faults: tuple[MutantEntry, ...]
    variants: tuple[MutantEntry, ...]


class _Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    quick: tuple[str, ...]
    faults: dict[str, ExpectedKill]
    variants: dict[str, VariantSetup]


def _register() -> _Register:
    text = (
        resources.files("trueup.scenarios.mutation")
        .joinpath("register.toml")
        .read_text(encoding="utf-8")
    )
    return msgspec.convert(tomllib.loads(text), _Register)


def load_expected_kills() -> Mapping[str, ExpectedKill]:
    """Fault id → charge, from `scenarios/mutation/register.toml`."""
    return _register().faults


def load_variant_setups() -> Mapping[str, VariantSetup]:
    """Variant id → how it is started and described, where that is not as usual."""
    return _register().variants


def quick_ids() -> frozenset[str]:
    """Faults and variants of the quick subset."""
    return frozenset(_register().quick)


def load_mutants() -> MutantCatalogue:
    """The faults and variants that the reference at hand knows. Raises OwnError."""
    done = subprocess.run(
        [sys.executable, "-m", "trueup.reference", "mutants", "--json"],
        capture_output=True,
        timeout=LIST_LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        raise OwnError(f"the reference could not list its zoo: {done.stderr.decode().strip()}")
    return msgspec.json.decode(done.stdout, type=MutantCatalogue)
