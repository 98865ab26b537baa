"""The key of the phone's file comes out of its header with the right secret, and with no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.keys.errors import WrongPin
from peer.keys.file_key import MAX_MEMORY, MAX_PASSES, PIN_COST, Cost, FileKey, Header, LockKind
from wire.codec import Value, encode
from wire.errors import Malformed, UnknownVersion

CHEAP = Cost(1, 8)
PIN = "correct horse"


def fields_of(one: Header) -> dict[int, Value]:
    """Return the fields of a header under a PIN, as docs/protocol.md §18.1 has them."""
    return {0: 1, 1: one.id, 2: 0, 3: one.salt, 4: 1, 5: 8, 6: one.sealed}


@pytest.fixture
def key() -> FileKey:
    return FileKey.generate()


def test_a_pin_opens_what_was_sealed_under_it(key: FileKey) -> None:
    header = Header.decode(Header.under_pin(key, PIN, cost=CHEAP).encode())

    assert header.open(PIN) == key
    assert (header.kind, header.cost) == (LockKind.PIN, CHEAP)


def test_the_key_of_a_keyring_opens_what_was_sealed_under_it(key: FileKey) -> None:
    header = Header.decode(Header.under_keyring(key, bytes(32)).encode())

    assert header.open(bytes(32)) == key
    assert (header.kind, header.salt) == (LockKind.KEYRING, b"")


@pytest.mark.parametrize("wrong", ["", "correct hors", "Correct horse", "1" * 999])
def test_any_other_pin_opens_nothing_however_often(key: FileKey, wrong: str) -> None:
    header = Header.under_pin(key, PIN, cost=CHEAP)

    for _ in range(3):
        with pytest.raises(WrongPin):
            header.open(wrong)
    assert header.open(PIN) == key


def test_one_pin_typed_on_two_keyboards_is_one_pin(key: FileKey) -> None:
    composed, decomposed = "caf\u00e9 caf\u00e9", "cafe\u0301 cafe\u0301"

    assert Header.under_pin(key, composed, cost=CHEAP).open(decomposed) == key


def test_two_headers_under_one_pin_have_nothing_in_common(key: FileKey) -> None:
    one, other = (Header.under_pin(key, PIN, cost=CHEAP) for _ in range(2))

    assert one.salt != other.salt
    assert one.sealed != other.sealed


@pytest.mark.parametrize(
    "altered",
    [{1: bytes(16)}, {3: bytes(16)}, {4: 2}, {5: 9}, {6: bytes(72)}],
    ids=["id", "salt", "passes", "memory", "sealed key"],
)
def test_whatever_is_altered_nothing_opens(key: FileKey, altered: dict[int, Value]) -> None:
    header = Header.under_pin(key, PIN, cost=CHEAP)
    fields: dict[int, Value] = {
        0: 1,
        1: header.id,
        2: 0,
        3: header.salt,
        4: 1,
        5: 8,
        6: header.sealed,
    }
    assert encode(fields) == header.encode()

    with pytest.raises(WrongPin):
        Header.decode(encode({**fields, **altered})).open(PIN)


def test_no_header_takes_the_whole_machine(key: FileKey) -> None:
    header = Header.under_pin(key, PIN, cost=CHEAP)
    fields: dict[int, Value] = {
        0: 1,
        1: header.id,
        2: 0,
        3: header.salt,
        4: 1,
        5: 8,
        6: header.sealed,
    }

    for field, much in {4: MAX_PASSES + 1, 5: MAX_MEMORY + 1}.items():
        with pytest.raises(Malformed):
            Header.decode(encode({**fields, field: much}))


def test_a_header_of_a_newer_program_is_known_for_one(key: FileKey) -> None:
    header = Header.under_keyring(key, bytes(32))

    with pytest.raises(UnknownVersion):
        Header.decode(encode({0: 2, 1: header.id, 2: 1, 6: header.sealed}))


@given(st.binary(max_size=300))
def test_what_is_no_header_is_refused_in_one_of_two_ways(data: bytes) -> None:
    with pytest.raises((Malformed, UnknownVersion)):
        Header.decode(data)


def test_a_try_costs_what_the_document_says() -> None:
    assert Cost(3, 262_144) == PIN_COST


def test_a_key_is_not_shown(key: FileKey) -> None:
    assert key.secret.hex() not in repr(key)
    assert repr(key.secret) not in repr(key)
