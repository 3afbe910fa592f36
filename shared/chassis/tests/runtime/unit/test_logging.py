"""Lines carry the event, the service, the request; in JSON each is one object."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from chassis.logging import configure_logging, request_id


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_lines_hold_event_service_and_fields() -> None:
    out = io.StringIO()
    configure_logging("ledger", "json", stream=out)
    structlog.get_logger().info("payment_credited", payment_id="p1")
    line = json.loads(out.getvalue())
    assert (line["event"], line["service"], line["payment_id"], line["level"]) == (
        "payment_credited",
        "ledger",
        "p1",
        "info",
    )
    assert line["timestamp"].endswith("Z")


def test_the_request_being_answered_is_in_its_lines_only() -> None:
    out = io.StringIO()
    configure_logging("ledger", "json", stream=out)
    token = request_id.set("r1")
    structlog.get_logger().info("inside")
    request_id.reset(token)
    structlog.get_logger().info("outside")
    inside, outside = map(json.loads, out.getvalue().splitlines())
    assert inside["request_id"] == "r1"
    assert "request_id" not in outside


def test_an_exception_is_one_json_line_with_its_traceback() -> None:
    out = io.StringIO()
    configure_logging("ledger", "json", stream=out)
    structlog.get_logger().error("task_crashed", exc_info=ValueError("boom"))
    assert "ValueError: boom" in json.loads(out.getvalue())["exception"]


def test_the_standard_library_is_taken_along() -> None:
    out = io.StringIO()
    configure_logging("ledger", "json", stream=out)
    logging.getLogger("uvicorn.error").warning("odd %s", "thing")
    logging.getLogger("uvicorn.error").info("too chatty")
    line = json.loads(out.getvalue())
    assert (line["event"], line["service"], line["level"]) == ("odd thing", "ledger", "warning")


def test_the_terminal_gets_readable_lines_without_colour_codes_in_a_pipe() -> None:
    out = io.StringIO()
    configure_logging("ledger", "console", stream=out)
    structlog.get_logger().info("payment_credited", payment_id="p1")
    assert "payment_credited" in out.getvalue()
    assert "payment_id=p1" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="xml"):
        configure_logging("ledger", "xml")


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_never_shows_variables(form: str) -> None:
    out = io.StringIO()
    configure_logging("ledger", form, stream=out)

    def connect(password: str) -> None:
        raise ConnectionError("away")

    try:
        connect("".join(["hun", "ter2"]))
    except ConnectionError:
        structlog.get_logger().exception("database_away")
    assert "ConnectionError: away" in out.getvalue()
    assert "hunter2" not in out.getvalue()
