"""Check whether a load can begin, before a run has a folder and before anything is started.

Everything here is a usage error of status 4. Whether the target is there is asked later.
"""

from __future__ import annotations

import socket
from typing import Final

import msgspec

from trueup.conformance.target.model import Target
from trueup.scenarios.drivers import load_ingest
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.load.job import Locust
from trueup.scenarios.load.plan import LoadPlan, load_plan, with_changes
from trueup.scenarios.load.replay import REPLAY_PLAN, SPAN_MAX_S, open_log
from trueup.scenarios.scenario import LoadPart, ReplayPart, Scenario
from trueup.simulator.delivery import TransportForm
from trueup.simulator.model.profile import load_profile

__all__ = [
    "check_local",
    "check_target",
    "customers_of",
    "load_hooks",
    "minutes_of",
    "plan_of",
]

_MINUTES: Final = 60.0
"""Longest time of a run whose target file says nothing of it, without a load."""
_SEARCH_STEPS: Final = 40
"""More steps than a search for the limit has."""
_LOOPBACK: Final = "127.0.0.1"


def plan_of(part: LoadPart, *, seed: int | None) -> LoadPlan:
    """Return the load scenario with what the run changes of it. Raises ConfigurationError.

    `seed` None is the scenario's own. A replay's times are planned when its log was read.
    """
    if part.replay is not None:
        plan = REPLAY_PLAN if part.scenario == REPLAY_PLAN.name else load_plan(part.scenario)
        return plan if seed is None else msgspec.structs.replace(plan, seed=seed)
    return with_changes(
        load_plan(part.scenario), rate=part.rate, duration_s=part.duration_s, seed=seed
    )


def check_local(part: LoadPart) -> None:
    """See that the plan can be read and that the ports which it needs on this machine are free.

    Raises UsageProblem, or ProfileError where the fleet's overrides do not fit its profile.
    """
    plan = plan_of(part, seed=None)
    if part.replay is not None:
        _check_replay(part, part.replay)
    load_profile(plan.fleet.profile, plan.fleet.overrides or None)
    if part.web_port is not None:
        remedy = f"Choose another for --web, or see who listens on {part.web_port}"
        _free(_LOOPBACK, part.web_port, "Locust's web page cannot be shown", remedy)
    if part.master_bind is not None:
        port = Locust().master_port
        remedy = (
            "Give --master an address of this machine that the workers reach, and see that nothing "
            f"else listens on port {port}"
        )
        _free(part.master_bind, port, "workers could not connect", remedy)


def _check_replay(part: LoadPart, replay: ReplayPart) -> None:
    """See that a replay is not combined with what needs other traffic, and that its log can be
    read. Raises UsageProblem or AccessLogError.
    """
    given = {
        "a rate (--rate): a log has its own; --speed makes it faster": part.rate is not None,
        "--find-limit": part.find_limit,
        "--calibrate": part.calibrate,
        "--locustfile": bool(part.locustfile),
        "--master: the log is on this machine only; use --processes": part.master_bind is not None,
    }
    if odd := next((what for what, there in given.items() if there), ""):
        raise UsageProblem(f"a replay ({replay.file}) cannot be combined with {odd}")
    open_log(replay)


def _free(host: str, port: int, what: str, remedy: str) -> None:
    """Raise UsageProblem where an address cannot be listened on."""
    try:
        found = socket.getaddrinfo(host.removeprefix("*") or None, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise UsageProblem(
            f"{host} port {port} cannot be listened on, so that {what}: {said}. {remedy}."
        ) from error


def minutes_of(target: Target, scenario: Scenario) -> float:
    """Return how many minutes a run may take.

    What the target file says, or an hour and the planned length of a load.
    """
    if target.budget.minutes is not None:
        return target.budget.minutes
    if scenario.load is None:
        return _MINUTES
    steps = _SEARCH_STEPS if scenario.load.find_limit else 1
    return _MINUTES + steps * _load_minutes(scenario.load, plan_of(scenario.load, seed=None))


def _load_minutes(part: LoadPart, plan: LoadPlan) -> float:
    if part.replay is not None:
        # How long a log is shows when it was read; `prepare_replay` refuses what is longer.
        return (part.duration_s or SPAN_MAX_S) / 60
    return plan.shape.duration_s / 60


def check_target(part: LoadPart, target: Target) -> None:
    """See that the target file says all that the load needs of it. Raises UsageProblem."""
    plan, allowed = plan_of(part, seed=None), target.budget.minutes
    needed = _load_minutes(part, plan)
    known = part.replay is None or part.duration_s is not None
    if allowed is not None and known and needed > allowed:
        raise UsageProblem(
            f"{target.path}: budget.minutes = {allowed:g}, but load scenario {part.scenario} alone "
            f"takes {needed:g} minutes. Raise budget.minutes, or give a shorter --duration."
        )
    if plan.proxied is not None:
        _check_proxied(part, plan)
    elif isinstance(form := load_ingest(target), TransportForm):
        _check_transport(part, plan, form.name)
    customers_of(target)
    there = load_hooks(target)
    for name, shares in plan.fault_shares.items():
        if shares and name not in there:
            raise UsageProblem(
                f"load scenario {part.scenario} needs the control hook `{name}` while it "
                f"loads; {target.path} has none. Give it a [{name}] part, or leave --target out."
            )


def load_hooks(target: Target) -> tuple[str, ...]:
    """Return the names of the control hooks that a target has and that a load may call."""
    forms = {"restart": target.restart, "maintenance": target.maintenance}
    return tuple(name for name, form in forms.items() if form is not None)


def _check_transport(part: LoadPart, plan: LoadPlan, name: str) -> None:
    """Raise UsageProblem where the plan asks for what goes over HTTP only."""
    asked = (
        (plan.reads.share, "mixes reads in", "Take a scenario without reads, such as `steady`"),
        (
            plan.requests.malformed_every,
            "sends malformed lines, which a broker acknowledges as well",
            "Leave `requests.malformed_every` out",
        ),
        (part.locustfile, "runs a locustfile of your own", "Leave --locustfile out"),
        (part.calibrate, "is to be calibrated with a null sink", "Leave --calibrate out"),
    )
    for value, what, remedy in asked:
        if value:
            raise UsageProblem(
                f"load scenario {plan.name} {what}. That works over HTTP only, and this load goes "
                f"in through {name}. {remedy}."
            )


def _check_proxied(part: LoadPart, plan: LoadPlan) -> None:
    """Raise UsageProblem where the run asks for what requests through proxies do not have."""
    asked = {
        "--find-limit": part.find_limit,
        "--calibrate": part.calibrate,
        "--locustfile": bool(part.locustfile),
        "--master: the proxies listen on this machine only; use --processes": bool(
            part.master_bind is not None
        ),
        "--replay": part.replay is not None,
    }
    if odd := next((what for what, there in asked.items() if there), ""):
        raise UsageProblem(
            f"load scenario {plan.name} sends requests through proxies; that cannot be combined "
            f"with {odd}"
        )


def customers_of(target: Target) -> tuple[int, ...]:
    """Return the customer number of each tenant. Raises UsageProblem where one is not known."""
    known = [tenant.customer_id for tenant in target.tenants.values()]
    customers = tuple(number for number in known if number is not None)
    if len(customers) < len(known):
        raise UsageProblem(
            f"{target.path}: fleet traffic needs the customer_id of each tenant. "
            "Add customer_id below [tenants.a] and [tenants.b]."
        )
    return customers
