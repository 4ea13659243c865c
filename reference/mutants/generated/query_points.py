"""Mutation points between a request and its rows: filters, order, customers, windows, keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from trueup.reference.behaviour import Behaviour
from trueup.reference.graph import Filters, WindowParts
from trueup.reference.mutants.generated.conditions import Memory, Subject, conditions
from trueup.reference.mutants.generated.mutation_point import (
    Alteration,
    Install,
    MutationPoint,
    altering,
)
from trueup.reference.mutants.generated.operators import Operator, adding, named, replacing
from trueup.reference.mutants.generated.response_points import (
    READ_VIEWS,
    ROW_VIEWS,
    SEARCHED,
)
from trueup.reference.query import Between, Condition, Equal, Like, Sort
from trueup.reference.resources import RESOURCES, Field, Resource, ResourceKind
from trueup.reference.times import HOUR_US, SECOND_US

__all__ = ["POINTS"]

# Filters.

_BESIDE: Final = conditions("beside", "after")


def _step(field: Field) -> int:
    return SECOND_US if field.kind is ResourceKind.INSTANT else 1


def _moved(condition: Condition, by: int) -> Condition:
    """A range whose bounds lie `by` steps further out."""
    if not isinstance(condition, Between):
        return condition
    step = by * _step(condition.field)
    return replace(
        condition,
        low=None if condition.low is None else condition.low - step,
        high=None if condition.high is None else condition.high + step,
    )


def _wider(condition: Condition) -> Condition:
    match condition:
        case Equal(negated=False):
            return Like(field=condition.field, pattern=f"{condition.value}%")
        case Like():
            return replace(condition, pattern=f"%{condition.pattern.strip('%')[:-1]}%")
        case _:
            return _moved(condition, 1)


def _narrower(condition: Condition) -> Condition:
    match condition:
        case Equal(negated=False):
            return replace(condition, value=condition.value.upper())
        case Like():
            return Equal(field=condition.field, value=condition.pattern.strip("%"))
        case _:
            return _moved(condition, -1)


def _opposite(condition: Condition) -> Condition:
    if isinstance(condition, Between | Equal):
        return replace(condition, negated=not condition.negated)
    return condition


_FILTERED: Final = (
    replacing("ignored", "is ignored", None),
    Operator(name="wider", phrase="lets too much through", change=lambda c, _: _wider(c)),
    Operator(name="narrower", phrase="lets too little through", change=lambda c, _: _narrower(c)),
    Operator(name="opposite", phrase="does the opposite", change=lambda c, _: _opposite(c)),
)


def _form(condition: Condition) -> str:
    """Prefix of the parameter that a condition came from."""
    match condition:
        case Like():
            return "like"
        case Between(negated=True) | Equal(negated=True):
            return "not"
        case Between(low=None):
            return "max"
        case Between(high=None):
            return "min"
        case _:
            return "exact"


def _filter(resource: Resource, name: str, form: str) -> Install:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def conditions_of(
            given_to: Resource, given: tuple[Condition, ...]
        ) -> tuple[Condition, ...]:
            right = behaviour.conditions(given_to, given)
            if given_to.name != resource.name:
                return right
            subject = Subject(combined=len(given) > 1)
            changed = (
                change.to(each, subject)
                if each.field.name == name and _form(each) == form
                else each
                for each in right
            )
            return tuple(each for each in changed if each is not None)

        return {"conditions": conditions_of}

    return install


_FORMS: Final = {
    ResourceKind.TEXT: ("exact", "like", "not"),
    ResourceKind.BOOLEAN: ("exact", "not"),
}
_RANGE: Final = ("exact", "min", "max", "not")


def _fitting(form: str) -> tuple[Operator, ...]:
    """Operators that change what a form of filter lets through."""
    wanted = {
        "not": ("ignored", "opposite"),
        "like": ("ignored", "wider", "narrower"),
        "exact": ("ignored", "wider", "narrower", "opposite"),
    }.get(form, ("ignored", "wider", "narrower"))
    return named(_FILTERED, *wanted)


def _filters() -> Iterator[MutationPoint]:
    for resource in (RESOURCES[name] for name in SEARCHED):
        for number, field in enumerate(resource.fields):
            if field.kind is ResourceKind.DOCUMENT:
                continue
            forms = _FORMS.get(field.kind, _RANGE)
            for place, form in enumerate(forms):
                yield MutationPoint(
                    id=f"filter.{resource.name}.{field.name}.{form}",
                    what=f"The filter {'' if form == 'exact' else form + '_'}{field.name} "
                    f"of {resource.name}/search",
                    operators=_fitting(form),
                    conditions=_BESIDE,
                    install=_filter(resource, field.name, form),
                    depth=1 if number % len(forms) == place else 0,
                )


# Order.

_ORDERED: Final = (
    replacing("ignored", "is ignored", Sort()),
    Operator(
        name="reversed",
        phrase="is the other way round",
        change=lambda sort, _: replace(sort, descending=not sort.descending),
    ),
    Operator(
        name="as-text",
        phrase="takes numbers for text",
        change=lambda sort, _: replace(
            sort, field=replace(sort.field, column=f"CAST({sort.field.column} AS TEXT)")
        ),
    ),
)


def _order(resource: Resource, name: str) -> Install:
    def subject(_memory: Memory, given_to: Resource, sort: Sort) -> Subject | None:
        if given_to.name != resource.name or sort.field is None or sort.field.name != name:
            return None
        return Subject(descending=sort.descending)

    return altering("sort", subject)


def _orders() -> Iterator[MutationPoint]:
    for resource in (RESOURCES[name] for name in SEARCHED):
        for number, field in enumerate(resource.fields):
            if field.kind is ResourceKind.DOCUMENT:
                continue
            numeric = field.kind is ResourceKind.INTEGER
            yield MutationPoint(
                id=f"order.{resource.name}.{field.name}",
                what=f"The order by {field.name} of {resource.name}/search",
                operators=_ORDERED if numeric else named(_ORDERED, "ignored", "reversed"),
                conditions=conditions("sort", "after"),
                install=_order(resource, field.name),
                depth=number % 2,
            )


# Windows of pages: a page that begins or ends elsewhere.

_WINDOWS: Final = (
    Operator(name="late", phrase="begins a row late", change=lambda w, _: (w[0] + 1, w[1])),
    Operator(
        name="early", phrase="begins a row early", change=lambda w, _: (max(0, w[0] - 1), w[1])
    ),
    Operator(name="short", phrase="ends a row early", change=lambda w, _: (w[0], w[1] - 1)),
    Operator(name="long", phrase="ends a row late", change=lambda w, _: (w[0], w[1] + 1)),
)


def _of_page(_memory: Memory, page: int, per_page: int, total: int) -> Subject:
    return Subject(page=page, is_last=page * per_page >= total)


# Tenants.

_SEEN: Final = (
    Operator(
        name="everyone",
        phrase="are those of all customers",
        change=lambda everyone, _: tuple(everyone),
    ),
)


def _visible(view: str) -> Install:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def visible_to(
            customer_id: int, everyone: Sequence[int], what: str, given: Sequence[Condition]
        ) -> tuple[int, ...]:
            subject = Subject(customer_id=customer_id, filtered=bool(given))
            if what == view and change.applies(subject):
                seen: tuple[int, ...] = change.operator.change(everyone, None)
                return seen
            return behaviour.visible_to(customer_id, everyone, what, given)

        return {"visible_to": visible_to}

    return install


def _tenants() -> Iterator[MutationPoint]:
    for view in ROW_VIEWS:
        filtered = () if view.endswith("retrieve") or "analytics" in view else ("filter",)
        yield MutationPoint(
            id=f"tenant.{view}",
            what=f"The rows that {view.replace('.', '/')} looks at",
            operators=_SEEN,
            conditions=conditions("customer", *filtered, "after"),
            install=_visible(view),
            depth=2,
        )


# Keys.

_KEYS: Final = (
    Operator(name="public", phrase="is the public one alone", change=lambda keys, _: keys[0]),
    Operator(name="private", phrase="is the private one alone", change=lambda keys, _: keys[1]),
    replacing("any", "is any", True),
)
_GUARDED: Final = (*READ_VIEWS, "proxy_user.create", "proxy_user.edit", "proxy_user.delete")
_OPEN: Final = (replacing("unchecked", "is not checked", True),)


def _key(view: str) -> Install:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def let_in(asked: str, public: bool, private: bool) -> bool:
            if asked == view and change.applies(Subject()):
                return bool(change.operator.change((public, private), None))
            return behaviour.let_in(asked, public, private)

        return {"let_in": let_in}

    return install


def _control_key(hook: str) -> Install:
    def subject(_memory: Memory, asked: str, _right: bool) -> Subject | None:
        return Subject() if asked == f"control/{hook}" else None

    return altering("let_control", subject)


def _keys() -> Iterator[MutationPoint]:
    for view in _GUARDED:
        yield MutationPoint(
            id=f"keys.{view}",
            what=f"The key that {view.replace('.', '/')} asks for",
            operators=_KEYS,
            conditions=conditions("after=restart"),
            install=_key(view.replace(".", "/")),
            depth=1,
        )
    for hook in ("clock", "maintenance", "money"):
        yield MutationPoint(
            id=f"keys.control.{hook}",
            what=f"The key of the control hook {hook}",
            operators=_OPEN,
            conditions=conditions("after=restart"),
            install=_control_key(hook),
            depth=2,
        )


# Graph and breakdown: filters, and which part of a period is read from what.


def _analytics_filter(half: str, name: str) -> Install:
    def subject(_memory: Memory, given: Filters) -> Subject:
        names = ("hostname", "network", "proxy_user_id", "service_id")
        others = [each for each in names if each != name and getattr(given, each) is not None]
        return Subject(combined=bool(others))

    return altering(half, subject, field=name)


_IGNORED: Final = (replacing("ignored", "is ignored", None),)


def _halves() -> Iterator[MutationPoint]:
    for half, title, names in (
        ("old_filters", "summaries", ("hostname", "network", "proxy_user_id")),
        ("new_filters", "logs", ("hostname", "network", "proxy_user_id", "service_id")),
    ):
        for name in names:
            yield MutationPoint(
                id=f"graph.{half}.{name}",
                what=f"The {name} filter of graph and breakdown, where they read {title}",
                operators=_IGNORED,
                conditions=_BESIDE,
                install=_analytics_filter(half, name),
                depth=2,
            )


_BOUNDS: Final = (
    adding("later", "is one step later", 1),
    adding("earlier", "is one step earlier", -1),
)


def _bound(part: str, index: int, step: int) -> Install:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def window_parts(start_us: int, end_us: int, visible_us: int, interval: str) -> WindowParts:
            right = behaviour.window_parts(start_us, end_us, visible_us, interval)
            bounds = list(getattr(right, part))
            if bounds[0] >= bounds[1]:
                return right
            subject = Subject(interval=interval, at_us=start_us)
            steps = change.to(0, subject)
            bounds[index] += steps * step
            return replace(right, **{part: (bounds[0], bounds[1])})

        return {"window_parts": window_parts}

    return install


def _windows() -> Iterator[MutationPoint]:
    for part, title, step in (("days", "summaries", 1), ("logs", "logs", HOUR_US)):
        for index, edge in enumerate(("start", "end")):
            yield MutationPoint(
                id=f"graph.{part}.{edge}",
                what=f"The {edge} of what a graph reads from {title}",
                operators=_BOUNDS,
                conditions=conditions("interval", "date"),
                install=_bound(part, index, step),
                depth=4,
            )


# Errors.


def _without(name: str) -> Callable[[Any, Any], Any]:
    return lambda answer, _: (
        answer[0], {key: each for key, each in answer[1].items() if key != name}
    )  # fmt: skip


_ERRORS: Final = (
    Operator(name="status-200", phrase="has the status 200", change=lambda a, _: (200, a[1])),
    Operator(name="status-500", phrase="has the status 500", change=lambda a, _: (500, a[1])),
    Operator(name="no-error", phrase="lacks the field error", change=_without("error")),
    Operator(name="no-message", phrase="lacks the field message", change=_without("message")),
    Operator(name="no-id", phrase="lacks api_request_id", change=_without("api_request_id")),
    Operator(
        name="html",
        phrase="is a page of HTML",
        change=lambda a, _: (a[0], f"<html><body>{a[0]}</body></html>"),
    ),
    Operator(name="empty", phrase="has an empty body", change=lambda a, _: (a[0], "")),
)
_STATUSES: Final = (400, 401, 404, 409, 422)


def _error(status: int) -> Install:
    def subject(_memory: Memory, given: int, _title: str, _message: str) -> Subject | None:
        return Subject() if given == status else None

    return altering("error", subject)


def _errors() -> Iterator[MutationPoint]:
    for status in _STATUSES:
        yield MutationPoint(
            id=f"error.{status}",
            what=f"The response of an error that has the status {status}",
            operators=_ERRORS,
            conditions=conditions("after"),
            install=_error(status),
            depth=4,
        )


POINTS: Final = (
    *_filters(),
    *_orders(),
    MutationPoint(
        id="page.window",
        what="A page of a list",
        operators=_WINDOWS,
        conditions=conditions("page", "row=last", "after"),
        install=altering("window", _of_page),
        depth=6,
    ),
    *_tenants(),
    *_keys(),
    *_halves(),
    *_windows(),
    *_errors(),
)
"""Every point between a request and its rows."""
