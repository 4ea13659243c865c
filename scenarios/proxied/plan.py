"""How requests are sent through proxies: a part of scenarios and of load scenarios. Values only."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from trueup.simulator.proxies import Protocol, RequestShape

__all__ = ["PROXIED", "RESTART_PROXIES", "ProxiedPlan"]

PROXIED: Final = "proxied"
"""Name of this traffic in the journal."""
RESTART_PROXIES: Final = "restart-proxies"
"""What a load does to the proxies where its plan says so: kill them and start them again."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ProxiedPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests of the fleet, through its proxies to an origin of our own."""

    behaviour: Literal["none", "fleet"] = "none"
    """Failures, delays and line rates of the proxies: none, or those of the profile."""
    delay_factor: Annotated[float, msgspec.Meta(ge=0, le=100)] = 0.01
    """Shortens the delays of the profile."""
    static_proxies: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 2
    """Static proxies of each customer and network."""
    bytes_max: Annotated[int, msgspec.Meta(ge=0, le=1 << 30)] = 20_000
    """Most bytes of a body; larger ones are cut to it."""
    protocol: Literal["fleet", "connect", "plain", "socks"] = "fleet"
    """How clients speak to the proxies; `fleet`: as the events say."""
    upload_share: Share | None = None
    """Share of requests that upload; without it: those whose event has POST."""
    cut_share: Share = 0.0
    """Share of requests whose response the origin cuts in the middle."""
    abort_share: Share = 0.0
    """Share of requests that the client aborts in the middle."""
    response_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0
    """How long a response takes, seconds; 0: as fast as it goes."""
    counting: Literal["both", "down", "with-handshake"] = "both"
    """Which bytes of a request count as its usage, as `trueup proxies --counting`."""
    report_every_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0
    """Seconds after which an open request is reported in part; 0: at its end."""
    checkpoint_s: Annotated[float, msgspec.Meta(ge=0.05, le=3600)] = 0.2
    """Seconds between writes of the bytes of open requests: a kill loses no more."""
    restart_at_share: tuple[Share, ...] = ()
    """Moments at which the proxies are killed and started again, as shares of the run."""

    def shape(self) -> RequestShape:
        """Return how requests differ from what their events say."""
        return RequestShape(
            bytes_max=self.bytes_max,
            protocol=None if self.protocol == "fleet" else Protocol(self.protocol),
            upload_share=self.upload_share,
            cut_share=self.cut_share,
            abort_share=self.abort_share,
            response_s=self.response_s,
        )
