"""The limit: a bare FastAPI that says hello, on the same server, loop and JSON as our services.

No layer of ours around it, no database, no body to read: as little as FastAPI can do.
"""

from __future__ import annotations

import argparse
import sys

from fastapi import FastAPI

from chassis.http import ExactRoute, serve_http
from chassis.runtime import StopSignal, main, run


def bare() -> FastAPI:
    """One route that answers a constant, in the manner in which all our routes write JSON."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.router.route_class = ExactRoute

    @app.get("/hello")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    return app


async def _serve(port: int) -> int:
    async def http(stop: StopSignal) -> None:
        await serve_http(bare(), "127.0.0.1", port, stop)

    return await run("hello", {"http": http})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    sys.exit(main(_serve(parser.parse_args().port)))
