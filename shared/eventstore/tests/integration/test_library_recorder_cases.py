"""The eventsourcing library's own recorder cases, unchanged, on our PostgreSQL store and on the one in memory.

Here with the network open because threads and event loops of the cases live side by side. Not run: the cases of
tracking and process recorders (our checkpoints are the projector's) and the optional subscription. The library's race
of two writers is too short to show a missing lane; the conformance suite's eight writers do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from eventsourcing.tests import persistence as library

from chassis.postgres import open_pool
from embedded.provisioning import DatabaseAccess
from eventstore.memory import MemoryEventStore
from eventstore.port import EventStore
from eventstore.postgres import PostgresEventStore
from testkit.conformance.library_recorders import LibraryAggregateRecorder, LibraryApplicationRecorder
from testkit.loop_thread import LoopThread

PATIENCE_S = 30.0


@contextmanager
def no_thread_left_behind() -> Iterator[None]:
    """The library's cases tell their readers to stop and go; the store must stay until those have stopped."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


class OnMemory:
    """``thread`` and ``store`` for each case."""

    thread: LoopThread
    store: EventStore

    @pytest.fixture(autouse=True)
    def _store_in_memory(self) -> Iterator[None]:
        self.thread, self.store = LoopThread("library-cases"), MemoryEventStore()
        with no_thread_left_behind():
            yield
        self.thread.close()

    def new_originator_id(self) -> str:
        """Our streams are named by text."""
        return str(uuid4())


class OnPostgres:
    """``thread`` and ``store`` for each case, as the app's role."""

    thread: LoopThread
    store: EventStore

    @pytest.fixture(autouse=True)
    def _store_on_postgres(self, events_database: DatabaseAccess) -> Iterator[None]:
        self.thread = LoopThread("library-cases")
        pool = self.thread.call(open_pool(events_database.app_dsn, max_size=12, application_name="test"))
        self.store = PostgresEventStore(pool)
        with no_thread_left_behind():
            yield
        self.thread.call(pool.close())
        self.thread.close()

    def new_originator_id(self) -> str:
        """Our streams are named by text."""
        return str(uuid4())


class TestAggregateRecorderOnMemory(OnMemory, library.AggregateRecorderTestCase):
    def create_recorder(self) -> LibraryAggregateRecorder:
        return LibraryAggregateRecorder(self.thread, self.store)


class TestAggregateRecorderOnPostgres(OnPostgres, library.AggregateRecorderTestCase):
    def create_recorder(self) -> LibraryAggregateRecorder:
        return LibraryAggregateRecorder(self.thread, self.store)


class TestApplicationRecorderOnMemory(OnMemory, library.ApplicationRecorderTestCase[Any]):
    def create_recorder(self) -> LibraryApplicationRecorder:
        return LibraryApplicationRecorder(self.thread, self.store)


class TestApplicationRecorderOnPostgres(OnPostgres, library.ApplicationRecorderTestCase[Any]):
    def create_recorder(self) -> LibraryApplicationRecorder:
        return LibraryApplicationRecorder(self.thread, self.store)


class TestPositionsDoNotInterleaveOnMemory(OnMemory, library.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> LibraryApplicationRecorder:
        return LibraryApplicationRecorder(self.thread, self.store)


class TestPositionsDoNotInterleaveOnPostgres(OnPostgres, library.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> LibraryApplicationRecorder:
        return LibraryApplicationRecorder(self.thread, self.store)
