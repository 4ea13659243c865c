"""Exceptions of the simulator.

SimulatorError
├── ProfileError          a profile, a parameter or an override is not valid
├── FleetError            a fleet cannot be built, or an event that it does not have was requested
├── AccessLogError        a log cannot be read: its format, or too many of its lines
│   └── FitError          a log can be read, but no profile can be fitted from it
├── TransportMissing      a transport, or a package that it needs, is not installed
├── TransportUnreachable  a broker cannot be used: no connection, no stream, no topic
├── ListenError           an address cannot be listened on
├── SpoolError            the usage of listening proxies cannot be kept in its folder
└── DataError             a committed data file was changed or is missing: an error of this package
"""

from __future__ import annotations

from trueup.reports.errors import ConfigurationError

__all__ = [
    "AccessLogError",
    "DataError",
    "FitError",
    "FleetError",
    "ListenError",
    "ProfileError",
    "SimulatorError",
    "SpoolError",
    "TransportMissing",
    "TransportUnreachable",
]


class SimulatorError(Exception):
    """Base class of the simulator's exceptions; the message is shown to the user."""


class ProfileError(SimulatorError, ConfigurationError):
    """A profile cannot be used; names the file, the parameter and the remedy."""


class FleetError(SimulatorError):
    """A fleet cannot be built from these values, or has no such event."""


class AccessLogError(SimulatorError):
    """A log cannot be read; names the file, the line and the remedy."""


class FitError(AccessLogError):
    """No profile can be fitted from a log; names the file."""


class TransportMissing(SimulatorError):
    """A transport of this name, or a package that it needs, is not installed; says what to do."""


class TransportUnreachable(SimulatorError):
    """No event can be sent through a transport; says what was tried, what came back, what to do."""


class ListenError(SimulatorError):
    """An address cannot be listened on; names the address and the remedy."""


class SpoolError(SimulatorError):
    """The folder that keeps usage until it is delivered cannot be used; names it."""


class DataError(SimulatorError):
    """A committed data file does not have its committed checksum."""
