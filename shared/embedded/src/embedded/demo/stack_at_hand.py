"""Finds the stack that the demo is told on: the one that runs on DATA_DIR, one that was named, or one of its own.

A stack of its own lives in a folder of its own, on free ports, and goes away with the demo.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import httpx

from chassis.settings import SettingsError
from embedded.data_folder import hold_folder, read_note
from embedded.demo.clients import StackAddress
from embedded.launcher import Stack
from embedded.log_lines import LAUNCHER, LogLines
from embedded.ports import LOOPBACK, free_ports
from embedded.stack_settings import PORTS, POSTGRES_PORT, StackSettings, read_settings

PROBE_TIMEOUT_S = 2.0
FOLDER_PREFIX = "gridledger-demo-"
Say = Callable[[str], None]


@asynccontextmanager
async def stack_at_hand(environment: Mapping[str, str], folder: Path, say: Say) -> AsyncIterator[StackAddress]:
    """Yield where the stack is. Raises SettingsError with one line when there is none and none can be started."""
    settings = read_settings(environment, folder)
    found = _running(settings) or await _named(settings)
    if found is not None:
        say(f"On the running stack at {found.payments_api}.")
        yield found
        return
    async with _own_stack(environment, folder, say) as address:
        yield address


def _running(settings: StackSettings) -> StackAddress | None:
    note = read_note(settings.data_dir)
    if note is None:
        return None
    if not note.ready:
        raise SettingsError(f"the stack on {settings.data_dir} is still starting; try again when it is ready")
    told = note.environments["gateway-ingest"]
    return _address(note.ports, told["STRIPE_WEBHOOK_SECRET"], told["SERVICE_TOKEN"])


async def _named(settings: StackSettings) -> StackAddress | None:
    """The stack on the given ports, when its secrets are given too: one that was not started here."""
    secret, token = (settings.environment.get(name) for name in ("STRIPE_WEBHOOK_SECRET", "SERVICE_TOKEN"))
    if not secret or not token:
        return None
    try:
        async with httpx.AsyncClient(timeout=PROBE_TIMEOUT_S, trust_env=False) as http:
            await http.get(f"{settings.url('payments-api')}/readyz")
    except httpx.TransportError:
        return None
    return _address(settings.ports, secret, token)


def _address(ports: Mapping[str, int], stripe_secrets: str, service_token: str) -> StackAddress:
    urls = {name.replace("-", "_"): f"http://{LOOPBACK}:{ports[name]}" for name in PORTS}
    return StackAddress(
        payments_api=urls["payments_api"],
        gateway_ingest=urls["gateway_ingest"],
        ledger=urls["ledger"],
        stripe_secret=stripe_secrets.split(",")[0].strip(),
        service_token=service_token,
    )


@asynccontextmanager
async def _own_stack(environment: Mapping[str, str], folder: Path, say: Say) -> AsyncIterator[StackAddress]:
    data_dir = _fresh_folder()
    try:
        settings = read_settings({**environment, **ports_of_its_own(), "DATA_DIR": str(data_dir)}, folder)
        with ExitStack() as held, (data_dir / "stack.log").open("w") as log_file:
            held.enter_context(hold_folder(data_dir))
            say("No stack is running: starting one for the demo.")
            stack = Stack(settings, LogLines(log_file, (*PORTS, LAUNCHER)))
            async with _started(stack):
                kept = stack.secrets.variables
                yield _address(settings.ports, kept["STRIPE_WEBHOOK_SECRET"], kept["SERVICE_TOKEN"])
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


def _fresh_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    # As root, PostgreSQL runs as another user, who must be able to walk in; secrets are closed by their own modes.
    folder.chmod(0o755)
    return folder


@asynccontextmanager
async def _started(stack: Stack) -> AsyncIterator[None]:
    try:
        await stack.start()
        running = asyncio.create_task(stack.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait({running})
    finally:
        await stack.stop()


def ports_of_its_own() -> dict[str, str]:
    """A free port for every process, by variable."""
    variables = [*(variable for variable, _ in PORTS.values()), POSTGRES_PORT]
    return {variable: str(port) for variable, port in zip(variables, free_ports(len(variables)), strict=True)}
