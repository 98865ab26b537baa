"""Persons of the bench are real ones: each of their devices opens what is sealed for all."""

from pathlib import Path

import pytest

from bench.phones import Ends, answer, make_person, meet
from peer.items.kinds import Heartbeat, Letter
from peer.keys.envelope import MAX_PACKETS
from wire.card import MAX_DEVICES


def test_every_device_opens_the_letter_and_answers(tmp_path: Path) -> None:
    writer = make_person(tmp_path / "writer", devices=1)
    reader = make_person(tmp_path / "reader", devices=3)
    meet(writer, reader)
    author, ends = writer.phones[0], Ends(writer.card, reader.card)

    sealed = author.seal([author.write("a"), author.write("b")], ends)
    for phone in reader.phones:
        texts = [one.item.item.content for one in phone.open(sealed, ends)]
        assert texts == [Letter("a"), Letter("b")]
        answer(phone, author, ends)
    assert author.write(None).item.content == Heartbeat()
    assert len({phone.identity.device.key for phone in reader.phones}) == 3
    writer.close()
    reader.close()


def test_a_letter_that_cannot_be_opened_ends_the_measurement(tmp_path: Path) -> None:
    writer = make_person(tmp_path / "writer", devices=1)
    reader = make_person(tmp_path / "reader", devices=1)
    meet(writer, reader)
    author, ends = writer.phones[0], Ends(writer.card, reader.card)
    sealed = author.seal([author.write("a")], ends)
    reader.phones[0].open(sealed, ends)

    with pytest.raises(RuntimeError, match="duplicate"):
        reader.phones[0].open(sealed, ends)
    writer.close()
    reader.close()


def test_ten_devices_are_as_many_as_a_card_and_an_envelope_hold() -> None:
    assert MAX_DEVICES == 10
    assert MAX_PACKETS >= 2 * MAX_DEVICES
