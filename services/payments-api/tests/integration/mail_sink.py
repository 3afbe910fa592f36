"""A small SMTP server on the loopback for tests: real dialogue, answers by script, keeps what it took.

Speaks EHLO, STARTTLS, AUTH PLAIN, MAIL, RCPT, DATA, RSET and QUIT, or TLS from the first byte.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class Taken:
    """A mail that was taken."""

    sender: str
    recipient: str
    was_encrypted: bool
    user: str | None
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def part(self, kind: str) -> str:
        """The text of the part of that kind: ``plain`` or ``html``."""
        body = self.message.get_body((kind,))
        assert body is not None
        return str(body.get_content()).replace("\r\n", "\n")


@dataclass
class MailSink:
    """``at_recipient`` and ``at_data`` are answers to come, one each time; without one all is well.

    ``answers_after_s`` is how slow it is.
    """

    tls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    at_recipient: list[str] = field(default_factory=list)
    at_data: list[str] = field(default_factory=list)
    is_mute: bool = False
    answers_after_s: float = 0.0
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    port: int = 0


@asynccontextmanager
async def mail_sink(*, port: int = 0, from_the_first_byte: bool = False, **script: object) -> AsyncIterator[MailSink]:
    """Serve one."""
    sink = MailSink(**script)  # type: ignore[arg-type]
    dialogues: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        dialogues.add(task)
        sink.connections += 1
        try:
            await _Dialogue(sink, reader, writer, is_encrypted=from_the_first_byte).run()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError) as lost:
            del lost  # the client left; what it handed over before is kept
        finally:
            dialogues.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=sink.tls if from_the_first_byte else None)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        for dialogue in dialogues:
            dialogue.cancel()
        await asyncio.gather(*dialogues, return_exceptions=True)


class _Dialogue:
    def __init__(
        self, sink: MailSink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_encrypted: bool
    ) -> None:
        self._sink = sink
        self._reader = reader
        self._writer = writer
        self._is_encrypted = is_encrypted
        self._user: str | None = None
        self._sender = ""
        self._recipient = ""

    async def run(self) -> None:
        if self._sink.is_mute:
            await self._reader.read()
            return
        await self._say("220 sink")
        while line := (await self._reader.readline()).decode().rstrip("\r\n"):
            verb, _, rest = line.partition(" ")
            if verb.upper() == "QUIT":
                await self._say("221 bye")
                return
            await self._answer(verb.upper(), rest)

    async def _answer(self, verb: str, rest: str) -> None:
        if verb == "EHLO":
            await self._hello()
        elif verb == "STARTTLS":
            await self._encrypt()
        elif verb == "AUTH":
            await self._authenticate(rest)
        elif verb == "MAIL":
            await self._mail(rest)
        elif verb == "RCPT":
            self._recipient = _address(rest)
            await self._say(self._sink.at_recipient.pop(0) if self._sink.at_recipient else "250 ok")
        elif verb == "DATA":
            await self._data()
        else:
            await self._say("250 ok" if verb in ("RSET", "NOOP") else "502 what?")

    async def _hello(self) -> None:
        offers = ["sink", "8BITMIME", "SMTPUTF8"]
        offers += ["STARTTLS"] if self._sink.tls is not None and not self._is_encrypted else []
        offers += ["AUTH PLAIN"] if self._sink.login is not None else []
        for offer in offers[:-1]:
            await self._say(f"250-{offer}")
        await self._say(f"250 {offers[-1]}")

    async def _encrypt(self) -> None:
        assert self._sink.tls is not None
        await self._say("220 go ahead")
        await self._writer.start_tls(self._sink.tls)
        self._is_encrypted = True

    async def _authenticate(self, rest: str) -> None:
        _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
        if (user, password) != self._sink.login:
            await self._say("535 wrong")
            return
        self._user = user
        await self._say("235 welcome")

    async def _mail(self, rest: str) -> None:
        self._sender = _address(rest)
        await self._say("250 ok" if self._sink.login is None or self._user else "530 sign in first")

    async def _data(self) -> None:
        await self._say("354 go ahead")
        raw = await self._reader.readuntil(b"\r\n.\r\n")
        answer = self._sink.at_data.pop(0) if self._sink.at_data else "250 taken"
        if answer.startswith("250"):
            text = raw[:-3].replace(b"\r\n..", b"\r\n.")
            self._sink.taken.append(Taken(self._sender, self._recipient, self._is_encrypted, self._user, text))
        await self._say(answer)

    async def _say(self, line: str) -> None:
        await asyncio.sleep(self._sink.answers_after_s)
        self._writer.write(f"{line}\r\n".encode())
        await self._writer.drain()


def _address(rest: str) -> str:
    return rest[rest.index("<") + 1 : rest.index(">")]
