"""A statement's file, whichever of the two formats it has."""

from __future__ import annotations

from payments_api.adapters.statements.camt053 import read_camt053
from payments_api.adapters.statements.csv_rows import read_csv
from payments_api.adapters.statements.fields import DayOrder
from payments_api.application.bank_statements import Statement, StatementRefused

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_statement(body: bytes, *, currency: str | None = None, order: DayOrder | None = None) -> Statement:
    """What begins with ``<`` is XML, everything else CSV in UTF-8. Raises StatementRefused; then nothing was read."""
    content = body.removeprefix(BYTE_ORDER_MARK)
    if content.lstrip().startswith(b"<"):
        return read_camt053(content)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise StatementRefused("not_utf8", "the file is not UTF-8; save it as CSV in UTF-8", line) from error
    return read_csv(text, currency=currency, order=order)
