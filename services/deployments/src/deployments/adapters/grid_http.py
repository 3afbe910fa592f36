"""The grid port over HTTP, as the simulator (and whatever stands behind the same interface) speaks it.

Turns every outcome into the port's words: an answer, GridRefused for what will never be, GridUnavailable for all else.
Retries nothing itself: that is the queue's business, with the memory of what was asked.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chassis.dead_letters import storable
from chassis.http.calling import HttpClient
from chassis.tracing import call_to, carry_trace
from deployments.application.ports import GridRefused, GridState, GridStatus, GridUnavailable, NameDestroyed
from deployments.domain.events import GridSpec

TIMEOUT_S = 10.0
CONNECTIONS_MAX = 20
REASON_MAX_CHARS = 500
_REFUSALS = frozenset({400, 409, 413, 422})
_DESTROYED = "the grid refuses this name for ever: it was destroyed"


class _Answer(BaseModel):
    """A workload as the grid shows it."""

    model_config = ConfigDict(extra="ignore")

    state: GridStatus
    reason: str | None = None
    permanent: bool = False
    grid_deployment_id: str | None = Field(default=None, max_length=255)
    endpoints: dict[str, str] = Field(default_factory=dict, max_length=20)


class HttpGrid:
    """See application.ports.Grid. Use it as an async context manager."""

    def __init__(
        self, url: str, *, timeout_s: float = TIMEOUT_S, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._client = HttpClient(
            base_url=url,
            timeout=timeout_s,
            transport=transport,
            # The grid is reached directly: a proxy of the environment has no business between.
            trust_env=False,
            event_hooks={"request": [carry_trace]},
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
        )

    async def __aenter__(self) -> HttpGrid:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def create(self, name: str, spec: GridSpec) -> GridState:
        response = await self._send("PUT", name, dict(spec))
        if response.status_code == 410:
            raise NameDestroyed(_DESTROYED)
        if response.status_code in _REFUSALS:
            raise GridRefused(_reason(response))
        return _state(response)

    async def get(self, name: str) -> GridState | None:
        response = await self._send("GET", name)
        return None if response.status_code == 404 else _state(response)

    async def destroy(self, name: str) -> GridState:
        return _state(await self._send("DELETE", name))

    async def _send(self, method: str, name: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            with call_to("grid", method) as call:
                response = await self._client.request(method, f"/deployments/{quote(name, safe='')}", json=body)
                call.answered(response.status_code)
                return response
        except httpx.TimeoutException as error:
            raise GridUnavailable("the grid did not answer in time") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise GridUnavailable(f"the grid cannot be reached: {type(error).__name__}") from error


def _state(response: httpx.Response) -> GridState:
    if not response.is_success:
        _unexpected(response)
    try:
        answer = _Answer.model_validate_json(response.content)
    except ValidationError as error:
        raise GridUnavailable(f"the grid's answer makes no sense ({error.error_count()} faults)") from error
    reason = None if answer.reason is None else storable(answer.reason, REASON_MAX_CHARS)
    endpoints = {name: storable(value, REASON_MAX_CHARS) for name, value in answer.endpoints.items()}
    return GridState(answer.state, reason, answer.permanent, answer.grid_deployment_id, endpoints)


def _unexpected(response: httpx.Response) -> NoReturn:
    raise GridUnavailable(f"the grid answered {response.status_code}")


def _reason(response: httpx.Response) -> str:
    """The title of a problem document, else the status."""
    try:
        title = response.json()["title"]
    except (ValueError, KeyError, TypeError):
        title = f"the grid answered {response.status_code}"
    return storable(f"the grid refused it: {title}", REASON_MAX_CHARS)
