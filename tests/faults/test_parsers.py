"""Every parser, fed with what is nearly good, and with what no good thing resembles."""

import asyncio
import importlib.util
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.conftest import Amount
from tests.faults.here import NotPossibleHere, is_long, patience, seconds, times
from tests.faults.parsers import Parser, parsers
from tests.faults.tools.fuzz import read_once
from tests.wire.hostile import damaged
from wire.codec import decode, encode
from wire.errors import Malformed

pytestmark = pytest.mark.timeout(patience())

EXAMPLES = times(100, long=20_000)


@pytest.mark.parametrize("name", parsers())
def test_bi_02_a_parser_raises_its_own_errors_only(name: str, amount: Amount) -> None:
    """BI-02: good messages cut, lengthened, altered and doubled: read or refused, in good time."""
    parser = parsers()[name]

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.sampled_from(parser.good).flatmap(damaged))
    def feed(data: bytes) -> None:
        read_once(parser, data)

    feed()
    for good in parser.good:
        parser.read(good)
    amount(f"{EXAMPLES} damaged messages for each parser")


async def test_bi_02_no_path_through_a_parser_breaks_it(tmp_path: Path, amount: Amount) -> None:
    """BI-02: searched with atheris, guided by coverage, a while for each parser."""
    if importlib.util.find_spec("atheris") is None:
        raise NotPossibleHere("atheris is not installed (./run setup fuzz)")
    done = 0
    names = list(parsers()) if is_long() else ["frame"]
    for number, name in enumerate(names):
        folder = tmp_path / str(number)
        folder.mkdir()
        done += await search(name, folder)
    amount(
        f"{len(names)} parsers searched with atheris for {seconds(1.0):.0f} s each, {done:,} inputs"
    )


async def search(name: str, folder: Path) -> int:
    """Search one parser; return how many inputs it was fed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.faults.tools.fuzz", name, str(seconds(1.0)), str(folder)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    said = err.decode(errors="replace")
    broken = [one.read_bytes().hex() for one in folder.glob("*-*") if "good" not in one.name]
    assert process.returncode == 0, f"{name}: {broken}: {said[-3000:]}"
    found = re.search(r"number_of_executed_units: (\d+)", said)
    assert found, said[-3000:]
    return int(found[1])


def test_bi_02_what_breaks_a_parser_is_noticed() -> None:
    """BI-02: an error that is not on the list, a second spelling and a slow reader are found."""

    def wrong(data: bytes) -> bytes:
        raise IndexError(data)

    def slow(data: bytes) -> bytes:
        return bytes(one ^ 1 for _ in range(60) for one in bytes(1 << 18))

    with pytest.raises(IndexError):
        read_once(Parser(wrong, ()), b"x")
    with pytest.raises(AssertionError, match="another spelling"):
        read_once(Parser(bytes.lower, (), again=bytes), b"X")
    with pytest.raises(Exception, match="s for 1 bytes"):
        read_once(Parser(slow, ()), b"x")


@pytest.mark.parametrize("name", [name for name, one in parsers().items() if one.again])
def test_bi_04_a_byte_more_or_less_makes_no_second_spelling(name: str) -> None:
    """BI-04: a byte more or less: refused, or another thing in its one spelling."""
    parser = parsers()[name]
    assert parser.again is not None

    for good in parser.good:
        with pytest.raises(parser.errors):
            parser.read(good + b"\0")
        for other in (good + good, good[:-1]):
            try:
                found = parser.read(other)
            except parser.errors:
                continue
            assert parser.again(found) == other
            assert found != parser.read(good)


@pytest.mark.parametrize("name", parsers())
def test_bi_04_cbor_in_another_spelling_is_refused(name: str) -> None:
    """BI-04: a key twice, keys in another order, long heads, texts in another normal form."""
    parser = parsers()[name]
    maps = [one for one in parser.good if one[:1] and 0xA2 <= one[0] < 0xB7]

    for good in maps:
        content = good[1:]
        key = content[:1]
        value = encode(next(iter(decode(good, limit=1 << 20).values())))  # type: ignore[union-attr]  # it is a map
        others = [
            bytes([good[0] + 1]) + key + value + content,  # the first key twice
            bytes([0xB8, good[0] - 0xA0]) + content,  # its length in two bytes
            b"\xbf" + content + b"\xff",  # no length at all
            bytes([good[0]]) + b"\x18" + content,  # the first key in two bytes
            bytes([good[0]]) + content[1 + len(value) :] + key + value,  # the first pair last
        ]
        for other in others:
            with pytest.raises(Malformed):
                decode(other, limit=1 << 20)
            with pytest.raises(parser.errors):
                parser.read(other)


def test_bi_04_a_text_in_another_normal_form_is_refused() -> None:
    """BI-04: "é" as two characters is no second spelling of "é" as one."""
    assert decode(b"\x62\xc3\xa9", limit=9) == "é"
    with pytest.raises(Malformed):
        decode(b"\x63e\xcc\x81", limit=9)
    with pytest.raises(Malformed):
        decode(b"\xa2\x00\x01\x00\x01", limit=9)
