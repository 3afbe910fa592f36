"""Which errors of a handler mean that its message will never pass. Everything else passes later, or is a bug."""

from __future__ import annotations

import json

import msgspec
import pydantic

from chassis.errors import DomainError, PoisonMessage
from chassis.postgres import is_data_error


def as_poison(error: BaseException) -> PoisonMessage | None:
    """The reason to give the message up, or None. Details never hold the values that were refused."""
    if isinstance(error, PoisonMessage):
        return error
    if isinstance(error, DomainError):
        return PoisonMessage(error.code, error.title)
    if isinstance(error, pydantic.ValidationError):
        wrong = error.errors(include_input=False, include_url=False, include_context=False)
        return PoisonMessage("bad-payload", "; ".join(f"{_path(entry['loc'])}: {entry['msg']}" for entry in wrong))
    if isinstance(error, json.JSONDecodeError | msgspec.DecodeError):
        return PoisonMessage("bad-payload", str(error))
    if is_data_error(error):
        return PoisonMessage("data-refused", f"{type(error).__name__}: {error}")
    return None


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "value"
