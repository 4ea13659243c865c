"""Whether the ingestion endpoint accepts the credentials, tried before any traffic."""

from __future__ import annotations

from trueup.conformance.target.model import HttpIngest, Target
from trueup.scenarios.drivers import load_form
from trueup.scenarios.errors import CouldNotTell
from trueup.simulator.delivery import HttpDriver

__all__ = ["try_ingestion"]


async def try_ingestion(target: Target) -> None:
    """Send a delivery without events to an endpoint over HTTP; do nothing for any other.

    Raises CouldNotTell where the endpoint refuses the credentials, or redirects to another host.
    """
    if not isinstance(target.ingest, HttpIngest):
        return
    driver = HttpDriver(load_form(target))
    try:
        refusal = await driver.refused_access()
    finally:
        await driver.close()
    if refusal:
        raise CouldNotTell(
            f"{target.ingest.url}: a delivery without events was refused: {refusal}\n"
            "  expected: an endpoint that lets trueup send events; check the headers and "
            f"credentials of [ingest] in {target.path}, and the variables that it names"
        )
