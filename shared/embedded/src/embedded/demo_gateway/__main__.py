"""``python -m embedded.demo_gateway --port 8010``: the demo gateway as a process.

DEMO_WEBHOOK_SECRET and GATEWAY_INGEST_URL are needed; ``--port`` wins over DEMO_GATEWAY_PORT. With
STRIPE_WEBHOOK_SECRET it also plays Stripe, under ``/stripe``, with CLICKPESA_WEBHOOK_SECRET also ClickPesa, under
``/clickpesa``, with PAYMENTS_API_URL and ADMIN_TOKEN a bank, under ``/bank``, with SERVICE_TOKEN chains, under
``/coins``; DEMO_GATEWAY_URL is how browsers reach it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from chassis.clock import SystemClock
from chassis.http import serve_http
from chassis.ids import Uuid7Factory
from chassis.logging import configure_logging
from chassis.runtime import StopSignal, main, run
from chassis.settings import SettingsError, is_loopback
from embedded.demo_gateway.app import create_demo_gateway
from embedded.demo_gateway.delivery import Delivery
from embedded.gateway_simulators.mounting import mount_simulators

SERVICE = "demo-gateway"
PORT = 8010
DRAIN_S = 5


def _arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m embedded.demo_gateway", description="Takes no money.")
    parser.add_argument("--host", default="127.0.0.1", help="loopback by default: here anybody confirms payments")
    parser.add_argument("--port", type=int, default=os.environ.get("DEMO_GATEWAY_PORT") or str(PORT))
    return parser.parse_args(argv)


async def serve(host: str, port: int) -> int:
    """Serve until a signal comes; answers the exit code. Raises SettingsError with one clear line."""
    if not is_loopback(host) and os.environ.get("DEMO_PAYMENT_ALLOW_PUBLIC", "").lower() not in ("1", "true", "yes"):
        raise SettingsError(
            f"{SERVICE}: --host {host} can be reached by others, who could then confirm payments; "
            "listen on 127.0.0.1, or set DEMO_PAYMENT_ALLOW_PUBLIC=true if that is meant"
        )
    secret = _needed("DEMO_WEBHOOK_SECRET").encode()
    clock = SystemClock()
    delivery = Delivery(_needed("GATEWAY_INGEST_URL"), secret, clock)
    ids = Uuid7Factory(clock)
    app = create_demo_gateway(secret, delivery, clock, ids)
    public_url = os.environ.get("DEMO_GATEWAY_URL") or f"http://{host}:{port}"
    simulators = mount_simulators(app, os.environ, public_url, clock, ids)

    async def http(stop: StopSignal) -> None:
        await serve_http(app, host, port, stop, drain_s=DRAIN_S)

    try:
        return await run(SERVICE, {"http": http})
    finally:
        await simulators.close()


def _needed(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise SettingsError(f"{SERVICE}: {variable} is not set")
    return value


if __name__ == "__main__":
    options = _arguments()
    configure_logging(SERVICE, os.environ.get("LOG_FORMAT") or "console")
    sys.exit(main(serve(options.host, options.port)))
