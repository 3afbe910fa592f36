"""Sending the mails that wait, again and again until they are taken or given up.

At least once: whoever dies between handing a mail over and noting it sends it again, under the same Message-ID. A
server's words may hold an address: they are kept with the mail and never logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from chassis.errors import OperationalError
from chassis.rounds import in_rounds
from chassis.runtime import StopSignal
from payments_api.application.notifying import Kind

LOOK_EVERY_S = 1.0
ROUND_MAX_MAILS = 100
ATTEMPTS_MAX = 12

log = structlog.get_logger("mail")


@dataclass(frozen=True, slots=True)
class DueMail:
    """A mail whose time has come; ``attempts`` counts this one."""

    id: str
    kind: Kind
    payment_id: str
    recipient: str
    facts: Mapping[str, str]
    attempts: int


class MailAway(OperationalError):
    """The server did not take it now; it may later."""


class MailRefused(Exception):
    """This mail will never be taken: its address or its words were refused."""


class Post(Protocol):
    """The way out."""

    async def send(self, mail: DueMail) -> None:
        """Hand it over. Raises MailAway, or MailRefused."""
        ...


class MailQueue(Protocol):
    """Where mails are taken from."""

    async def take_due(self) -> DueMail | None:
        """One whose time has come; it comes again after a pause that doubles and is longer than sending may take."""
        ...

    async def sent(self, mail_id: str) -> None:
        """It was taken."""
        ...

    async def missed(self, mail_id: str, error: str) -> None:
        """Not taken now."""
        ...

    async def give_up(self, mail_id: str, error: str) -> None:
        """It is never tried again."""
        ...


class Sending:
    """The process."""

    def __init__(self, queue: MailQueue, post: Post) -> None:
        self._queue = queue
        self._post = post

    async def run(self, stop: StopSignal) -> None:
        """Send what is due until stopped; bugs are raised."""
        await in_rounds(lambda: self.send_due(stop), stop, every_s=LOOK_EVERY_S, failed="mails_not_sent")

    async def send_due(self, stop: StopSignal | None = None) -> int:
        """One round, which ends early when the server is away; answers how many were sent."""
        sent = 0
        for _ in range(ROUND_MAX_MAILS):
            mail = None if stop is not None and stop.is_set() else await self._queue.take_due()
            if mail is None:
                break
            try:
                await self._post.send(mail)
            except MailRefused as refused:
                await self._give_up(mail, str(refused))
            except MailAway as away:
                await self._miss(mail, str(away))
                break
            else:
                await self._queue.sent(mail.id)
                sent += 1
        return sent

    async def _miss(self, mail: DueMail, error: str) -> None:
        if mail.attempts >= ATTEMPTS_MAX:
            await self._give_up(mail, error)
            return
        log.warning("mail_not_taken", mail=mail.id, payment=mail.payment_id, attempts=mail.attempts)
        await self._queue.missed(mail.id, error)

    async def _give_up(self, mail: DueMail, error: str) -> None:
        log.error("mail_given_up", mail=mail.id, payment=mail.payment_id, attempts=mail.attempts)
        await self._queue.give_up(mail.id, error)
