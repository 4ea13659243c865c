"""What can be searched, field by field: names in the API, kinds, and columns in the store.

One table drives filters, sorting and rendering, so that they cannot disagree. It knows nothing of
customers, retention or paging.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trueup.reference.networks import NETWORKS, POOLS

__all__ = ["RESOURCES", "Field", "Resource", "ResourceKind"]


class ResourceKind(StrEnum):
    """How a field is stored, compared and shown."""

    TEXT = "text"
    INTEGER = "integer"
    AMOUNT = "amount"
    """Two limbs in the columns `<column>_high` and `<column>_low`."""
    BOOLEAN = "boolean"
    INSTANT = "date-time"
    """Microseconds in the store, `YYYY-MM-DD HH:MM:SS` outside."""
    MIDNIGHT = "day as date-time"
    """A day number in the store, its first second outside."""
    DATE = "date"
    """A day number in the store, `YYYY-MM-DD` outside."""
    DOCUMENT = "document"
    """JSON text in the store, the value outside; neither filtered nor sorted by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a resource. `values` are all values of an enumeration."""

    name: str
    kind: ResourceKind
    column: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A searchable resource. `order` is the column of the default order, oldest first."""

    name: str
    title: str
    table: str
    key: str
    fields: tuple[Field, ...]
    order: str
    where: str = "1"
    """A condition that every row of this resource meets."""
    tie: str = "seq"
    """Order of arrival; breaks every tie."""

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)


def _fields(kind: ResourceKind, *names: str, prefix: str = "") -> tuple[Field, ...]:
    return tuple(Field(name=prefix + name, kind=kind, column=name) for name in names)


def _log() -> Resource:
    text, integer, boolean = ResourceKind.TEXT, ResourceKind.INTEGER, ResourceKind.BOOLEAN
    return Resource(
        name="log",
        title="Log",
        table="log",
        key="log_id",
        order="log_request_datetime",
        fields=(
            *_fields(text, "log_id", "proxy_user_id"),
            *_fields(integer, "customer_id"),
            *_fields(text, "service_id", "proxy_id"),
            Field(name="log_network", kind=text, column="log_network", values=NETWORKS),
            Field(name="log_protocol", kind=text, column="log_protocol", values=("http", "socks")),
            *_fields(text, "log_protocol_version"),
            Field(
                name="log_transport",
                kind=text,
                column="log_transport",
                values=("tcp", "udp", "quic"),
            ),
            *_fields(text, "log_method", "log_hostname"),
            *_fields(integer, "log_status_code"),
            *_fields(text, "log_error_code", "log_session_id", "log_client_ip_address"),
            *_fields(text, "log_local_ip_address"),
            *_fields(integer, "log_local_port"),
            *_fields(text, "log_egress_ip_address"),
            *_fields(integer, "log_total_bytes", "log_total_elapsed_ms"),
            *_fields(integer, "log_handshake_elapsed_ms", "log_tunnel_elapsed_ms"),
            *_fields(integer, "log_concurrency"),
            *_fields(boolean, "log_is_tls_enabled", "log_smartpath_enabled"),
            *_fields(boolean, "log_smartpath_routed"),
            *_fields(integer, "log_authentication_type"),
            *_fields(ResourceKind.INSTANT, "log_request_datetime"),
            *_fields(text, "country_id", "city_alias"),
            *_fields(integer, "asn_id"),
        ),
    )


def _log_summary() -> Resource:
    name, integer = "log_summary_", ResourceKind.INTEGER
    charged = "(CASE WHEN network IN ('residential', 'mobile') THEN {} ELSE 0 END)"
    return Resource(
        name="log_summary",
        title="Log Summary",
        table="summary",
        key="log_summary_id",
        order="day",
        fields=(
            *_fields(ResourceKind.TEXT, "log_summary_id", "proxy_user_id"),
            *_fields(integer, "customer_id"),
            Field(name=name + "network", kind=ResourceKind.TEXT, column="network", values=NETWORKS),
            Field(name=name + "hostname", kind=ResourceKind.TEXT, column="NULLIF(hostname, '')"),
            *_fields(integer, "requests", "successful", "error", prefix=name),
            Field(name=name + "bytes", kind=ResourceKind.AMOUNT, column="bytes"),
            Field(name=name + "charged_requests", kind=integer, column=charged.format("requests")),
            Field(name=name + "charged_bytes", kind=ResourceKind.AMOUNT, column="charged"),
            Field(name=name + "period", kind=ResourceKind.MIDNIGHT, column="day"),
            Field(name=name + "creation_datetime", kind=ResourceKind.INSTANT, column="created_us"),
            Field(
                name=name + "last_update_datetime", kind=ResourceKind.INSTANT, column="updated_us"
            ),
        ),
    )


