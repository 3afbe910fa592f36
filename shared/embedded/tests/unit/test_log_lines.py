"""Each line with its name; long and broken ones come through, and a reader that went away stops nothing."""

import asyncio
import io

import pytest

from embedded.log_lines import LINE_MAX_BYTES, LINES_KEPT, LogLines


async def followed(*chunks: bytes) -> tuple[LogLines, list[str]]:
    out = io.StringIO()
    log, stream = LogLines(out, ("ledger",)), asyncio.StreamReader()
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    await log.follow("ledger", stream)
    return log, [line.partition("| ")[2] for line in out.getvalue().splitlines()]


@pytest.mark.asyncio
async def test_lines_keep_their_order_and_their_bounds() -> None:
    log, lines = await followed(b"one\ntw", b"o\n\nlast, without an end")

    assert lines == ["one", "two", "", "last, without an end"]
    assert list(log.last("ledger")) == lines


@pytest.mark.asyncio
async def test_what_is_not_text_comes_through() -> None:
    _, lines = await followed(b"\xff\xfe and so on\n")

    assert lines == ["�� and so on"]


@pytest.mark.asyncio
async def test_a_line_without_end_comes_in_pieces() -> None:
    _, lines = await followed(b"x" * (3 * LINE_MAX_BYTES), b"\n", b"next\n")

    assert lines[-1] == "next"
    assert "".join(lines[:-1]) == "x" * (3 * LINE_MAX_BYTES)
    assert len(lines) > 2


def test_only_the_last_lines_are_kept() -> None:
    log = LogLines(io.StringIO(), ())
    for number in range(LINES_KEPT + 5):
        log.say("ledger", str(number))

    assert log.last("ledger")[0] == "5"
    assert len(log.last("ledger")) == LINES_KEPT
    assert log.last("nobody") == ()


class Gone(io.StringIO):
    """Standard output whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_reader_that_went_away_stops_nothing() -> None:
    log = LogLines(Gone(), ("ledger",))

    log.say("ledger", "one")
    log.say("ledger", "two")

    assert log.last("ledger") == ("one", "two")
