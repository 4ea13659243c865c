"""The mutation register: by which laws a named fault must be detected, and how it is started.

What a fault does belongs to the reference; this file reads `register.toml`, `explained.toml` and
the list that the reference prints.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

import msgspec

from trueup.scenarios.embedded.target import NO_OVERRIDES, TargetOverrides
from trueup.scenarios.errors import OwnError

__all__ = [
    "ExpectedKill",
    "MutantCatalogue",
    "MutantEntry",
    "ProxiedRegister",
    "ProxiedSetup",
    "VariantSetup",
    "exclusive_variants",
    "load_expected_kills",
    "load_explained",
    "load_mutants",
    "load_proxied",
    "load_variant_setups",
    "quick_ids",
]

LIST_LIMIT_S: Final = 30.0


class VariantSetup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a variant is started and described."""

    options: tuple[str, ...] = ()
    overrides: TargetOverrides = NO_OVERRIDES
    readings: dict[str, str] = {}
    """Readings that describe the variant; declared in some of the trials of combinations."""


class ExpectedKill(VariantSetup, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The laws of which at least one must fail, and the lowest level that can show it."""

    laws: tuple[str, ...]
    level: int


class ProxiedSetup(VariantSetup, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a variant of the accounting of proxies is tried."""

    protocols: tuple[str, ...] = ("connect", "forward", "socks")
    delay_s: float = 0.0
    """Seconds between a request and its report."""


class ProxiedRegister(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The accountings of proxies: faults with their laws, and variants that need a setup."""

    faults: dict[str, ExpectedKill]
    variants: dict[str, ProxiedSetup]


class MutantEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A fault, a variant or a generated mutant, in the reference's own words."""

    id: str
    what: str
    replaces: tuple[str, ...] = ()
    """Decisions of the reference that it replaces; two variants that share one exclude another."""


class MutantCatalogue(msgspec.Struct, frozen=True, kw_only=True):
    """Every fault and variant of the reference."""

    faults: tuple[MutantEntry, ...]
    variants: tuple[MutantEntry, ...]
    generated: tuple[MutantEntry, ...] = ()


class _Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    quick: tuple[str, ...]
    exclusive: tuple[frozenset[str], ...] = ()
    faults: dict[str, ExpectedKill]
    variants: dict[str, VariantSetup]
    proxied: ProxiedRegister


@cache
def _register() -> _Register:
    text = (
        resources.files("trueup.scenarios.mutation")
        .joinpath("register.toml")
        .read_text(encoding="utf-8")
    )
    return msgspec.convert(tomllib.loads(text), _Register)


def load_expected_kills() -> Mapping[str, ExpectedKill]:
    """Return fault id → expected kill, from `scenarios/mutation/register.toml`."""
    return _register().faults


def load_variant_setups() -> Mapping[str, VariantSetup]:
    """Return variant id → how it is started and described, if not as usual."""
    return _register().variants


def load_proxied() -> ProxiedRegister:
    """Return the faults and variants of the accounting of proxies."""
    return _register().proxied


def quick_ids() -> frozenset[str]:
    """Return the faults and variants of the quick subset."""
    return frozenset(_register().quick)


def exclusive_variants() -> tuple[frozenset[str], ...]:
    """Return the groups of variants of which at most one can be true of an implementation."""
    return _register().exclusive


def load_explained() -> Mapping[str, str]:
    """Return pattern over ids → why no check can notice the generated mutants that match it."""
    text = (
        resources.files("trueup.scenarios.mutation")
        .joinpath("explained.toml")
        .read_text(encoding="utf-8")
    )
    return msgspec.convert(tomllib.loads(text), dict[str, dict[str, str]])["survivors"]


def load_mutants(*, generated: bool = False) -> MutantCatalogue:
    """Return the faults and variants that the reference at hand knows. Raises OwnError.

    `generated`: its generated mutants as well, which takes some seconds.
    """
    flags = ("--generated",) if generated else ()
    done = subprocess.run(
        [sys.executable, "-m", "trueup.reference", "mutants", "--json", *flags],
        capture_output=True,
        timeout=LIST_LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        raise OwnError(f"the reference could not list its mutants: {done.stderr.decode().strip()}")
    return msgspec.json.decode(done.stdout, type=MutantCatalogue)
