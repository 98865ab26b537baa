"""What is written on stderr, and what never is."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.logs import (
    BURST,
    HIDDEN,
    PERIOD,
    Dam,
    JsonLines,
    PlainLines,
    Sparing,
    harmless,
    set_up_logging,
    short_address,
)
from wire.codes import GatewayCode
from wire.ids import GatewayId, SeatId
from wire.places import Place


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Leave the process' logging as it was found."""
    root, asyncio_log = logging.getLogger(), logging.getLogger("asyncio")
    handlers, level, filters = root.handlers[:], root.level, asyncio_log.filters[:]
    raising = logging.raiseExceptions
    yield
    root.handlers[:], asyncio_log.filters[:] = handlers, filters
    root.setLevel(level)
    asyncio_log.setLevel(logging.NOTSET)
    logging.getLogger("aiosqlite").setLevel(logging.NOTSET)
    logging.raiseExceptions = raising
    logging.captureWarnings(False)


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("gateway.sync.pairing", logging.INFO, "", 1, message, arguments, None)


def failed_record() -> logging.LogRecord:
    try:
        raise ValueError("first\nINFO: a forged line")
    except ValueError:
        return logging.LogRecord("x", logging.ERROR, "", 1, "it broke", (), sys.exc_info())


def test_a_line_says_how_bad_who_and_what() -> None:
    line = PlainLines().format(record("a phone was paired"))

    assert line == "info    sync.pairing: a phone was paired"


def test_a_line_for_machines_is_one_json_object() -> None:
    value = json.loads(JsonLines().format(record("a phone was %s", "paired")))

    assert value["message"] == "a phone was paired"
    assert (value["level"], value["from"]) == ("info", "sync.pairing")


@pytest.mark.parametrize("style", [PlainLines(), JsonLines()], ids=["plain", "json"])
def test_nobody_can_forge_a_line_or_colour_the_terminal(style: logging.Formatter) -> None:
    hostile = "name\r\nERROR: \x1b[31mall is lost\x00\u202e\x85\u2028"
    line = style.format(record("hello %s", hostile))

    assert line.isprintable()


def test_a_trace_is_indented_so_that_none_of_its_lines_passes_for_a_record() -> None:
    first, *rest = PlainLines().format(failed_record()).split("\n")

    assert first == "error   x: it broke"
    assert all(line.startswith("        | ") for line in rest)
    assert any("INFO: a forged line" in line for line in rest)


def test_a_trace_stays_inside_its_json_object() -> None:
    line = JsonLines().format(failed_record())

    assert "\n" not in line
    assert "ValueError: first" in json.loads(line)["trace"]


CODE = GatewayCode(GatewayId(bytes(range(32))), b"s" * 16, 1, Place("10.0.0.1")).text()


@pytest.mark.parametrize(
    "secret",
    [
        CODE,
        CODE.lower(),
        SeatId(bytes(range(16))).text,
        GatewayId(bytes(range(32))).text,
        bytes(range(32)).hex(),
        "Bearer AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "u1x_kQ-2vR8mZp3bYw7TnA",
    ],
)
def test_codes_keys_bearers_and_ids_are_hidden(secret: str) -> None:
    shown = harmless(f"request with {secret} refused")

    assert secret.removeprefix("Bearer ") not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize(
    "text",
    [
        "version 0.18.0 answers on port 4433, data in /home/ada/.local/share/homepost",
        "12:30:44 a phone was paired",
        "listening on :: and 0.0.0.0",
        "hypercorn.protocol.h11 and python 3.11.7",
        "/srv/a_folder_with_quite_a_long_name/gateway.sqlite",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.168.1.77", "192.168.1.0/24"),
        ("::ffff:192.168.1.77", "192.168.1.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("/run/control.sock", HIDDEN),
    ],
)
def test_an_address_is_cut_to_its_network(address: str, network: str) -> None:
    assert short_address(address) == network


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("peer ('192.168.1.77', 50123)", "peer ('192.168.1.0/24', 50123)"),
        ("from 192.168.1.77.", "from 192.168.1.0/24."),
        ("from 192.168.1.77:50123", "from 192.168.1.0/24:50123"),
        ("from [2001:db8:1:2::5]:443", "from [2001:db8:1::/48]:443"),
        ("raddr=::ffff:192.168.1.77", "raddr=::ffff:192.168.1.0/24"),
    ],
)
def test_addresses_that_others_log_are_cut_as_well(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.ip_addresses(v=4), st.text(alphabet=" ,;()'=[]", min_size=1, max_size=3))
def test_no_whole_ipv4_address_gets_through(address: object, around: str) -> None:
    whole = str(address)
    shown = harmless(f"{around}{whole}{around}")

    assert whole not in shown or whole.endswith(".0") or whole == "127.0.0.1"


@given(st.text())
def test_whatever_is_logged_can_be_printed(text: str) -> None:
    assert harmless(text).isprintable()


def test_arguments_that_do_not_fit_do_not_hide_the_message() -> None:
    assert "with arguments that do not fit" in PlainLines().format(record("%d phones", "no"))


def test_a_flood_of_one_complaint_is_dammed_and_counted() -> None:
    now = 0.0
    dam = Dam(lambda: now)
    passed = sum(dam.filter(record("accept failed")) for _ in range(1000))
    now = PERIOD
    next_one = record("accept failed")

    assert passed == BURST
    assert dam.filter(next_one)
    assert next_one.getMessage() == f"accept failed ({1000 - BURST} like this were not logged)"


def test_one_complaint_does_not_silence_another() -> None:
    dam = Dam(lambda: 0.0)
    for _ in range(100):
        dam.filter(record("accept failed"))

    assert dam.filter(record("something else"))


def test_complaints_that_differ_each_time_are_dammed_together() -> None:
    dam = Dam(lambda: 0.0)
    passed = sum(dam.filter(record(f"complaint {number}")) for number in range(10_000))

    assert passed <= Dam.MAX_KINDS + BURST


def test_everything_goes_to_one_place_in_one_style() -> None:
    stream = io.StringIO()
    set_up_logging(level="info", style="json", stream=stream)
    logging.getLogger("gateway.x").info("hello")
    logging.getLogger("gateway.x").debug("too much")
    logging.getLogger("asyncio").error("from 192.168.1.77")

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]

    assert [line["message"] for line in lines] == ["hello", "from 192.168.1.0/24"]


def test_asyncio_cannot_fill_the_disk() -> None:
    stream = io.StringIO()
    set_up_logging(level="info", style="plain", stream=stream)
    for _ in range(1000):
        logging.getLogger("asyncio").error("socket.accept() out of system resource")

    assert len(stream.getvalue().splitlines()) == BURST


def test_the_store_writes_no_values_into_the_log_even_at_its_most_talkative() -> None:
    out = io.StringIO()
    set_up_logging(level="debug", style="plain", stream=out)
    logging.getLogger("aiosqlite").debug("executing %r", (b"a lane id",))

    assert out.getvalue() == ""


def test_a_library_says_only_so_much_a_minute_and_then_how_much_was_left_out() -> None:
    now = 0.0
    sparing = Sparing(3, now=lambda: now)

    def say(text: str) -> str | None:
        record = logging.LogRecord("asyncio", logging.ERROR, __file__, 1, text, (), None)
        return record.getMessage() if sparing.filter(record) else None

    assert [say(f"{n}") for n in range(6)] == ["0", "1", "2", None, None, None]
    now = 60.0
    assert say("again") == "again (and 3 more that were not written)"
    assert say("once more") == "once more"
