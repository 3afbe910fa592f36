"""A page to pay at that stands for itself: shown and acted upon only for addresses that the shop signed.

What it shows and what paying does is its maker's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import Response

from chassis.errors import Forbidden
from chassis.http import ExactRouter, create_app
from embedded.demo_gateway import page
from embedded.demo_gateway.form import parameters_of, wants_page
from embedded.demo_gateway.signing import is_signed

Parameters = Mapping[str, str]


def create_pay_page(
    title: str,
    secret: bytes,
    names: Sequence[str],
    *,
    show: Callable[[Parameters], Response],
    pay: Callable[[Parameters, bool], Awaitable[Response]],
    close: Callable[[], Awaitable[None]],
) -> FastAPI:
    """The application. ``names`` are the signed parameters; ``pay`` is also told whether a page is wanted. ``close`` is
    called where its own lifespan is run (a parent that mounts it closes by itself)."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await close()

    app = create_app(title=title, readiness=_ready, lifespan=lifespan)
    router = ExactRouter()

    @router.get("/pay")
    async def shown(request: Request) -> Response:
        parameters = dict(request.query_params)
        return show(parameters) if is_signed(parameters, secret, names) else page.refused_page()

    @router.post("/pay")
    async def paid(request: Request) -> Response:
        parameters, is_page = await parameters_of(request), wants_page(request)
        if is_signed(parameters, secret, names):
            return await pay(parameters, is_page)
        if is_page:
            return page.refused_page()
        raise Forbidden("bad_signature", "This address was not signed by the shop")

    app.include_router(router)
    return app


async def _ready() -> Mapping[str, bool]:
    return {}
