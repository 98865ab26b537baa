import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.items.kinds import (
    MAX_ITEM,
    MAX_TEXT,
    CardUpdate,
    Content,
    File,
    Gone,
    Heartbeat,
    Item,
    Kind,
    Lanes,
    Letter,
    Range,
    Resend,
    Reset,
    TooLong,
    Unknown,
    item_id,
    now_as_time,
)
from wire.codec import Value, decode, encode
from wire.errors import Malformed
from wire.ids import DeviceId, PersonId
from wire.lanes import LaneClass, LaneSecret

ANA, DEVICE = PersonId(b"a" * 32), DeviceId(b"d" * 16)
TEXT = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"], max_codepoint=0x2FF), max_size=50
).map(lambda text: Letter.write(text).text)
RANGES = st.lists(
    st.tuples(st.integers(1, 99), st.integers(0, 99)).map(lambda two: Range(two[0], sum(two))),
    max_size=5,
).map(tuple)
DEVICES = st.binary(min_size=16, max_size=16).map(DeviceId)
SECRETS = st.binary(min_size=32, max_size=32).map(LaneSecret)
CONTENTS: st.SearchStrategy[Content] = st.one_of(
    st.builds(Letter, TEXT, st.none() | st.builds(File, TEXT, TEXT, st.binary(max_size=99))),
    st.builds(Resend, DEVICES, RANGES),
    st.builds(Gone, DEVICES, RANGES),
    st.just(Heartbeat()),
    st.builds(
        CardUpdate,
        st.lists(st.binary(max_size=99), max_size=3).map(tuple),
        st.binary(max_size=512),
    ),
    st.dictionaries(st.sampled_from(LaneClass), SECRETS).map(
        lambda lanes: Lanes(tuple(sorted(lanes.items())))
    ),
    st.builds(Reset, DEVICES, st.integers(0, 1 << 62), RANGES),
    st.builds(Unknown, st.integers(50, 999), st.binary(max_size=9) | st.none()),
)
ITEMS = st.builds(
    Item,
    st.just(ANA),
    st.just(DEVICE),
    st.integers(0, (1 << 63) - 1),
    st.binary(min_size=16, max_size=16),
    CONTENTS,
)


def _item(content: Content) -> Item:
    return Item(ANA, DEVICE, 5, bytes(16), content)


def _changed(content: Content, **changes: Value) -> bytes:
    value = decode(_item(content).encode(), limit=MAX_ITEM)
    assert isinstance(value, dict)
    return encode({**value, **{int(key[1:]): one for key, one in changes.items()}})


@given(ITEMS)
@settings(max_examples=120, deadline=None)
def test_an_item_is_read_as_it_was_written(item: Item) -> None:
    assert Item.decode(item.encode()) == item


@given(st.binary(max_size=300))
@settings(max_examples=100)
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        Item.decode(data)


@given(kind=st.sampled_from(Kind), content=st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.binary(max_size=40) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 3), inner),
    max_leaves=6,
))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_a_known_kind_with_any_content_is_read_or_refused(kind: Kind, content: Value) -> None:
    body = _changed(Heartbeat(), _1=int(kind), _6=content)
    try:
        item = Item.decode(body)
    except Malformed:
        return
    assert type(item.content) is not Unknown


def test_the_id_names_the_bytes() -> None:
    body = _item(Letter("a")).encode()

    assert item_id(body) == item_id(body)
    assert item_id(body) != item_id(_item(Letter("b")).encode())


def test_a_kind_of_tomorrow_is_kept() -> None:
    assert Item.decode(_changed(Letter("a"), _1=77)).content == Unknown(77, {0: "a"})


def test_a_version_of_tomorrow_is_kept() -> None:
    item = Item.decode(_changed(Letter("a"), _0=2))

    assert (item.author, item.device, item.content) == (ANA, DEVICE, Unknown(1, {0: "a"}))


def test_a_field_of_tomorrow_is_ignored_unless_it_must_be_understood() -> None:
    harmless = _changed(Letter("a"), _9="new")
    unsafe = _changed(Letter("a"), _7=[9], _9="new")
    known = _changed(Letter("a"), _7=[6])

    assert Item.decode(harmless).content == Letter("a")
    assert Item.decode(unsafe).content == Unknown(1, {0: "a"})
    assert Item.decode(known).content == Letter("a")


def test_text_is_brought_to_its_normal_form() -> None:
    assert Letter.write("e\u0301").text == "\u00e9"
    with pytest.raises(ValueError, match="normal form"):
        _item(Letter("e\u0301")).encode()


def test_the_longest_text_and_the_largest_file_fit() -> None:
    room = MAX_ITEM - MAX_TEXT - 1024
    letter = Letter.write("x" * MAX_TEXT, File("n" * 255, "image/jpeg", bytes(room)))

    assert len(_item(letter).encode()) <= MAX_ITEM
    with pytest.raises(TooLong, match="the text"):
        Letter.write("x" * (MAX_TEXT + 1))
    with pytest.raises(TooLong, match="the file's name"):
        Letter.write("", File("n" * 256, "", b""))
    with pytest.raises(TooLong, match="the file's type"):
        Letter.write("", File("n", "t" * 128, b""))
    with pytest.raises(TooLong, match="the file has"):
        Letter.write("", File("n", "t", bytes(room + 1)))


@pytest.mark.parametrize(("first", "last"), [(0, 1), (2, 1), (1, 1 << 63)])
def test_a_range_that_is_none_is_refused(first: int, last: int) -> None:
    with pytest.raises(Malformed):
        Range(first, last)


@pytest.mark.parametrize(
    "value", [[[1, b"s" * 31]], [[6, b"s" * 32]], [[1, b"s" * 32]] * 2, [1], [[1]]]
)
def test_lanes_that_are_none_are_refused(value: list[Value]) -> None:
    with pytest.raises(Malformed):
        Item.decode(_changed(Lanes(()), _6={0: value}))


def test_the_clock_counts_milliseconds_above_a_counter() -> None:
    assert now_as_time(1.5) == 1500 << 16
    assert now_as_time(-5.0) == 0
    assert _item(Heartbeat()).seconds == 0


def test_a_time_that_no_store_holds_is_refused() -> None:
    with pytest.raises(Malformed):
        Item.decode(_changed(Heartbeat(), _4=1 << 63))


def test_secrets_and_words_do_not_show() -> None:
    texts = repr(Letter("words", File("n", "t", b"bytes"))) + repr(
        LaneSecret(b"secret" + bytes(26))
    )

    assert not any(word in texts for word in ("words", "bytes", "secret"))
