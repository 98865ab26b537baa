"""Records of person keys: signed by a device, for the devices of one card, read within bounds."""

from dataclasses import replace

import pytest
from hypothesis import given

from tests.wire.hostile import damaged, refuses_with_only
from tests.wire.people import PERSON, birth, device, entries, exchange, named, signing, step
from wire.card import Card
from wire.codec import encode
from wire.errors import Malformed, NotSigned, UnknownVersion
from wire.person_keys import (
    BOX_BYTES,
    MAX_STATEMENTS,
    PREVIOUS_BYTES,
    PUT_LIMIT,
    RECORD_LIMIT,
    PersonKeyRecord,
    decode_put,
    decode_records,
    encode_put,
    encode_records,
)
from wire.statements import MAX_DEVICES

ALLOWED = {
    Malformed,  # not the map that it should be, or a box of another size
    UnknownVersion,  # field 0 is no 1
    NotSigned,  # a byte was changed
}
BIRTH = birth("phone", "tablet")
CARD = Card.begin(PERSON, BIRTH)


def record(*names: str, by: str = "phone", card: Card = CARD) -> PersonKeyRecord:
    """Return the record of the key that `card` names, with boxes for `names`."""
    ids = sorted((one.id for one in entries(*names)), key=lambda one: one.raw)
    return PersonKeyRecord(
        card.person,
        card.person_generation,
        card.person_public,
        card.position.hash,
        tuple((one, named("box", BOX_BYTES)) for one in ids),
        (exchange("recovery"), named("recovery box", BOX_BYTES)),
        (1, named("previous", PREVIOUS_BYTES)),
        device(by),
    ).signed(signing(by))


RECORD = record("phone", "tablet")


def test_a_record_comes_back_as_it_went() -> None:
    first = replace(RECORD, previous=None).signed(signing("phone"))

    assert PersonKeyRecord.decode(RECORD.encode()) == RECORD
    assert PersonKeyRecord.decode(first.encode()) == first
    assert decode_records(encode_records([first.encode(), RECORD.encode()])) == (first, RECORD)
    assert decode_put(encode_put(RECORD, statements=[b"x"])) == (RECORD, (b"x",))


def test_the_largest_record_and_request_fit() -> None:
    largest = record(*(f"device {n}" for n in range(MAX_DEVICES)), by="device 1")

    assert len(largest.encode()) < RECORD_LIMIT / 2
    statements = [bytes(4096)] * MAX_STATEMENTS
    assert len(encode_put(largest, statements=statements)) <= PUT_LIMIT


@given(damaged(RECORD.encode()))
def test_a_damaged_record_is_refused_with_a_wire_error(data: bytes) -> None:
    refuses_with_only(PersonKeyRecord.decode, data, ALLOWED)


@given(damaged(encode_put(RECORD, statements=[BIRTH.encode()])))
def test_a_damaged_request_is_refused_with_a_wire_error(data: bytes) -> None:
    refuses_with_only(decode_put, data, ALLOWED)


@given(damaged(encode_records([RECORD.encode()])))
def test_a_damaged_answer_is_refused_with_a_wire_error(data: bytes) -> None:
    refuses_with_only(decode_records, data, ALLOWED)


def test_another_device_than_its_signer_did_not_sign_it() -> None:
    forged = replace(RECORD, signer=device("tablet"))

    with pytest.raises(NotSigned):
        PersonKeyRecord.decode(forged.encode())


@pytest.mark.parametrize(
    "changed",
    [
        {"devices": ()},
        {"devices": tuple(reversed(RECORD.devices))},
        {"devices": (RECORD.devices[0], RECORD.devices[0])},
        {"devices": ((RECORD.devices[0][0], bytes(BOX_BYTES - 1)),)},
        {"public": bytes(32)},
        {"recovery": (bytes(32), bytes(BOX_BYTES))},
        {"recovery": (exchange("recovery"), bytes(3))},
        {"previous": (0, bytes(PREVIOUS_BYTES))},
        {"previous": (1, bytes(3))},
        {"generation": 0},
    ],
    ids=str,
)
def test_what_no_record_may_be_is_refused(changed: dict[str, object]) -> None:
    wrong = replace(RECORD, **changed).signed(signing("phone"))  # type: ignore[arg-type]  # a test

    with pytest.raises(Malformed):
        PersonKeyRecord.decode(wrong.encode())


def test_too_many_statements_are_refused() -> None:
    with pytest.raises(Malformed):
        decode_put(encode_put(RECORD, statements=[b"x"] * (MAX_STATEMENTS + 1)))
    with pytest.raises(Malformed):
        decode_put(encode({0: 1, 1: RECORD.encode(), 2: [1]}))


def test_it_stands_on_the_card_on_which_it_was_made_and_on_no_other() -> None:
    other, _ = CARD.take(step(BIRTH, "phone", "phone", "tablet", issued=7))
    stranger = record("phone", "tablet", by="stranger")

    assert RECORD.stands_on(CARD)
    assert not RECORD.stands_on(other)
    assert RECORD.opens(other)
    assert not stranger.stands_on(CARD)
    assert not record("phone").stands_on(CARD)
    assert not record("phone", "tablet", "stranger").stands_on(CARD)
    assert not replace(RECORD, generation=2).stands_on(CARD)
    assert not replace(RECORD, public=exchange("other")).opens(CARD)
