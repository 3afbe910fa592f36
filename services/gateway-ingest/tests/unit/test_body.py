"""Bodies: in pieces, too long, too slow, cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from gateway_ingest.entrypoints.http.body import BodyReader, BodyTooLarge, BodyTooSlow


def in_pieces(pieces: Sequence[bytes], *, end: bool = True) -> Receive:
    """Hands out the pieces; then, unless that was the end, the client is gone."""
    left = list(pieces)

    async def receive() -> Message:
        if not left:
            return {"type": "http.disconnect"}
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left) or not end}

    return receive


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def reader(timeout_s: float = 60.0) -> BodyReader:
    return BodyReader(max_bytes=10, timeout_s=timeout_s)


@pytest.mark.asyncio
@pytest.mark.parametrize("pieces", [[b""], [b"0123456789"], [b"0", b"", b"123456789"]])
async def test_a_body_within_the_limit_comes_whole(pieces: list[bytes]) -> None:
    assert await reader().read(in_pieces(pieces)) == b"".join(pieces)


@pytest.mark.asyncio
async def test_one_byte_more_is_too_much_and_the_rest_is_not_read() -> None:
    receive = in_pieces([b"01234567890", b"rest"])
    with pytest.raises(BodyTooLarge):
        await reader().read(receive)
    assert (await receive())["body"] == b"rest"


@pytest.mark.asyncio
async def test_a_client_that_leaves_is_told_apart() -> None:
    with pytest.raises(ClientDisconnect):
        await reader().read(in_pieces([b"01"], end=False))


@pytest.mark.asyncio
async def test_a_body_that_never_comes_is_given_up_and_others_are_not() -> None:
    bodies = reader(timeout_s=0.02)
    late = [asyncio.create_task(bodies.read(never)) for _ in range(3)]
    assert await bodies.read(in_pieces([b"here"])) == b"here"
    results = await asyncio.wait_for(asyncio.gather(*late, return_exceptions=True), 5)
    assert [type(result) for result in results] == [BodyTooSlow] * 3
    assert not bodies._reading
    assert await bodies.read(in_pieces([b"later"])) == b"later"
    with pytest.raises(BodyTooSlow):
        await asyncio.wait_for(bodies.read(never), 5)


@pytest.mark.asyncio
async def test_who_is_cancelled_by_somebody_else_stays_cancelled() -> None:
    task = asyncio.create_task(reader().read(never))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
