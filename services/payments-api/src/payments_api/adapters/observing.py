"""Observations on their way to gateway-ingest, over HTTP. Asks once; repeating is the caller's business."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import httpx
from pydantic import SecretStr

from chassis.errors import OperationalError
from chassis.http.calling import HttpClient
from chassis.tracing import call_to, carry_trace
from payments_api.application.gateways import Observation

TIMEOUT_S = 5.0
OBSERVATIONS_MAX = 50


class HttpObserving:
    """See application.gateways.Observing. Use it as an async context manager."""

    def __init__(self, url: str, token: SecretStr, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = HttpClient(
            base_url=url,
            headers={"authorization": f"Bearer {token.get_secret_value()}"},
            timeout=TIMEOUT_S,
            transport=transport,
            trust_env=False,
            event_hooks={"request": [carry_trace]},
        )

    async def __aenter__(self) -> HttpObserving:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def tell(self, observations: Sequence[Observation]) -> None:
        """See the port."""
        for first in range(0, len(observations), OBSERVATIONS_MAX):
            await self._send([_body(one) for one in observations[first : first + OBSERVATIONS_MAX]])

    async def _send(self, observations: Sequence[Any]) -> None:
        try:
            with call_to("gateway-ingest", "POST") as call:
                answer = await self._client.post("/v1/observations", json={"observations": observations})
                call.answered(answer.status_code)
        except httpx.HTTPError as error:
            raise OperationalError(f"gateway-ingest: {type(error).__name__}") from error
        if not answer.is_success:
            raise OperationalError(f"gateway-ingest answered {answer.status_code}: {answer.text[:500]}")


def _body(observation: Observation) -> dict[str, Any]:
    about = {"reference": observation.reference, "user_id": observation.user_id}
    return {
        "gateway": observation.gateway,
        "name": observation.name,
        "at": None if observation.at is None else observation.at.isoformat(),
        "observed": {
            "kind": observation.kind,
            "payment_id": observation.payment_id,
            **{name: value for name, value in about.items() if value is not None},
            **observation.fields,
        },
    }
