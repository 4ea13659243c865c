"""An example to extend: the fleet's events through Locust's own `FastHttpUser`.

    trueup load steady --locustfile scenarios/locustfiles/fasthttp.py

Behaviour in plain Python, one request at a time and user, about a tenth of the reactor's rate.
Copy this file and add tasks of your own beside `deliver`; what they send is yours, what `deliver`
sends is reconciled. Latency is measured from the send, as Locust does, so a target that freezes
looks better than it is: take latency figures from the reactor.
"""

from __future__ import annotations

from locust import FastHttpUser, task

from trueup.scenarios.locustfiles.delivery_tracker import DeliveryTracker

TRACKER = DeliveryTracker.of_this_run()


class ProxyUser(FastHttpUser):
    """Delivers one batch after the other, at its share of the scenario's rate."""

    host = TRACKER.host
    wait_time = TRACKER.wait_time
    connection_timeout = network_timeout = TRACKER.form.timeout_s

    @task
    def deliver(self) -> None:
        TRACKER.deliver(self)
