"""The promises of the event store's port as tests: every adapter passes them unchanged.

A test module subclasses ``EventStoreConformance`` and gives a ``harness`` fixture: an empty log, and ways to reach it.
What only one adapter can promise (grants, locks, rollback) is tested beside that adapter.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby, product
from operator import attrgetter
from typing import Any, Protocol

import pytest

from eventstore.hashing import GENESIS, chain
from eventstore.port import EventStore, RecordedEvent, StoredEvent, StreamHead, VersionConflict

WRITERS = 8
APPENDS_PER_WRITER = 30
PAGE = 7
PATIENCE_S = 60.0
CLOCKS_APART = timedelta(minutes=5)


class EventStoreHarness(Protocol):
    """What an adapter brings besides itself."""

    async def open(self) -> EventStore:
        """Another client of the same log, as another process would have; the harness closes it in the end."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """What to give as ``within``: a connection in a transaction that commits when the block ends; None where there
        is no such thing and every call is atomic."""
        ...


def events(stream: str, first: int, count: int = 1) -> list[StoredEvent]:
    """``count`` events of a stream from version ``first`` on, each with its own state."""
    return [
        StoredEvent(stream, version, "test.Happened", f'{{"{stream}":{version}}}'.encode())
        for version in range(first, first + count)
    ]


def names(recorded: Sequence[RecordedEvent]) -> list[tuple[str, int]]:
    """(stream, version) of each."""
    return [(event.stream, event.version) for event in recorded]


def assert_chained(recorded: Sequence[RecordedEvent]) -> None:
    """Within each stream: versions from one without gaps, and hashes that follow from the stored bytes."""
    by_stream = sorted(recorded, key=attrgetter("stream", "version"))
    for stream, group in groupby(by_stream, key=attrgetter("stream")):
        head = GENESIS
        for expected, event in enumerate(group, start=1):
            assert (event.version, event.prev_hash) == (expected, head)
            head = chain(head, stream, event.version, event.topic, event.state)
            assert event.hash == head


async def everything(store: EventStore) -> list[RecordedEvent]:
    """The whole log."""
    return await store.read_log(0, limit=100_000)


@pytest.mark.asyncio
class EventStoreConformance:
    """Subclass me as ``TestSomething`` and provide the fixture ``harness``."""

    async def test_an_empty_log(self, harness: EventStoreHarness) -> None:
        store = await harness.open()
        assert await store.load("nobody") == []
        assert await store.read_log(0, limit=10) == []
        assert await store.last_position() == 0

    async def test_what_was_appended_comes_back_as_it_was(self, harness: EventStoreHarness) -> None:
        store = await harness.open()
        strange = [
            StoredEvent("wallet:ünïcode/§", 1, "test.Empty", b""),
            StoredEvent("wallet:ünïcode/§", 2, "test.Bytes", bytes(range(256)) * 4_000),
        ]
        await store.append(strange)
        for reader in (store, await harness.open()):
            recorded = await reader.load("wallet:ünïcode/§")
            assert [event.stored() for event in recorded] == strange
            assert await reader.read_log(0, limit=10) == recorded

    async def test_a_recorded_event_says_when(self, harness: EventStoreHarness) -> None:
        store = await harness.open()
        await store.append(events("a", 1))
        [event] = await store.load("a")
        assert event.recorded_at.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - event.recorded_at) < CLOCKS_APART

    async def test_append_answers_the_position_and_the_heads(self, harness: EventStoreHarness) -> None:
        store = await harness.open()
        appended = await store.append([*events("a", 1, 2), *events("b", 1), *events("a", 3)])
        log = await everything(store)
        last = {event.stream: StreamHead(event.version, event.hash) for event in log}
        assert appended.position == log[-1].position == await store.last_position()
        assert dict(appended.heads) == last
        assert last["a"].version == 3

    async def test_appending_nothing_changes_nothing(self, harness: EventStoreHarness) -> None:
        store = await harness.open()
        assert await store.append([]) == (0, {})
        before = await store.append(events("a", 1))
        assert await store.append([]) == (before.position, {})
        assert names(await everything(store)) == [("a", 1)]

    async def test_several_streams_at_once_keep_the_order_of_the_call(self, harness: EventStoreHarness) -> None:
        store = await harness.open()
        await store.append(events("b", 1))
        batch = [*events("a", 1), *events("b", 2), *events("a", 2), *events("c", 1), *events("b", 3)]
        await store.append(batch)
        log = await everything(store)
        assert [event.stored() for event in log] == [*events("b", 1), *batch]
        positions = [event.position for event in log]
        assert positions == sorted(set(positions))

    async def test_each_hash_follows_from_the_bytes_and_the_hash_before(self, harness: EventStoreHarness) -> None:
        store = await harness.open()
        await store.append([*events("a", 1, 3), *events("b", 1)])
        await store.append([*events("b", 2), *events("a", 4)])
        log = await everything(store)
        assert len({event.hash for event in log}) == 6
        assert_chained(log)

    @pytest.mark.parametrize("version", [-1, 0, 1, 2, 4, 9])
    async def test_a_version_that_does_not_follow_is_refused(self, harness: EventStoreHarness, version: int) -> None:
        store = await harness.open()
        await store.append(events("a", 1, 2))
        with pytest.raises(VersionConflict) as refused:
            await store.append(events("a", version))
        assert (refused.value.stream, refused.value.expected, refused.value.actual) == ("a", version, 2)

    async def test_a_stream_begins_with_one(self, harness: EventStoreHarness) -> None:
        store = await harness.open()
        for version in (0, 2):
            with pytest.raises(VersionConflict):
                await store.append(events("new", version))
        assert await store.load("new") == []

    async def test_an_append_is_all_or_nothing(self, harness: EventStoreHarness) -> None:
        store = await harness.open()
        await store.append(events("a", 1))
        for wrong in (events("a", 1), events("b", 3), [*events("a", 2), *events("a", 2)]):
            with pytest.raises(VersionConflict):
                await store.append([*events("b", 1), *wrong])
        assert names(await everything(store)) == [("a", 1)]
        await store.append([*events("b", 1), *events("a", 2)])
        assert_chained(await everything(store))

    async def test_known_heads_continue_the_chain(self, harness: EventStoreHarness) -> None:
        store = await harness.open()
        heads = (await store.append([*events("a", 1, 2), *events("b", 1)])).heads
        # Of "c" nothing is known, and "b" is known but not appended to.
        appended = await store.append([*events("a", 3), *events("c", 1)], heads=heads)
        assert set(appended.heads) == {"a", "c"}
        assert_chained(await everything(store))

    async def test_stale_heads_are_a_conflict_that_names_the_stream(self, harness: EventStoreHarness) -> None:
        store, other = await harness.open(), await harness.open()
        stale = (await store.append([*events("a", 1), *events("b", 1), *events("b (2", 1)])).heads
        await other.append(events("b", 2))
        with pytest.raises(VersionConflict) as refused:
            await store.append([*events("a", 2), *events("b (2", 2), *events("b", 2)], heads=stale)
        assert (refused.value.stream, refused.value.expected) == ("b", 2)
        assert names(await store.load("a")) == [("a", 1)]

    async def test_load_takes_a_range_of_versions(self, harness: EventStoreHarness) -> None:
        store = await harness.open()
        await store.append([*events("a", 1, 5), *events("b", 1, 6)])
        for after, upto, limit in product((0, 1, 3, 5, 6), (None, 0, 1, 3, 5, 6), (None, 0, 1, 2, 10)):
            expected = [("a", n) for n in range(1, 6) if after < n and (upto is None or n <= upto)]
            loaded = await store.load("a", after=after, upto=upto, limit=limit)
            assert names(loaded) == expected[:limit], (after, upto, limit)
            loaded = await store.load("a", after=after, upto=upto, limit=limit, newest_first=True)
            assert names(loaded) == expected[::-1][:limit], (after, upto, limit)

    async def test_the_log_is_read_in_pages(self, harness: EventStoreHarness) -> None:
        store = await harness.open()
        await store.append(events("a", 1, 4))
        await store.append([*events("b", 1, 3), *events("a", 5, 4)])
        log, position = [], 0
        while page := await store.read_log(position, limit=4):
            log.append(page)
            position = page[-1].position
        assert [len(page) for page in log] == [4, 4, 3]
        assert [event for page in log for event in page] == await everything(store)
        assert position == await store.last_position()
        assert await store.read_log(position + 1_000, limit=4) == []

    async def test_calls_within_a_transaction_see_what_it_appended(self, harness: EventStoreHarness) -> None:
        store = await harness.open()
        async with harness.transaction() as within:
            appended = await store.append(events("a", 1, 2), within=within)
            assert names(await store.load("a", within=within)) == [("a", 1), ("a", 2)]
            assert len(await store.read_log(0, limit=9, within=within)) == 2
            assert await store.last_position(within) == appended.position
            await store.append(events("a", 3), heads=appended.heads, within=within)
        assert_chained(await everything(store))
        assert len(await store.load("a")) == 3

    async def test_of_many_that_append_the_same_version_one_wins(self, harness: EventStoreHarness) -> None:
        stores = [await harness.open() for _ in range(WRITERS)]
        attempts = [
            store.append([StoredEvent("a", 1, "test.Claimed", str(number).encode()), *events(f"own-{number}", 1)])
            for number, store in enumerate(stores)
        ]
        results = await asyncio.wait_for(asyncio.gather(*attempts, return_exceptions=True), PATIENCE_S)
        winners = [number for number, result in enumerate(results) if not isinstance(result, BaseException)]
        assert len(winners) == 1
        assert sum(isinstance(result, VersionConflict) for result in results) == WRITERS - 1
        log = await everything(stores[0])
        assert names(log) == [("a", 1), (f"own-{winners[0]}", 1)]
        assert log[0].state == str(winners[0]).encode()

    async def test_with_eight_concurrent_writers_a_follower_misses_nothing_and_sees_the_commit_order(
        self, harness: EventStoreHarness
    ) -> None:
        committed: list[tuple[str, int]] = []
        stores = [await harness.open() for _ in range(WRITERS)]
        writing = asyncio.gather(*[self._write(harness, n, store, committed) for n, store in enumerate(stores)])
        seen = await asyncio.wait_for(self._follow(await harness.open(), writing), PATIENCE_S)
        await writing
        log = await everything(stores[0])
        assert names(seen) == names(log)
        assert names(log) == committed
        assert len(log) == sum(1 + turn % 4 for turn in range(APPENDS_PER_WRITER)) * WRITERS
        assert Counter(event.stream for event in log).keys() == {f"writer-{number}" for number in range(WRITERS)}
        assert_chained(log)

    async def _write(
        self, harness: EventStoreHarness, number: int, store: EventStore, committed: list[tuple[str, int]]
    ) -> None:
        stream, version = f"writer-{number}", 0
        for turn in range(APPENDS_PER_WRITER):
            batch = events(stream, version + 1, 1 + turn % 4)
            async with harness.transaction() as within:
                await store.append(batch, within=within)
                # From append to commit nobody else appends: so the order in which writers come by here is the order
                # in which they commit. The reads keep the transaction open while others want to append.
                committed += [(stream, event.originator_version) for event in batch]
                for _ in range((number + turn) % 3):
                    await store.last_position(within)
            version += len(batch)
            await asyncio.sleep(0)

    async def _follow(self, store: EventStore, writing: asyncio.Future[Any]) -> list[RecordedEvent]:
        """Read forward by position while others write, each page once, until they are done and nothing is left."""
        seen: list[RecordedEvent] = []
        while True:
            finished = writing.done()
            page = await store.read_log(seen[-1].position if seen else 0, limit=PAGE)
            seen += page
            if finished and not page:
                return seen
            await asyncio.sleep(0)


@asynccontextmanager
async def without_transactions() -> AsyncIterator[None]:
    """``EventStoreHarness.transaction`` of an adapter that has none."""
    yield None
