"""The fleet as listening proxies: HTTP forward, CONNECT and SOCKS5, with exact byte counts.

Each request leaves one usage event, which is kept on disk until a target has it. The proxies lead
to an origin that they were given, and nowhere else.
"""

from trueup.simulator.proxies.client import ProxyAddress, ProxyClient
from trueup.simulator.proxies.destinations import Destinations
from trueup.simulator.proxies.engine import ProxyEndpoint, ProxyEngine, ProxyLimits
from trueup.simulator.proxies.fleet_proxies import FleetEndpoint, fleet_endpoints, fleet_users
from trueup.simulator.proxies.planner import FleetPlanner, NoFaults, RequestPlanner
from trueup.simulator.proxies.records import (
    ClientEnd,
    ClientRecord,
    OpenRequest,
    ProxyRecord,
    RecordFile,
    RecoveredRecord,
    UsageRecord,
    read_client_records,
    read_connections,
    read_proxy_records,
)
from trueup.simulator.proxies.reporter import DeliveryGuarantee, UsageReporter
from trueup.simulator.proxies.server import ListeningProxy, ProxyServer
from trueup.simulator.proxies.spool import Spool
from trueup.simulator.proxies.tie_out import KilledAt, ProxiedTieOut, ProxiedTieOutRow
from trueup.simulator.proxies.traffic import (
    PlannedRequest,
    RequestShape,
    fleet_requests,
    planned_request,
)
from trueup.simulator.proxies.usage import (
    ByteCounting,
    ByteCounts,
    Protocol,
    ProxiedRequest,
    utc_now,
)
from trueup.simulator.proxies.users import (
    Authentication,
    FleetUser,
    UserDirectory,
    UserNameSyntax,
)

__all__ = [
    "Authentication",
    "ByteCounting",
    "ByteCounts",
    "ClientEnd",
    "ClientRecord",
    "DeliveryGuarantee",
    "Destinations",
    "FleetEndpoint",
    "FleetPlanner",
    "FleetUser",
    "KilledAt",
    "ListeningProxy",
    "NoFaults",
    "OpenRequest",
    "PlannedRequest",
    "Protocol",
    "ProxiedRequest",
    "ProxiedTieOut",
    "ProxiedTieOutRow",
    "ProxyAddress",
    "ProxyClient",
    "ProxyEndpoint",
    "ProxyEngine",
    "ProxyLimits",
    "ProxyRecord",
    "ProxyServer",
    "RecordFile",
    "RecoveredRecord",
    "RequestPlanner",
    "RequestShape",
    "Spool",
    "UsageRecord",
    "UsageReporter",
    "UserDirectory",
    "UserNameSyntax",
    "fleet_endpoints",
    "fleet_requests",
    "fleet_users",
    "planned_request",
    "read_client_records",
    "read_connections",
    "read_proxy_records",
    "utc_now",
]
