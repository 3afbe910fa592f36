"""The demo's bank: a page on which a person says what arrived, told to the back office as an operator tells it.

Only addresses that payments-api signed are served. Keeps nothing: what is told, payments-api keeps as any confirmation.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import httpx
import structlog
from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response

from chassis.errors import InvalidField, OperationalError
from chassis.http import ExactJSONResponse
from chassis.ids import IdFactory
from contracts.amounts import Asset, format_units
from embedded.demo_gateway import page
from embedded.demo_gateway.pay_page import create_pay_page

PARAMETERS = ("payment_id", "reference", "amount", "asset")
"""What an address is signed over; ``amount`` counts the smallest unit of ``asset``."""
OUTCOMES = ("arrived", "rejected")
TIMEOUT_S = 10.0
REASON = "Rejected at the demo's bank"

log = structlog.get_logger("demo_bank")


class BackOffice:
    """The back office of payments-api, as an operator reaches it. ``close`` lets go of the connections."""

    def __init__(self, url: str, token: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        headers = {"authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=TIMEOUT_S, transport=transport, trust_env=False
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def confirm(self, payment_id: str, amount: str, currency: str, bank_reference: str) -> httpx.Response:
        """``amount``, as it was typed, arrived. Raises OperationalError."""
        body = {"amount": amount, "currency": currency, "bank_reference": bank_reference}
        return await self._post(f"/api/admin/payments/{payment_id}/confirm", body)

    async def reject(self, payment_id: str) -> httpx.Response:
        """It will never arrive. Raises OperationalError."""
        return await self._post(f"/api/admin/payments/{payment_id}/reject", {"reason": REASON})

    async def _post(self, path: str, body: Mapping[str, str]) -> httpx.Response:
        try:
            answer = await self._client.post(path, json=body)
        except httpx.HTTPError as error:
            raise OperationalError(f"the back office did not answer: {type(error).__name__}") from error
        if not answer.is_success:
            log.warning("back_office_refused", path=path, status=answer.status_code)
        return answer


def create_demo_bank(secret: bytes, office: BackOffice, ids: IdFactory) -> FastAPI:
    """The application. ``office`` ends with it, where its own lifespan is run (a parent that mounts it closes it)."""

    async def pay(parameters: Mapping[str, str], is_page: bool) -> Response:
        answer = await _told(office, parameters, f"DEMO-{ids.new().hex.upper()}")
        return _outcome_page(parameters["outcome"], answer) if is_page else _passed_on(answer)

    return create_pay_page("Demo bank", secret, PARAMETERS, show=_transfer_page, pay=pay, close=office.close)


async def _told(office: BackOffice, parameters: Mapping[str, str], bank_reference: str) -> httpx.Response:
    outcome = parameters.get("outcome", "")
    if outcome not in OUTCOMES:
        raise InvalidField("outcome", "unknown_outcome", f"must be one of {', '.join(OUTCOMES)}")
    if outcome == "rejected":
        return await office.reject(parameters["payment_id"])
    # Of the signed amount is asked for; what arrives is another field, which the payer chooses.
    arrived = parameters.get("arrived") or _asked_for(parameters)
    return await office.confirm(parameters["payment_id"], arrived, _currency(parameters), bank_reference)


def _passed_on(answer: httpx.Response) -> Response:
    told: Any = answer.json() if "json" in answer.headers.get("content-type", "") else {"detail": answer.text}
    return ExactJSONResponse(told, answer.status_code)


def _transfer_page(parameters: Mapping[str, str]) -> HTMLResponse:
    amount, currency = _asked_for(parameters), _currency(parameters)
    return page.framed(
        "Demo bank",
        f'<p class="sum">{escape(amount)} {escape(currency)}</p><small>Reference {escape(parameters["reference"])}. '
        f"No money is taken: you play the operator who reads the bank's statement.</small>"
        f'<form method="post"><label>Arrived <input name="arrived" value="{escape(amount)}" inputmode="decimal"> '
        f'{escape(currency)}</label><br><button class="go" name="outcome" value="arrived">The transfer arrived</button>'
        f'<button name="outcome" value="rejected">It never will</button></form>',
    )


def _outcome_page(outcome: str, answer: httpx.Response) -> HTMLResponse:
    if not answer.is_success:
        return page.framed("The back office refused", f"<p>{escape(answer.text)}</p>", answer.status_code)
    title = "Transfer confirmed" if outcome == "arrived" else "Payment rejected"
    return page.framed(title, "<p>The shop has been told. You can close this page.</p>")


def _asked_for(parameters: Mapping[str, str]) -> str:
    return format_units(int(parameters["amount"]), parameters["asset"])


def _currency(parameters: Mapping[str, str]) -> str:
    return Asset.parse(parameters["asset"]).code
