"""The ledger over HTTP, read only: what it has of a payment, and which payments of a gateway it booked when.

Whatever is not understood is OperationalError. Amounts come as decimal strings and become smallest units.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from chassis.errors import OperationalError
from chassis.http import MalformedJson, parse_exact
from chassis.http.calling import HttpClient
from contracts.amounts import parse_units
from gateway_ingest.application.reconciling_ports import Credit
from gateway_ingest.domain.reconciling import BookedPayment, Window

TIMEOUT_S = 5.0
PAGE_ROWS = 200
CREDITED = ":credit"
NOT_BOOKED = "payment_unknown"
"""Any other 404 is not the ledger's: nothing is said about the payment then."""


class HttpLedger:
    """See application.reconciling_ports.Books. Use it as an async context manager."""

    def __init__(self, url: str, token: SecretStr, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = HttpClient(
            base_url=url,
            headers={"authorization": f"Bearer {token.get_secret_value()}"},
            timeout=TIMEOUT_S,
            transport=transport,
            # The ledger is reached directly: a proxy of the environment has no business between.
            trust_env=False,
        )

    async def __aenter__(self) -> HttpLedger:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def payment(self, gateway: str, payment_id: str) -> BookedPayment | None:
        """See the port."""
        answer = await self._get(f"/v1/payments/{quote(gateway, safe='')}/{quote(payment_id, safe='')}", {})
        if answer.status_code == httpx.codes.NOT_FOUND and _told(answer).get("code") == NOT_BOOKED:
            return None
        told = _parsed(answer)
        try:
            return _booked(told)
        except (KeyError, TypeError, ValueError) as error:
            raise _senseless(error) from error

    async def credited(self, gateway: str, window: Window) -> AsyncIterator[Credit]:
        """See the port. The account's postings go back in time, so what is older than the window ends them."""
        query: dict[str, str] = {"limit": str(PAGE_ROWS)}
        while True:
            page = _parsed(await self._get(f"/v1/accounts/gateway:{gateway}/postings", query))
            try:
                lines = [(line["reference"], datetime.fromisoformat(line["recorded_at"])) for line in page["postings"]]
                cursor = page["next_cursor"]
            except (KeyError, TypeError, ValueError) as error:
                raise _senseless(error) from error
            for reference, recorded_at in lines:
                if recorded_at in window and reference.startswith(f"{gateway}:") and reference.endswith(CREDITED):
                    yield Credit(reference.removeprefix(f"{gateway}:").removesuffix(CREDITED), recorded_at)
            if cursor is None or lines[-1][1] < window.since:
                return
            query["cursor"] = cursor

    async def _get(self, path: str, query: Mapping[str, str]) -> httpx.Response:
        try:
            return await self._client.get(path, params=dict(query))
        except httpx.TimeoutException as error:
            raise OperationalError("the ledger did not answer in time") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise OperationalError(f"the ledger cannot be reached: {type(error).__name__}") from error


def _booked(told: Mapping[str, Any]) -> BookedPayment:
    asset = told["asset"]
    return BookedPayment(
        payment_id=told["gateway_payment_id"],
        asset=asset,
        received_units=parse_units(told["received"], asset),
        returned_units=parse_units(told["returned"], asset),
        user_id=told["user_id"],
        reference=told["payment_reference"],
    )


def _parsed(answer: httpx.Response) -> Mapping[str, Any]:
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise OperationalError("the ledger refuses our token (SERVICE_TOKEN)")
    if answer.status_code != httpx.codes.OK:
        raise OperationalError(f"the ledger answered {answer.status_code}")
    return _told(answer)


def _told(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        told = parse_exact(answer.content)
    except MalformedJson as error:
        raise _senseless(error) from error
    if not isinstance(told, dict):
        raise OperationalError("the ledger's answer makes no sense")
    return told


def _senseless(error: Exception) -> OperationalError:
    return OperationalError(f"the ledger's answer makes no sense: {type(error).__name__}")
