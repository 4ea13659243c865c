"""What happened in a load run, in short statements, each with a label.

The terminal and the Markdown summary have the same statements; how they are laid out is decided
there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from trueup.reports.formatting import amount, figure, milliseconds, one_line, plural, quantity, rate
from trueup.reports.journal.records import LoadResult, RequestCounts
from trueup.reports.metrics.load_metrics import Fault, Latency, LoadFigures
from trueup.reports.model import SentEvents
from trueup.reports.results import LoadThreshold
from trueup.reports.verdicts import ThresholdOutcome, threshold_outcome, why_undetermined

__all__ = [
    "Statements",
    "errors_of",
    "faults_text",
    "knee_text",
    "load_statements",
    "met_text",
    "refusal_text",
    "sent_text",
    "threshold_text",
]

Statements = tuple[str, tuple[str, ...]]
"""A label and the statements below it."""
_MOST_ERRORS: Final = 3
_REASON: Final = 60


def load_statements(figures: LoadFigures) -> Iterator[Statements]:
    """Yield what was sent, its results, errors, disturbances and the limit, each with its label."""
    load = figures.result
    if load.plan.replay:
        yield "replay", tuple(load.plan.replay.split(", "))
    yield "", tuple(_sent(figures))
    yield "latency", tuple(_quantiles(figures.response)) or ("not measured",)
    if beside := tuple(_beside(figures)):
        yield "", beside
    if load.requests.errors:
        yield "errors", tuple(_errors(load.requests))
    if meanwhile := tuple(_meanwhile(figures)):
        yield "meanwhile", meanwhile
    yield "generator", tuple(_own(figures))
    if knee := knee_text(load):
        yield "limit", tuple(knee.split("; ", 1))


def sent_text(sent: SentEvents) -> str:
    """Return the number of events of one source, and how many are not known to be accepted."""
    count = sent.accepted + sent.refused + sent.unknown
    parts = ((sent.refused, "refused"), (sent.unknown, "unknown"))
    but = ", ".join(f"{amount(number)} {word}" for number, word in parts if number)
    told = plural(count, "event")
    match sent.source:
        case "probe":
            told = f"injected {told}"
        case "freshness":
            told = plural(count, "freshness probe")
        case _:
            told = f"{sent.source} {told}"
    return f"{told} ({but})" if but else told


def refusal_text(sent: SentEvents) -> str:
    """Return why most of many refused events were refused; empty where few were."""
    if not sent.many_refused or not sent.reasons:
        return ""
    reason, count = sent.reasons[0]
    return f"{amount(count)} of the {amount(sent.refused)} refused: {reason or 'no reason given'}"


def errors_of(requests: RequestCounts) -> list[tuple[str, int]]:
    """Return the reasons of failed attempts and how often each occurred, most frequent first."""
    return Counter(requests.errors).most_common()


def knee_text(load: LoadResult) -> str:
    """Return the interval in which the limits stop being met, and what it is based on.

    Empty where it was not searched for.
    """
    if load.knee is None:
        return ""
    low, high = load.knee.low_rps, load.knee.high_rps
    if low is None:
        below = "unknown" if high is None else f"below {figure(high)} requests/s"
        return f"{below}; {load.knee.why}"
    top = "?" if high is None else figure(high)
    return (
        f"{figure(low)} to {top} requests/s of {load.plan.batch} events "
        f"({figure(low * load.plan.batch)} events/s and more); {load.knee.why}"
    )


def threshold_text(threshold: LoadThreshold, load: LoadResult) -> str:
    """Return a threshold that was not met: measured value, limit, and why it may not count."""
    why, limit = why_undetermined(threshold, load), quantity(threshold.limit, threshold.unit)
    if threshold.value is None:
        return f"{threshold.name}: {why}, limit {limit}"
    text = f"{threshold.name}: {quantity(threshold.value, threshold.unit)}, limit {limit}"
    return f"{text} ({why})" if why else text


def met_text(load: LoadResult) -> tuple[str, ...]:
    """Return each threshold that was met: name, measured value, limit."""
    return tuple(
        f"{t.name} {quantity(t.value or 0, t.unit)}, limit {quantity(t.limit, t.unit)}"
        for t in load.thresholds
        if threshold_outcome(t, load) is ThresholdOutcome.MET
    )


def faults_text(faults: Sequence[Fault]) -> tuple[str, ...]:
    """Return how often each disturbance was made, and how often it failed."""
    counts = Counter(fault.what for fault in faults)
    failed = Counter(fault.what for fault in faults if fault.error)
    return tuple(
        (plural(count, what) if what == "restart" else f"{amount(count)} × {what}")
        + (f" ({amount(failed[what])} failed)" if failed[what] else "")
        for what, count in counts.items()
    )


def _sent(figures: LoadFigures) -> Iterator[str]:
    load, events = figures.result, figures.result.events
    per_s = f", {rate(figures.requests_per_s)}/s" if figures.requests_per_s is not None else ""
    planned = f" of {rate(load.plan.rate_rps)} planned" if load.plan.rate_rps is not None else ""
    planned += " with reads" if planned and load.requests.reads else ""
    of_events = f"{plural(load.requests.completed, 'request')} × {plural(load.plan.batch, 'event')}"
    yield f"{of_events}{per_s}{planned}"
    yield f"{amount(events.accepted)} events accepted"
    if events.refused:
        yield f"{amount(events.refused)} refused"
    if events.unknown:
        yield f"{amount(events.unknown)} of unknown outcome"


def _beside(figures: LoadFigures) -> Iterator[str]:
    for word, latency, count in (
        ("read", figures.reads, figures.result.requests.reads),
        ("fresh after", figures.freshness, 0),
    ):
        told = [f"{name} {milliseconds(ms)}" for name, ms in latency.quantiles.items()]
        said = ", ".join(told[0:3:2])
        if count:
            yield ", ".join((plural(count, word), *([said] if said else [])))
        elif said:
            yield f"{word} {said}"


def _quantiles(latency: Latency) -> Iterator[str]:
    for name, ms in latency.quantiles.items():
        yield f"{name} {milliseconds(ms)}"


def _errors(requests: RequestCounts) -> Iterator[str]:
    found = errors_of(requests)
    yield f"{amount(requests.failed)} in {plural(requests.attempts, 'attempt')}"
    for reason, count in found[:_MOST_ERRORS]:
        yield f"{amount(count)} × {one_line(reason, _REASON)}"
    if len(found) > _MOST_ERRORS:
        yield plural(len(found) - _MOST_ERRORS, "more kind")


def _meanwhile(figures: LoadFigures) -> Iterator[str]:
    load, plan = figures.result, figures.result.plan
    yield from faults_text(figures.faults)
    batches = -(-load.events.sent // max(plan.batch, 1))
    if plan.malformed_every:
        lines = plural(batches // plan.malformed_every, "malformed line")
        yield f"about {lines} (in 1 of {plan.malformed_every} batches)"
    if plan.duplicate_every:
        yield f"1 of {plan.duplicate_every} batches sent twice at once"


def _own(figures: LoadFigures) -> Iterator[str]:
    generator, batch = figures.result.generator, figures.result.plan.batch
    yield f"late p99 {milliseconds(figures.lateness.quantiles.get('p99'))}"
    if generator.cpu_share is not None:
        yield f"busy {generator.cpu_share:.0%}"
    if generator.null_sink_rps is not None:
        yield f"null sink {rate(generator.null_sink_rps)}/s × {plural(batch, 'event')}"
