"""Delivery: handing events to a target and saying what became of them.

A driver answers for each event: accepted, refused, or unknown, where the answer was lost.
It retries with the same bytes, so with the same ids; it never calls a lost answer a loss.
"""

from trueup.simulator.delivery.command import CommandDriver, CommandForm
from trueup.simulator.delivery.forms import BodyForm, FieldMap, HttpForm
from trueup.simulator.delivery.http import HttpDriver
from trueup.simulator.delivery.outcomes import BatchOutcome, Driver
from trueup.simulator.delivery.responses import (
    InterpretedResponse,
    ResponseKind,
    ResponseRule,
    interpret_response,
)
from trueup.simulator.delivery.retry import RetryPolicy

__all__ = [
    "BatchOutcome",
    "BodyForm",
    "CommandDriver",
    "CommandForm",
    "Driver",
    "FieldMap",
    "HttpDriver",
    "HttpForm",
    "InterpretedResponse",
    "ResponseKind",
    "ResponseRule",
    "RetryPolicy",
    "interpret_response",
]
