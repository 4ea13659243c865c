"""Generated mutants that are not faults: nothing that the documents state tells them apart.

A row rules out every mutant whose id matches its pattern (as in a shell), with the reason. A
ruled-out mutant cannot be started. A pattern that matches nothing is an error of this table, and a
test says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["EQUIVALENT", "Equivalent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalent:
    """A pattern over ids, and why what matches it is no fault."""

    pattern: str
    reason: str


_LATE: Final = "the documents say how long a row lives, not how soon after that it is gone"
_EDGE: Final = "a request takes longer than that second, so that no reader can tell"
_MAY_LACK: Final = "absent and null are both allowed for a field that is not inherent to the object"
_OWN_TIME: Final = "the moment of writing is the implementation's own, known only to a few seconds"
_FREE: Final = "the value is the implementation's own; the documents derive it from nothing"
_LINK: Final = "the documents say of this link only that it is given where applicable"
_ROUND: Final = "the field stays as it is: it has no value on which the operator could work"
_ORDER: Final = "the documents state no order of rows without sort_by, nor of equal ones"
_NOT_GUIDE: Final = (
    "log_local_ip_address", "log_local_port", "log_egress_ip_address", "log_total_elapsed_ms",
    "log_handshake_elapsed_ms", "log_tunnel_elapsed_ms", "log_concurrency",
    "log_is_tls_enabled", "log_smartpath_enabled", "log_smartpath_routed", "log_transport",
    "log_protocol_version", "log_method", "proxy_id", "customer_id", "log_status_code",
    "log_error_code", "log_session_id", "service_id",
)  # fmt: skip


def _rows(reason: str, *patterns: str) -> tuple[Equivalent, ...]:
    return tuple(Equivalent(pattern=pattern, reason=reason) for pattern in patterns)


EQUIVALENT: Final[tuple[Equivalent, ...]] = (
    *_rows(_LATE, "life.*:hour-late*", "life.*:day-late*"),
    *_rows(_EDGE, "life.*:second-*"),
    *_rows(
        _MAY_LACK,
        *(
            f"shown.log.*.{name}:{operator}*"
            for name in _NOT_GUIDE
            for operator in ("missing", "null")
        ),
        "shown.log_summary.*.customer_id:missing*",
        "shown.log_summary.*.customer_id:null*",
        "shown.log_summary.*.log_summary_charged_*:missing*",
        "shown.log_summary.*.log_summary_charged_*:null*",
        "shown.log_summary.*.log_summary_successful:missing*",
        "shown.log_summary.*.log_summary_successful:null*",
        "shown.log_summary.*.log_summary_error:missing*",
        "shown.log_summary.*.log_summary_error:null*",
        "shown.*_ledger.*.customer_id:missing*",
        "shown.*_ledger.*.customer_id:null*",
        "shown.*_ledger.*.service_id:missing*",
        "shown.*_ledger.*.service_id:null*",
        "shown.*_ledger.*.service_adjustment_id:missing*",
        "shown.*_ledger.*.service_adjustment_id:null*",
        "shown.proxy_user.*.customer_id:missing*",
        "shown.proxy_user.*.customer_id:null*",
    ),
    *_rows(
        _OWN_TIME,
        "shown.*_creation_datetime:*-second*",
        "shown.*_last_update_datetime:*-second*",
        "filter.*_creation_datetime.*:wider*",
        "filter.*_creation_datetime.*:narrower*",
        "filter.*_last_update_datetime.*:wider*",
        "filter.*_last_update_datetime.*:narrower*",
    ),
    *_rows(
        "the summary's last change is visible only in this field, which may lag as the row does",
        "shown.log_summary.*.log_summary_last_update_datetime:stale*",
        "shown.*_ledger.*_ledger_last_update_datetime:stale*",
    ),
    *_rows(
        "a field that never changes is not made wrong by staying as it was first shown",
        "shown.log.*:stale*",
        "shown.log_summary.*_id:stale*",
        "shown.log_summary.*.log_summary_network:stale*",
        "shown.log_summary.*.log_summary_period:stale*",
        "shown.log_summary.*.log_summary_creation_datetime:stale*",
        "shown.*_ledger.*_id:stale*",
        "shown.*_ledger.*_reason:stale*",
        "shown.*_ledger.*_period_date:stale*",
        "shown.*_ledger.*_creation_datetime:stale*",
        "shown.proxy_user.*.proxy_user_id:stale*",
        "shown.proxy_user.*.customer_id:stale*",
        "shown.proxy_user.*.proxy_user_creation_datetime:stale*",
        "shown.proxy_user.*.proxy_user_is_default:stale*",
        "shown.proxy_user.*.proxy_user_ip_address_authentication_limit:stale*",
    ),
    *_rows(
        _FREE,
        "shown.proxy_user.*.proxy_user_ip_address_authentication_limit:*",
        "shown.proxy_user.*.proxy_user_is_default:*",
        "filter.proxy_user.proxy_user_ip_address_authentication_limit.*",
        "order.proxy_user.proxy_user_ip_address_authentication_limit:*",
        "order.proxy_user.proxy_user_is_default:*",
    ),
    *_rows(
        _LINK,
        "shown.*_ledger.*.service_id:*",
        "shown.*_ledger.*.service_adjustment_id:*",
        "order.*_ledger.service_id:*",
        "order.*_ledger.service_adjustment_id:*",
    ),
    *_rows(
        "a network, protocol or access type has few values, so that rows beside each other share "
        "them, and upper case is no other value of the enumeration",
        "shown.*_network:upper*",
        "shown.*_protocol:upper*",
        "shown.*_transport:upper*",
    ),
    *_rows(
        "nothing is changed by the operator where there are no bytes",
        *(
            f"{point}:{operator}@bytes=zero"
            for operator in ("zero", "doubled", "int32", "float32", "negated")
            for point in ("*bytes*", "used.*")
        ),
    ),
    *_rows(
        "neither operator changes an amount below 2^24 bytes",
        "*:int32", "*:float32",
        *(
            f"*:{operator}@{condition}*"
            for operator in ("int32", "float32")
            for condition in (
                "network", "customer", "user", "outcome", "protocol", "hostname", "time", "date",
                "hour", "delivery", "age", "page", "row", "sort", "filter", "interval", "after",
                "kind",
            )
        ),
    ),
    *_rows(
        "a hostname in upper case is the same hostname",
        "shown.*_hostname:upper*",
    ),
    *_rows(
        _ORDER,
        *(
            f"page.*.rows:{operator}{when}"
            for operator in ("swap-first", "reverse")
            for when in ("", "@customer*", "@page*", "@filter*", "@after*")
        ),
        "breakdown.*:swap-first*", "breakdown.*:reverse*",
    ),
    *_rows(
        "a point of the graph carries its time, and the order of points is not stated",
        "graph.points:swap-first*", "graph.points:reverse*",
    ),
    *_rows(
        "the documents give no format by which such a value would be impossible",
        "refused.log_client_ip_address:*", "refused.log_hostname:*",
        "refused.log_status_code:*", "refused.log_id:*",
    ),
    *_rows(
        "the oldest proxy user is the account's own default one, which no caller knows of",
        "restarted.users:lose-first*",
    ),
    *_rows(_ROUND, "restarted.users:proxy_user_is_deleted-halved*"),
    *_rows(
        "an id is no beginning of another, nor is a value of an enumeration",
        "filter.log.log_id.exact:wider*",
        "filter.log_summary.log_summary_id.exact:wider*",
        "filter.*_ledger.*_ledger_id.exact:wider*",
        "filter.*_network.exact:wider*",
        "filter.*.log_protocol.exact:wider*",
        "filter.*.log_transport.exact:wider*",
        "filter.*.proxy_user_access_type.exact:wider*",
    ),
    *_rows(
        "an address has no letters that upper case would change",
        "filter.*_ip_address.exact:narrower*",
    ),
    *_rows(
        "traffic of this network has no pool",
        *(
            f"{point}@network={network}"
            for point in ("charge.*", "event.charged:*", "repeat.charged:*")
            for network in ("datacenter", "isp")
        ),
    ),
    *_rows(
        "a summary of this age has no hostname",
        "shown.log_summary.*.log_summary_hostname:*@age=90d",
    ),
    *_rows(
        "all rows of one customer have the same",
        "order.*.customer_id:*", "shown.*.customer_id:neighbour*",
    ),
    *_rows("how far back a graph shows detail is left open", "life.graph:*"),
    *_rows(
        "summaries are consolidated by days, and an hour less changes no day",
        "life.hostname:hour-early*",
    ),
    *_rows(
        "the next round, which may come at any moment, does what the first one left out",
        "maintained:*@time=first",
    ),
    *_rows(
        "the reason of a movement is free, except that it is not usage",
        "payment.reason:neighbour*",
    ),
    *_rows(
        "the inside of graph and breakdown is free, and counts of outcomes may be absent",
        "graph.successful:missing*", "graph.successful:null*",
        "graph.error:missing*", "graph.error:null*",
        "breakdown.*.successful:missing*", "breakdown.*.successful:null*",
        "breakdown.*.error:missing*", "breakdown.*.error:null*",
    ),
)  # fmt: skip
"""Every ruled-out mutant, by pattern."""
