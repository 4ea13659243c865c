"""Deliver events to a target, and report an outcome for each: accepted, refused or unknown.

Retries send the same bytes, so the same ids. An attempt without a response leaves the outcome
unknown: the target may have stored the events.
"""

from trueup.simulator.delivery.command import CommandDriver, CommandForm
from trueup.simulator.delivery.forms import BodyForm, EventFormat, HttpForm
from trueup.simulator.delivery.http import HttpDriver
from trueup.simulator.delivery.outcomes import BatchOutcome, Driver, merge_ranges
from trueup.simulator.delivery.responses import (
    InterpretedResponse,
    ResponseKind,
    ResponseRule,
    interpret_response,
)
from trueup.simulator.delivery.retry import RetryPolicy
from trueup.simulator.delivery.transport import Transport, TransportDriver
from trueup.simulator.delivery.transports import TransportForm, transport_driver

__all__ = [
    "BatchOutcome",
    "BodyForm",
    "CommandDriver",
    "CommandForm",
    "Driver",
    "EventFormat",
    "HttpDriver",
    "HttpForm",
    "InterpretedResponse",
    "ResponseKind",
    "ResponseRule",
    "RetryPolicy",
    "Transport",
    "TransportDriver",
    "TransportForm",
    "interpret_response",
    "merge_ranges",
    "transport_driver",
]
