"""What a person's form said, and whether a person asks at all. For all pages of the demo gateway's process."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import Request

from chassis.errors import InvalidField

FORM_MAX_FIELDS = 20


async def parameters_of(request: Request) -> dict[str, str]:
    """Those of the address and those of the form; the address wins, since it is signed. Raises InvalidField."""
    form = (await request.body()).decode("utf-8", "replace")
    try:
        sent = parse_qsl(form, keep_blank_values=True, max_num_fields=FORM_MAX_FIELDS)
    except ValueError as error:
        raise InvalidField("body", "too_many_fields", f"at most {FORM_MAX_FIELDS} fields") from error
    return {**dict(sent), **dict(request.query_params)}


def wants_page(request: Request) -> bool:
    """A browser asks, and not a program."""
    return "text/html" in request.headers.get("accept", "")
