"""What the commands that build a fleet share: how tenants are written, and errors of the fleet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from trueup.simulator.errors import DataError, SimulatorError

__all__ = ["read_customers", "usage_errors"]


def read_customers(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """Return the numbers of tenants such as `1955,1956`; None where none are given."""
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r}; write whole numbers such as 1955,1956") from None


@contextmanager
def usage_errors() -> Iterator[None]:
    """Raise errors of the simulator as usage errors, but for a changed data file: that is ours."""
    try:
        yield
    except DataError:
        raise
    except SimulatorError as error:
        raise click.UsageError(str(error)) from error
