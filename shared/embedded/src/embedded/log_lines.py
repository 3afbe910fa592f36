"""The launcher's own output: each line with the name of who said it. Holds back nothing and parses nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TextIO

LAUNCHER = "launcher"
NAME_WIDTH = 14
LINE_MAX_BYTES = 64 * 1024
LINES_KEPT = 40
COLOURS = (36, 32, 33, 35, 34, 96, 92, 95)


class LogLines:
    """Writes to ``out``, in colours on a terminal, and keeps the last lines of each name."""

    def __init__(self, out: TextIO, names: Sequence[str]) -> None:
        self._out: TextIO | None = out
        self._colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}
        self._coloured = out.isatty()
        self._last: dict[str, deque[str]] = {}

    def say(self, name: str, line: str) -> None:
        """One line of ``name``'s. A reader that went away does not matter: the stack runs on."""
        self._last.setdefault(name, deque(maxlen=LINES_KEPT)).append(line)
        prefix = f"{name:<{NAME_WIDTH}} |"
        if self._coloured:
            prefix = f"\x1b[{self._colours.get(name, 37)}m{prefix}\x1b[0m"
        if self._out is None:
            return
        try:
            print(prefix, line, file=self._out, flush=True)
        except OSError:
            self._out = None

    def last(self, name: str) -> Sequence[str]:
        """The last lines that ``name`` said, oldest first."""
        return tuple(self._last.get(name, ()))

    async def follow(self, name: str, stream: asyncio.StreamReader) -> None:
        """Say every line of a child's output until it ends; a line that never ends is cut into pieces."""
        pending = b""
        while chunk := await stream.read(LINE_MAX_BYTES):
            *lines, pending = (pending + chunk).split(b"\n")
            if len(pending) > LINE_MAX_BYTES:
                lines, pending = [*lines, pending], b""
            for line in lines:
                self.say(name, line.decode(errors="replace").rstrip())
        if pending:
            self.say(name, pending.decode(errors="replace").rstrip())
