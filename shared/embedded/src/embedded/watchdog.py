"""Ends every child when the launcher dies without stopping them, by kill -9 for instance.

A shell waits at a pipe that only the launcher holds open; children join its process group. When the pipe closes, the
shell kills the group, itself included. A Ctrl-C at the terminal does not reach the group: it is for the launcher.
"""

from __future__ import annotations

import subprocess

SCRIPT = "trap '' INT TERM HUP; read -r _; kill -KILL 0"


class Watchdog:
    """One process group that ends with us. Close it after the children have ended."""

    def __init__(self) -> None:
        self._shell = subprocess.Popen(  # noqa: S603 - our own fixed program
            ["/bin/sh", "-c", SCRIPT, "gridledger-watchdog"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    @property
    def process_group(self) -> int:
        """The group that children join when they are started."""
        return self._shell.pid

    def close(self) -> None:
        """Kill what is left in the group."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait()
