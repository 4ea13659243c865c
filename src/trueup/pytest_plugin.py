"""Entry point of the pytest plug-in: it declares options and, until one is used, does no more.

pytest loads every installed plug-in in every project. Importing this module therefore imports
nothing else of trueup; `trueup.scenarios.pytest_plugin` is registered when a target is given.
"""

from __future__ import annotations

import pytest

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of the plug-in."""
    group = parser.getgroup("trueup", "conformance checks of a usage-tracking API")
    group.addoption(
        "--trueup-target",
        metavar="FILE",
        help="target file of the implementation that the checks are run against",
    )
    group.addoption(
        "--trueup-level",
        metavar="N",
        type=int,
        default=None,
        help="highest level to use, 0 (only read) to 4; the target may reach less (default: 4 for "
        "a target that is `disposable`, 2 for others)",
    )
    group.addoption(
        "--trueup-depth",
        metavar="DEPTH",
        choices=("quick", "standard", "exhaustive"),
        default="standard",
        help="how many requests the checks make: quick (at most 450), standard (1,200) or "
        "exhaustive",
    )
    group.addoption(
        "--trueup-seed", metavar="N", type=int, default=7, help="seed of the run (default: 7)"
    )
    group.addoption(
        "--trueup-runs",
        metavar="DIR",
        default="runs",
        help="where the run's journal and report are kept (default: runs)",
    )
    group.addoption(
        "--trueup-allow-host",
        metavar="HOST",
        action="append",
        default=[],
        help="confirm a target that is not on this machine's loopback",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the checks if a target is given."""
    if config.getoption("trueup_target") is not None:
        from trueup.scenarios import pytest_plugin

        config.pluginmanager.register(pytest_plugin, "trueup-checks-plugin")
