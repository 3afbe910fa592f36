"""The ``Idempotency-Key`` header of requests that change something; optional on the seeds' paths.

Reads and checks it; what a key stands for is kept by ``adapters.idempotency``.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header

from chassis.errors import InvalidField

NAME = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")


async def _read(
    idempotency_key: Annotated[
        str | None, Header(alias=NAME, description="The same key and body get the same answer, for 30 days")
    ] = None,
) -> str | None:
    if idempotency_key is not None and _VISIBLE.fullmatch(idempotency_key) is None:
        raise InvalidField(NAME, "bad_idempotency_key", "must be 1 to 255 visible characters")
    return idempotency_key


KeyHeader = Annotated[str | None, Depends(_read)]
