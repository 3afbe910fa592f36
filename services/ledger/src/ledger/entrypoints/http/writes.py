"""Writes: each carries an Idempotency-Key, becomes one command, and is answered once it is on the books."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Annotated

from fastapi import Header, Path, Request
from fastapi.responses import Response

from chassis.errors import DomainError
from chassis.http import ExactRouter
from chassis.http.problem import MEDIA_TYPE
from ledger.application.settlement import KeyReused
from ledger.application.work import Answer, KeyedRequest, Settled, Work
from ledger.bootstrap import Parts
from ledger.domain.commands import AdjustWallet, AllocatePayment, Command, HoldCredits, Transfer, Worth
from ledger.domain.refusals import Refusal
from ledger.entrypoints.http.answers import PROBLEM_STATUS, refusal_answer, settled_answer
from ledger.entrypoints.http.bodies import (
    AdjustmentBody,
    AllocationBody,
    Body,
    ChargeBody,
    TransferBody,
    positive_units,
    signed_units,
)

DOLLARS = "USD/2"
KEY_MAX_CHARS = 255
Key = Annotated[str | None, Header(alias="Idempotency-Key")]
Execute = Callable[[Request, str | None, Body, Callable[[str], Command]], Awaitable[Response]]


def make_router(parts: Parts) -> ExactRouter:
    """The routes that change the books."""
    router, asset, execute = ExactRouter(prefix="/v1"), parts.terms.asset, _executor(parts)

    @router.post("/charges", status_code=201)
    async def charge(request: Request, body: ChargeBody, key: Key = None) -> Response:
        """Hold credits for a deployment. 402 without cover."""
        amount = positive_units(body.amount, asset)
        command = HoldCredits(body.user_id, body.deployment_id, body.service_id, body.service_name, amount)
        return await execute(request, key, body, lambda _: command)

    @router.post("/transfers", status_code=201)
    async def transfer(request: Request, body: TransferBody, key: Key = None) -> Response:
        """Move credits to another wallet. 402 without cover."""
        amount = positive_units(body.amount, asset)
        return await execute(
            request, key, body, lambda name: Transfer(name, body.from_user_id, body.to_user_id, amount)
        )

    @router.post("/adjustments", status_code=201)
    async def adjust(request: Request, body: AdjustmentBody, key: Key = None) -> Response:
        """Give or take credits by an operator's decision. 402 when more would be taken than can be spent."""
        amount = signed_units(body.amount, asset)
        return await execute(request, key, body, lambda name: AdjustWallet(name, body.user_id, amount, body.reason))

    @router.post("/unallocated/{payment}/allocate", status_code=201)
    async def allocate(
        request: Request, payment: Annotated[str, Path(max_length=255)], body: AllocationBody, key: Key = None
    ) -> Response:
        """Give unallocated money to a person. 404 when none is kept under that payment, or none that has a rate."""
        worth = None if body.worth_usd is None else Worth(positive_units(body.worth_usd, DOLLARS, "worth_usd"), DOLLARS)
        return await execute(request, key, body, lambda _: AllocatePayment(payment, body.user_id, worth=worth))

    return router


def _executor(parts: Parts) -> Execute:
    asset = parts.terms.asset

    def render(outcome: Settled | Refusal) -> Answer:
        return refusal_answer(outcome, asset) if isinstance(outcome, Refusal) else settled_answer(outcome, asset)

    async def execute(request: Request, key: str | None, body: Body, command: Callable[[str], Command]) -> Response:
        name = f"{request.url.path}:{_checked(key)}"
        keyed = KeyedRequest(name, sha256(body.model_dump_json(exclude_none=True).encode()).digest(), render)
        outcome = await parts.engine.settle(Work(command=command(name), request=keyed))
        if isinstance(outcome, Answer):
            return _response(outcome, replayed=True)
        if isinstance(outcome, KeyReused):
            return _response(refusal_answer(outcome, asset), replayed=False)
        assert outcome is not None, "a keyed request always has an outcome"
        replayed = isinstance(outcome, Settled) and outcome.no_effect is not None
        return _response(render(outcome), replayed=replayed)

    return execute


def _checked(key: str | None) -> str:
    if key is None or not key.strip():
        raise _BadKey("idempotency_key_missing", "Writes need an Idempotency-Key header", field="Idempotency-Key")
    if len(key) > KEY_MAX_CHARS or not (key.isascii() and key.isprintable()):
        raise _BadKey(
            "idempotency_key_malformed", "A key has at most 255 printable characters", field="Idempotency-Key"
        )
    return key


class _BadKey(DomainError):
    status = 400


def _response(answer: Answer, *, replayed: bool) -> Response:
    media_type = MEDIA_TYPE if answer.status >= PROBLEM_STATUS else "application/json"
    headers = {"Idempotency-Replayed": "true"} if replayed else {}
    return Response(answer.body, answer.status, headers, media_type)
