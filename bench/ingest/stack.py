"""What the benchmark runs on: an embedded PostgreSQL (fsync on) in a folder of its own, and servers as processes."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncpg
from webhooks import STRIPE_SECRET

from chassis.bus.postgres_log import MIGRATIONS as BUS_MIGRATIONS
from chassis.migrate import migrate
from embedded.ports import free_port
from embedded.postgres_server import PostgresServer
from embedded.provisioning import DatabaseAccess, provision
from gateway_ingest.bootstrap import MIGRATIONS

WAL_AGED_BYTES = 256 * 1024 * 1024
WAL_PIECE_BYTES = 8 * 1024 * 1024
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0


@contextmanager
def databases(folder: Path) -> Iterator[Mapping[str, DatabaseAccess]]:
    """The service's database and the bus, migrated."""
    # As root, PostgreSQL runs as another user, who must be able to walk in; else its data would be kept elsewhere.
    folder.chmod(0o755)
    server = PostgresServer(folder / "postgres")
    info = server.start()
    try:
        access = asyncio.run(provision(info.superuser_dsn, ["gateway_ingest", "bus"]))
        asyncio.run(migrate(access["gateway_ingest"].owner_dsn, MIGRATIONS))
        asyncio.run(migrate(access["bus"].owner_dsn, BUS_MIGRATIONS))
        asyncio.run(_age(info.superuser_dsn))
        yield access
    finally:
        server.stop()


async def _age(superuser_dsn: str) -> None:
    """Make the server one that has run for a while: it recycles its WAL files. A new one creates each of them, and
    every commit waits meanwhile, which says nothing of us."""
    connection = await asyncpg.connect(superuser_dsn)
    try:
        for _ in range(WAL_AGED_BYTES // WAL_PIECE_BYTES):
            await connection.execute(
                "SELECT pg_logical_emit_message(false, 'age', repeat('x', $1::int))", WAL_PIECE_BYTES
            )
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


@contextmanager
def ingest(access: Mapping[str, DatabaseAccess], mode: str) -> Iterator[int]:
    """gateway-ingest as one process; answers its port."""
    port = free_port()
    environment = {
        "DATABASE_URL": access["gateway_ingest"].app_dsn,
        "BUS_URL": access["bus"].app_dsn,
        "SERVICE_TOKEN": secrets.token_hex(16),
        "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
        "RAW_EVENT_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "PORT": str(port),
    }
    with _process([sys.executable, "-m", "gateway_ingest", mode], environment, port):
        yield port


@contextmanager
def hello() -> Iterator[int]:
    """The bare FastAPI; answers its port."""
    port = free_port()
    script = str(Path(__file__).parent / "hello.py")
    with _process([sys.executable, script, "--port", str(port)], {}, port):
        yield port


@contextmanager
def _process(command: list[str], environment: Mapping[str, str], port: int) -> Iterator[None]:
    process = subprocess.Popen(  # noqa: S603 - our own programs
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )
    try:
        asyncio.run(_listening(process, port))
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_TIMEOUT_S)


async def _listening(process: subprocess.Popen[bytes], port: int) -> None:
    async with asyncio.timeout(START_TIMEOUT_S):
        while process.poll() is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
    raise RuntimeError(f"the server ended with code {process.returncode}")
