"""Faults between delivery and store: A, and I."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from trueup.reference.behaviour import Amounts, SummaryCell
from trueup.reference.events import Log, Refusal, read_line
from trueup.reference.mutants.mutant import Mutant, fresh, swap
from trueup.reference.mutants.values import as_float32, as_int31
from trueup.reference.times import DAY_US

__all__ = ["FAULTS"]


def altered(log: Log, **fields: Any) -> Log:
    """Return a copy of the log with other values."""
    return msgspec.structs.replace(log, **fields)


def _without_last(logs: list[Log], _now_us: int) -> list[Log]:
    return logs[:-1] if len(logs) > 1 else logs


def _mixed_users(logs: list[Log], _now_us: int) -> list[Log]:
    """Every second change of user within a delivery is booked on the user before it."""
    mixed = list(logs)
    changes = 0
    for before, (index, log) in zip(logs, enumerate(logs[1:], 1), strict=False):
        same_tenant = log.customer_id == before.customer_id
        if same_tenant and log.proxy_user_id != before.proxy_user_id:
            changes += 1
            if changes % 2:
                mixed[index] = altered(log, proxy_user_id=before.proxy_user_id)
    return mixed


def _delete_history(connection: Any, customer_id: int, user: str) -> None:
    for table in ("log", "summary"):
        connection.execute(
            f"DELETE FROM {table} WHERE customer_id = ? AND proxy_user_id = ?",  # noqa: S608
            (customer_id, user),
        )


def _only(keep: Callable[[Log], bool]) -> Callable[[Sequence[Log]], list[Log]]:
    return lambda logs: [log for log in logs if keep(log)]


def _take(keep: Callable[[Log, int], bool]) -> Callable[[list[Log], int], list[Log]]:
    return lambda logs, now_us: [log for log in logs if keep(log, now_us)]


def _int32(logs: list[Log], _now_us: int) -> list[Log]:
    return [altered(log, log_total_bytes=as_int31(log.log_total_bytes)) for log in logs]


def _float32(cells: dict[SummaryCell, Amounts]) -> dict[SummaryCell, Amounts]:
    return {
        cell: amounts._replace(bytes=as_float32(amounts.bytes)) for cell, amounts in cells.items()
    }


def _whole_kib(log: Log) -> Amounts:
    kib = -(-log.log_total_bytes // 1024)
    return Amounts(1, kib * 1024, log.successful, not log.successful)


def _read_negative(line: bytes, fold: Callable[[str], str]) -> Log:
    """Takes a negative amount as it comes."""
    try:
        return read_line(line, fold)
    except Refusal:
        try:
            event = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError):
            event = {}
        amount = event.get("log_total_bytes")
        if type(amount) is not int or not -(2**63) <= amount < 0:
            raise
        log = read_line(msgspec.json.encode({**event, "log_total_bytes": 0}), fold)
        return altered(log, log_total_bytes=amount)


def _in_order() -> dict[str, Any]:
    newest: dict[tuple[int, str], int] = {}

    def counted(logs: list[Log]) -> list[Log]:
        kept = []
        for log in logs:
            key = (log.customer_id, log.proxy_user_id)
            if log.at_us >= newest.get(key, log.at_us):
                newest[key] = log.at_us
                kept.append(log)
        return kept

    return {"counted": counted}


_LATE_US: Final = DAY_US

FAULTS: Final[tuple[Mutant, ...]] = (
    swap("A1", "A repeated delivery is stored and counted again.", unique_log_ids=False),
    swap(
        "A2",
        "A repeated delivery adds no log but is counted again in the summary.",
        counted_again=list,
    ),
    swap("A3", "The last event of every delivery of two or more is lost.", take=_without_last),
    swap(
        "A4",
        "Failed requests are missing in the summaries.",
        counted=_only(lambda log: log.successful),
    ),
    swap(
        "A5",
        "Requests without bytes are not counted in the summaries.",
        counted=_only(lambda log: log.log_total_bytes > 0),
    ),
    swap(
        "A6",
        "When users alternate within a delivery, some events are booked on the user before.",
        take=_mixed_users,
    ),
    swap(
        "A7",
        "Deleting a proxy user deletes its logs and summaries.",
        on_delete=_delete_history,
    ),
    swap("I1", "Bytes of one event overflow at 2^31.", take=_int32),
    swap("I2", "Summaries add bytes as 32-bit floating-point numbers.", settle=_float32),
    swap("I3", "Summaries round the bytes of each event up to whole KiB.", amounts=_whole_kib),
    swap("I4", "An event with negative bytes is accepted.", read_line=_read_negative),
    swap(
        "N1",
        "A delivery of more than 500 events keeps the first 500 and accepts all.",
        take=lambda logs, _now_us: logs[:500],
    ),
    swap(
        "N2",
        "Events of the socks protocol are accepted and dropped.",
        take=_take(lambda log, _now_us: log.log_protocol != "socks"),
    ),
    fresh(
        "N3",
        "An event older than the newest one of its user gets a log but no summary.",
        _in_order,
    ),
    swap(
        "N4",
        "A repeated delivery is deducted from the pool again, though counted once elsewhere.",
        charged_again=list,
    ),
    swap(
        "N5",
        "Logs keep the first three parts of an IPv4 client address only.",
        stored=lambda logs: [
            altered(
                log,
                log_client_ip_address=log.log_client_ip_address.rpartition(".")[0] + ".0"
                if "." in log.log_client_ip_address
                else log.log_client_ip_address,
            )
            for log in logs
        ],
    ),
    swap(
        "N6",
        "Logs of mobile traffic lose their city and network operator.",
        stored=lambda logs: [
            altered(log, city_alias="", asn_id=0) if log.log_network == "mobile" else log
            for log in logs
        ],
    ),
    swap(
        "C4",
        "An event more than a day late is accepted and then dropped.",
        take=_take(lambda log, now_us: log.at_us >= now_us - _LATE_US),
    ),
)