def _ledger(pool: str) -> Resource:
    name = f"{pool}_ledger_"
    return Resource(
        name=f"{pool}_ledger",
        title=f"{pool.title()} Ledger",
        table="ledger",
        key=f"{pool}_ledger_id",
        order="day",
        where=f"network = '{pool}'",
        fields=(
            Field(name=name + "id", kind=ResourceKind.TEXT, column="ledger_id"),
            *_fields(ResourceKind.INTEGER, "customer_id"),
            *_fields(ResourceKind.TEXT, "service_id"),
            *_fields(ResourceKind.INTEGER, "service_adjustment_id"),
            *_fields(ResourceKind.TEXT, "reason", prefix=name),
            *_fields(ResourceKind.INTEGER, "requests", prefix=name),
            *_fields(ResourceKind.AMOUNT, "bytes", prefix=name),
            Field(name=name + "period_date", kind=ResourceKind.DATE, column="day"),
            Field(name=name + "creation_datetime", kind=ResourceKind.INSTANT, column="created_us"),
            Field(
                name=name + "last_update_datetime", kind=ResourceKind.INSTANT, column="updated_us"
            ),
        ),
    )


def _proxy_user() -> Resource:
    return Resource(
        name="proxy_user",
        title="Proxy User",
        table="proxy_user",
        key="proxy_user_id",
        order="seq",
        fields=(
            *_fields(ResourceKind.TEXT, "proxy_user_id", "proxy_user_password"),
            *_fields(ResourceKind.INTEGER, "customer_id"),
            Field(
                name="proxy_user_access_type",
                kind=ResourceKind.TEXT,
                column="proxy_user_access_type",
                values=("all", "service_restricted", "proxy_restricted"),
            ),
            *_fields(
                ResourceKind.BOOLEAN, "proxy_user_is_strict_security", "proxy_user_enforce_https"
            ),
            *_fields(ResourceKind.BOOLEAN, "proxy_user_is_default", "proxy_user_is_deleted"),
            *_fields(ResourceKind.INTEGER, "proxy_user_ip_address_authentication_limit"),
            *_fields(ResourceKind.DOCUMENT, "ip_address_authentications", "proxy_user_metadata"),
            *_fields(ResourceKind.INTEGER, "proxy_user_residential_bytes_limit"),
            *_fields(ResourceKind.INTEGER, "proxy_user_mobile_bytes_limit"),
            *_fields(ResourceKind.INSTANT, "proxy_user_creation_datetime"),
            *_fields(ResourceKind.INSTANT, "proxy_user_last_update_datetime"),
        ),
    )


def _service() -> Resource:
    return Resource(
        name="service",
        title="Service",
        table="service",
        key="service_id",
        order="seq",
        fields=(
            *_fields(ResourceKind.TEXT, "service_id"),
            *_fields(ResourceKind.INTEGER, "customer_id"),
            *_fields(ResourceKind.TEXT, "service_name", "service_type", "service_status"),
            *_fields(ResourceKind.TEXT, "service_protocol", "service_cycle", "country_id"),
            *_fields(ResourceKind.TEXT, "payment_method_id", "service_subscription_id"),
            *_fields(ResourceKind.TEXT, "service_promotional_code", "service_image"),
            *_fields(ResourceKind.INTEGER, "service_quantity", "service_total"),
            *_fields(ResourceKind.BOOLEAN, "service_is_automatic_collection"),
            *_fields(ResourceKind.BOOLEAN, "service_is_pending_cancellation"),
            *_fields(ResourceKind.BOOLEAN, "service_subscription_is_paused"),
            *_fields(ResourceKind.DOCUMENT, "service_metadata"),
            *_fields(
                ResourceKind.INSTANT, "service_creation_datetime", "service_dispatch_datetime"
            ),
            *_fields(ResourceKind.INSTANT, "service_earliest_cancellation_datetime"),
            *_fields(
                ResourceKind.INSTANT, "service_expiry_datetime", "service_last_update_datetime"
            ),
        ),
    )


def _service_adjustment() -> Resource:
    return Resource(
        name="service_adjustment",
        title="Service Adjustment",
        table="service_adjustment",
        key="service_adjustment_id",
        order="service_adjustment_id",
        tie="service_adjustment_id",
        fields=(
            *_fields(ResourceKind.INTEGER, "service_adjustment_id"),
            *_fields(ResourceKind.TEXT, "service_id", "invoice_id"),
            *_fields(ResourceKind.TEXT, "service_adjustment_type", "service_adjustment_status"),
            *_fields(ResourceKind.DOCUMENT, "service_adjustment_pre", "service_adjustment_post"),
            *_fields(ResourceKind.DOCUMENT, "service_adjustment_eval"),
            *_fields(ResourceKind.BOOLEAN, "service_adjustment_is_administrator"),
            *_fields(ResourceKind.BOOLEAN, "service_adjustment_is_automatic"),
            *_fields(ResourceKind.BOOLEAN, "service_adjustment_is_customer"),
            *_fields(ResourceKind.INSTANT, "service_adjustment_creation_datetime"),
            *_fields(ResourceKind.INSTANT, "service_adjustment_last_update_datetime"),
        ),
    )


RESOURCES: Final[dict[str, Resource]] = {
    resource.name: resource
    for resource in (
        _log(),
        _log_summary(),
        *(_ledger(pool) for pool in POOLS),
        _proxy_user(),
        _service(),
        _service_adjustment(),
    )
}
"""Every searchable resource, by its name in the path."""
