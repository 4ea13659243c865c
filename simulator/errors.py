"""Exceptions of the simulator.

SimulatorError
├── ProfileError    a profile, a parameter or an override is not valid
├── FleetError      a fleet cannot be built, or an event that it does not have was requested
├── FitError        a profile cannot be fitted from a file
└── DataError       a committed data file was changed or is missing: an error of this package
"""

from __future__ import annotations

from trueup.reports.errors import ConfigurationError

__all__ = ["DataError", "FitError", "FleetError", "ProfileError", "SimulatorError"]


class SimulatorError(Exception):
    """Base class of the simulator's exceptions; the message is shown to the user."""


class ProfileError(SimulatorError, ConfigurationError):
    """A profile cannot be used; names the file, the parameter and the remedy."""


class FleetError(SimulatorError):
    """A fleet cannot be built from these values, or has no such event."""


class FitError(SimulatorError):
    """No profile can be fitted from a file; names the file and the line."""


class DataError(SimulatorError):
    """A committed data file does not have its committed checksum."""
