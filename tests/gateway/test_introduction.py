"""The line with which a proxy says for whom it connects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.introduction import MAX_LINE, begins, read_line
from wire.errors import Malformed

FOUR = b"PROXY TCP4 203.0.113.7 192.0.2.1 50123 4433\r\n"
SIX = b"PROXY TCP6 2001:db8::7 2001:db8::1 50123 4433\r\n"


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (FOUR, "203.0.113.7"),
        (SIX, "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ff:: ff:: 65535 65535\r\n", None),
    ],
)
def test_a_line_names_the_visitor_and_ends_where_his_bytes_begin(
    line: bytes, address: str | None
) -> None:
    assert read_line(line + b"GET / HTTP/1.1\r\n") == (address, len(line))


def test_a_line_that_comes_in_drops_is_waited_for() -> None:
    for size in range(len(FOUR)):
        assert begins(FOUR[:size]) is (None if size < 6 else True)
        assert read_line(FOUR[:size]) is None


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1", b"P", b"", b"POST / HTTP/1.1", b"PRI * "])
def test_a_request_is_no_introduction(data: bytes) -> None:
    assert begins(data) is (None if data in (b"", b"P") else False)


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY TCP4 2001:db8::7 192.0.2.1 1 2\r\n",
        b"PROXY TCP6 203.0.113.7 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 somebody 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 127.1 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 203.0.113.7\r\n",
        b"PROXY UDP4 203.0.113.7 192.0.2.1 1 2\r\n",
        b"PROXY  TCP4 203.0.113.7 192.0.2.1 1\r\n",
        b"PROXY \xff\r\n",
        b"PROXY " + b"x" * MAX_LINE,
    ],
)
def test_a_line_of_another_form_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        read_line(line)


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_line_or_malformed(data: bytes) -> None:
    try:
        found = read_line(b"PROXY " + data)
    except Malformed:
        return
    assert found is None or found[1] <= MAX_LINE
