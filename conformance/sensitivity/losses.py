"""Check that no single lost or unusable response fails a target that conforms.

Each recorded response of a run is replaced in turn by one that was lost, sent by a gateway, or cut
off. Verdicts may become inconclusive; none that passed may fail.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final

from msgspec.structs import replace

from trueup.conformance.sensitivity.measure import Rejudge
from trueup.conformance.sensitivity.recording import Recording
from trueup.reports.journal.records import Exchange
from trueup.reports.results import CheckResult, Verdict

__all__ = ["FalseFailure", "Loss", "LostResponse", "false_failures", "lost_responses"]

_HTML: Final = (
    "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1>"
    "</center><hr><center>nginx</center></body></html>"
)
_TEXT_KEPT: Final = 2_000
"""Characters that an exchange keeps of a body that is not JSON."""


class Loss(StrEnum):
    """How a response is unusable."""

    LOST = "lost"
    BAD_GATEWAY = "502 HTML page"
    RATE_LIMITED = "429"
    TRUNCATED = "truncated JSON"
    CUT = "over-large body, cut"


@dataclass(frozen=True, kw_only=True, slots=True)
class LostResponse:
    """One exchange whose response is replaced."""

    n: int
    loss: Loss
    question: str

    def exchanges(self, recording: Recording) -> Mapping[int, Exchange]:
        """Return the changed exchange by its number."""
        return {self.n: _lost(recording.exchanges[self.n], self.loss)}


@dataclass(frozen=True, kw_only=True, slots=True)
class FalseFailure:
    """A check that fails because one response is unusable, or an exception."""

    n: int
    loss: Loss
    question: str
    check: str
    reason: str


def lost_responses(
    recording: Recording, *, limit: int | None = None, seed: int = 0
) -> tuple[LostResponse, ...]:
    """Return every loss of every exchange, or `limit` of them, chosen by a hash of the seed."""
    every = [
        LostResponse(n=n, loss=loss, question=f"{exchange.stage}: {exchange.ask}")
        for n, exchange in recording.exchanges.items()
        for loss in Loss
    ]
    if limit is not None and limit < len(every):
        every = sorted(every, key=lambda one: _rank(seed, one))[:limit]
    return tuple(every)


def false_failures(
    rejudge: Rejudge,
    baseline: Sequence[CheckResult],
    recording: Recording,
    losses: Sequence[LostResponse],
) -> Iterator[FalseFailure]:
    """Yield every check that fails with a loss and not without it."""
    before = {result.check: result.verdict for result in baseline}
    for one in losses:
        try:
            after = rejudge(one.exchanges(recording))
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            yield FalseFailure(n=one.n, loss=one.loss, question=one.question, check="", reason=why)
            continue
        for result in after:
            if result.verdict is Verdict.FAIL and before.get(result.check) is not Verdict.FAIL:
                yield FalseFailure(
                    n=one.n,
                    loss=one.loss,
                    question=one.question,
                    check=result.check,
                    reason=result.reason,
                )


def _lost(exchange: Exchange, loss: Loss) -> Exchange:
    text = json.dumps(exchange.body)
    match loss:
        case Loss.LOST:
            return replace(
                exchange,
                status=None,
                error="no response within 10 s",
                content_type="",
                headers={},
                body=None,
                body_text="",
            )
        case Loss.BAD_GATEWAY:
            return replace(
                exchange, status=502, content_type="text/html", body=None, body_text=_HTML
            )
        case Loss.RATE_LIMITED:
            body = {
                "error": "Too Many Requests",
                "message": "Rate limit exceeded. Please try again in 45 seconds.",
                "api_request_id": "00000000-0000-4000-8000-000000000429",
            }
            return replace(exchange, status=429, headers={"retry-after": "45"}, body=body)
        case Loss.TRUNCATED:
            return replace(exchange, body=None, body_text=text[: len(text) // 2][:_TEXT_KEPT])
        case Loss.CUT:
            huge = f'{{"data": "{"x" * _TEXT_KEPT}'
            return replace(exchange, body=None, body_text=huge[:_TEXT_KEPT])


def _rank(seed: int, one: LostResponse) -> bytes:
    return blake2b(f"{seed} {one.n} {one.loss}".encode(), digest_size=8).digest()
