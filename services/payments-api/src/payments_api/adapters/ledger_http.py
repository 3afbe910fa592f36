"""The ledger over HTTP. Every outcome becomes one of the port's words; what is not understood counts as not known.

Asks once per call, within a time limit: repeating is the purchase process's business. Amounts travel as decimal
strings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from chassis.errors import InvalidField
from chassis.http import MalformedJson, parse_exact
from chassis.http.calling import HttpClient
from chassis.tracing import call_to, carry_trace
from contracts.amounts import format_units, parse_units
from contracts.messages import TransactionRow
from payments_api.adapters.catalogue import PRICE_ASSET
from payments_api.application.ports import (
    BookedPayment,
    Charged,
    ChargeOutcome,
    LedgerAway,
    NoCover,
    Purchase,
    TransactionPage,
    UnallocatedMoney,
    UnallocatedPage,
    Wallet,
)

TIMEOUT_S = 2.0
CONNECTIONS_MAX = 50
_NOT_ALLOCATED = frozenset({"nothing_to_allocate", "reference_conflict", "wallet_limit"})
T = TypeVar("T")


class HttpLedger:
    """See application.ports.Ledger. Use it as an async context manager."""

    def __init__(
        self,
        url: str,
        token: SecretStr,
        asset: str,
        *,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._asset = asset
        self._client = HttpClient(
            base_url=url,
            headers={"authorization": f"Bearer {token.get_secret_value()}"},
            timeout=timeout_s,
            transport=transport,
            # The ledger is reached directly: a proxy of the environment has no business between.
            trust_env=False,
            event_hooks={"request": [carry_trace]},
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
        )

    async def __aenter__(self) -> HttpLedger:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def charge(self, purchase: Purchase) -> ChargeOutcome:
        body = {
            "user_id": purchase.user_id,
            "deployment_id": purchase.deployment_id,
            "service_id": purchase.service_id,
            "service_name": purchase.service_name,
            "amount": format_units(purchase.price, purchase.asset),
        }
        key = f"deployment:{purchase.deployment_id}:charge"
        response = await self._send("POST", "/v1/charges", json=body, headers={"idempotency-key": key})
        answer = _parsed(response)
        if response.status_code == 201:
            return self._read(lambda: Charged(_whole(answer["wallet"]["version"])))
        if response.status_code == 402 and answer.get("code") == "insufficient_funds":
            return self._read(lambda: self._no_cover(answer))
        raise _unexpected(response)

    async def wallet(self, user_id: str) -> Wallet:
        response = await self._send("GET", f"/v1/wallets/{quote(user_id, safe='')}")
        answer = _parsed(response)
        if response.status_code != 200:
            raise _unexpected(response)
        return self._read(lambda: self._wallet(answer))

    async def transactions(self, user_id: str, *, limit: int, cursor: str | None) -> TransactionPage:
        parameters = {"limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
        response = await self._send("GET", f"/v1/wallets/{quote(user_id, safe='')}/transactions", params=parameters)
        answer = _parsed(response)
        if response.status_code == 422 and answer.get("field") == "cursor":
            raise InvalidField("cursor", "bad_cursor", "This is not a cursor that we gave")
        if response.status_code != 200:
            raise _unexpected(response)
        return self._read(lambda: _page(answer))

    async def unallocated(self, *, limit: int, cursor: str | None) -> UnallocatedPage:
        parameters = {"limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
        response = await self._send("GET", "/v1/unallocated", params=parameters)
        answer = _parsed(response)
        if response.status_code == 422 and answer.get("field") == "cursor":
            raise InvalidField("cursor", "bad_cursor", "This is not a cursor that we gave")
        if response.status_code != 200:
            raise _unexpected(response)
        return self._read(lambda: _unallocated_page(answer))

    async def booked(self, gateway: str, gateway_payment_id: str) -> BookedPayment | None:
        response = await self._send(
            "GET", f"/v1/payments/{quote(gateway, safe='')}/{quote(gateway_payment_id, safe='')}"
        )
        answer = _parsed(response)
        if response.status_code == 404 and answer.get("code") == "payment_unknown":
            return None
        if response.status_code != 200:
            raise _unexpected(response)
        return self._read(lambda: BookedPayment(_text_or_none(answer["user_id"]), self._units(answer["credits"])))

    async def allocate(
        self, gateway: str, gateway_payment_id: str, user_id: str, *, key: str, worth_cents: int | None = None
    ) -> bool:
        path = f"/v1/unallocated/{quote(f'{gateway}:{gateway_payment_id}', safe='')}/allocate"
        worth = {} if worth_cents is None else {"worth_usd": format_units(worth_cents, PRICE_ASSET)}
        body = {"user_id": user_id, **worth}
        response = await self._send("POST", path, json=body, headers={"idempotency-key": key})
        if response.status_code == 201:
            return bool(response.headers.get("idempotency-replayed") != "true")
        if _parsed(response).get("code") in _NOT_ALLOCATED:
            return False
        raise _unexpected(response)

    def _wallet(self, answer: Mapping[str, Any]) -> Wallet:
        available, held, debt = (self._units(answer[name]) for name in ("available", "held", "debt"))
        return Wallet(available, held, debt, _whole(answer["version"]))

    def _no_cover(self, answer: Mapping[str, Any]) -> NoCover:
        required, available = self._units(answer["required"]), self._units(answer["available"])
        return NoCover(required, available, _whole(answer["wallet_version"]))

    def _units(self, amount: Any) -> int:
        if not isinstance(amount, str):
            raise TypeError("an amount is a decimal string")
        return parse_units(amount, self._asset)

    def _read(self, reading: Callable[[], T]) -> T:
        """An answer that lacks something says nothing about what was done."""
        try:
            return reading()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LedgerAway(f"the ledger's answer makes no sense: {type(error).__name__}") from error

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            with call_to("ledger", method) as call:
                response = await self._client.request(method, path, **options)
                call.answered(response.status_code)
                return response
        except httpx.TimeoutException as error:
            raise LedgerAway("the ledger did not answer in time") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise LedgerAway(f"the ledger cannot be reached: {type(error).__name__}") from error


def _page(answer: Mapping[str, Any]) -> TransactionPage:
    """Raises TypeError or ValueError for what is no page; pydantic's ValidationError is a ValueError."""
    next_cursor = answer["next_cursor"]
    if not isinstance(next_cursor, str | None):
        raise TypeError("a cursor is text")
    return TransactionPage([TransactionRow.model_validate(row) for row in answer["transactions"]], next_cursor)


def _unallocated_page(answer: Mapping[str, Any]) -> UnallocatedPage:
    return UnallocatedPage(
        [_unallocated(row) for row in answer["unallocated"]], _text_or_none(answer["next_cursor"]) or None
    )


def _unallocated(row: Mapping[str, Any]) -> UnallocatedMoney:
    asset = row["asset"]
    return UnallocatedMoney(
        gateway=row["gateway"],
        gateway_payment_id=row["gateway_payment_id"],
        payment_reference=_text_or_none(row["payment_reference"]),
        asset=asset,
        received=parse_units(row["received"], asset),
        refunded=parse_units(row["refunded"], asset),
        paid_at=row["paid_at"],
    )


def _text_or_none(value: Any) -> str | None:
    if not isinstance(value, str | None):
        raise TypeError("neither text nor absent")
    return value


def _parsed(response: httpx.Response) -> Mapping[str, Any]:
    try:
        answer = parse_exact(response.content)
    except MalformedJson as error:
        raise _unexpected(response) from error
    if not isinstance(answer, dict):
        raise _unexpected(response)
    return answer


def _unexpected(response: httpx.Response) -> LedgerAway:
    return LedgerAway(f"the ledger answered {response.status_code}")


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a version is a whole number")
    return value
