"""What can go wrong with the fleet.

SimulatorError
├── ProfileError    a profile, a parameter or an override is not what it should be
├── FleetError      a fleet cannot be built, or an event of it was asked for that cannot be
├── FitError        a profile cannot be fitted from a file
└── DataError       a data file of ours was changed or is missing: our own fault
"""

from __future__ import annotations

__all__ = ["DataError", "FitError", "FleetError", "ProfileError", "SimulatorError"]


class SimulatorError(Exception):
    """Root of this room's errors; the message is for a person."""


class ProfileError(SimulatorError):
    """A profile cannot be used; names the file, the parameter and the remedy."""


class FleetError(SimulatorError):
    """A fleet cannot be built from these values, or has no such event."""


class FitError(SimulatorError):
    """No profile can be fitted from a file; names the file and the line."""


class DataError(SimulatorError):
    """A committed data file does not have the checksum it was committed with."""
