"""``python -m embedded demo [--json]``: find a stack, tell the story on it, show it; exit code 0 only if all holds."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
from rich.console import Console

from chassis.settings import SettingsError
from embedded.demo.clients import UnexpectedAnswer
from embedded.demo.showing import as_json, show_ending, show_step
from embedded.demo.stack_at_hand import stack_at_hand
from embedded.demo.story import Telling, tell_story

EXIT_WRONG = 1
EXIT_INTERRUPTED = 130


async def run_demo(*, json_only: bool) -> int:
    """Tell and show the story; answers the exit code. Raises SettingsError when no stack can be had."""
    # With --json, standard output is for the one object; what people like to see goes beside it.
    console = Console(stderr=json_only, highlight=False)
    telling = asyncio.create_task(_tell(console))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, telling.cancel)
    try:
        told = await telling
    except asyncio.CancelledError:
        return EXIT_INTERRUPTED
    except (UnexpectedAnswer, httpx.TransportError) as error:
        print(f"error: {error or type(error).__name__}", file=sys.stderr)
        return EXIT_WRONG
    show_ending(console, told)
    if json_only:
        print(as_json(told))
    return 0 if told.holds else EXIT_WRONG


async def _tell(console: Console) -> Telling:
    try:
        async with stack_at_hand(os.environ, Path.cwd(), console.print) as address:
            return await tell_story(address, lambda step: show_step(console, step))
    except OSError as error:
        raise SettingsError(f"the demo's folder cannot be used: {error}") from error
