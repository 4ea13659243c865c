"""The fleet as listening proxies: HTTP forward, CONNECT and SOCKS5, with exact byte counts.

Each request leaves one usage event, which is kept on disk until a target has it. The proxies lead
to an origin that they were given, and nowhere else.
"""

from trueup.simulator.proxies.client import ClientCounts, ProxyClient
from trueup.simulator.proxies.destinations import Destinations
from trueup.simulator.proxies.engine import ProxyEndpoint, ProxyEngine, ProxyLimits
from trueup.simulator.proxies.fleet_proxies import FleetEndpoint, fleet_endpoints, fleet_users
from trueup.simulator.proxies.planner import FleetPlanner, NoFaults, RequestPlanner
from trueup.simulator.proxies.reporter import DeliveryGuarantee, UsageReporter
from trueup.simulator.proxies.server import ListeningProxy, ProxyServer
from trueup.simulator.proxies.spool import Spool
from trueup.simulator.proxies.tie_out import ProxiedTieOut, ProxiedTieOutRow
from trueup.simulator.proxies.traffic import PlannedRequest, fleet_requests
from trueup.simulator.proxies.usage import ByteCounting, ByteCounts, ProxiedRequest
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
    "ClientCounts",
    "DeliveryGuarantee",
    "Destinations",
    "FleetEndpoint",
    "FleetPlanner",
    "FleetUser",
    "ListeningProxy",
    "NoFaults",
    "PlannedRequest",
    "ProxiedRequest",
    "ProxiedTieOut",
    "ProxiedTieOutRow",
    "ProxyClient",
    "ProxyEndpoint",
    "ProxyEngine",
    "ProxyLimits",
    "ProxyServer",
    "RequestPlanner",
    "Spool",
    "UsageReporter",
    "UserDirectory",
    "UserNameSyntax",
    "fleet_endpoints",
    "fleet_requests",
    "fleet_users",
]
