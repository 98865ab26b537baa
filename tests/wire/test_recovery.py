"""Messages of coming back: each binds the connection, and none is taken for another."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from tests.gateway.sync.people import Person, Phone
from tests.wire.hostile import refuses_with_only
from wire.auth import Channel
from wire.errors import CardRejected, Malformed, NotSigned, UnknownVersion, WireError
from wire.ids import DeviceId, GatewayId, PersonId, RecoveryId
from wire.recovery import (
    RELEASE_SECONDS,
    Alarm,
    Ask,
    Asked,
    Left,
    Recover,
    RootProof,
    Stage,
    Told,
)

HERE = Channel(GatewayId(b"g" * 32), b"c" * 32)
THERE = Channel(GatewayId(b"h" * 32), b"c" * 32)
OTHER_CERTIFICATE = Channel(GatewayId(b"g" * 32), b"d" * 32)
NONCE = b"n" * 32
PHONE = Phone()
ANA = Person(PHONE)
KEY = b"k" * 32
LOST = (DeviceId(b"2" * 16), DeviceId(b"1" * 16))
ALLOWED = {Malformed, UnknownVersion, NotSigned, CardRejected}


def proof(about: bytes = b"") -> RootProof:
    return RootProof.make(
        ANA.root, person=ANA.id, channel=HERE, nonce=NONCE, purpose="recover-card", about=about
    )


def recover(statement: Any = None) -> Recover:
    signed = statement or ANA.root_statement(PHONE, epoch=2)
    return Recover.make(PHONE.signing, person=ANA.id, statement=signed, channel=HERE, nonce=NONCE)


def ask(key: bytes = KEY) -> Ask:
    return Ask.make(
        key, person=ANA.id, exchange_key=PHONE.exchange, lost=LOST, channel=HERE, nonce=NONCE
    )


MESSAGES: list[tuple[Any, Callable[[bytes], Any]]] = [
    (proof(b"about"), RootProof.decode),
    (recover(), Recover.decode),
    (ask(), Ask.decode),
    (Left(KEY, b"share", b"n" * 16), Left.decode),
    (Told(RecoveryId(b"r" * 16), Stage.WAITING, RELEASE_SECONDS), Told.decode),
    (
        Alarm(
            True,
            (
                Asked(
                    RecoveryId(b"r" * 16),
                    PHONE.exchange,
                    Stage.CANCELLED,
                    0,
                    tuple(sorted(LOST, key=lambda one: one.raw)),
                ),
            ),
        ),
        Alarm.decode,
    ),
]


@pytest.mark.parametrize(("message", "decode"), MESSAGES, ids=lambda one: type(one).__name__)
def test_a_message_comes_back_as_it_went(message: Any, decode: Callable[[bytes], Any]) -> None:
    assert decode(message.encode()) == message


@pytest.mark.parametrize(("message", "decode"), MESSAGES, ids=lambda one: type(one).__name__)
@given(data=st.data())
def test_any_bytes_are_a_message_or_refused(
    message: Any, decode: Callable[[bytes], Any], data: st.DataObject
) -> None:
    raw = bytearray(message.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(raw)))

    refuses_with_only(decode, bytes(raw), ALLOWED)
    refuses_with_only(decode, bytes(raw[:end]), ALLOWED)


@pytest.mark.parametrize("channel", [THERE, OTHER_CERTIFICATE])
def test_what_is_caught_is_good_nowhere_else(channel: Channel) -> None:
    with pytest.raises(NotSigned):
        proof().verify(channel, purpose="recover-card")
    with pytest.raises(NotSigned):
        recover().verify(channel)
    assert not ask().proved_by(KEY, channel=channel)


def test_a_proof_for_one_thing_is_none_for_another() -> None:
    proof().verify(HERE, purpose="recover-card")
    with pytest.raises(NotSigned):
        proof().verify(HERE, purpose="recovery-cancel")
    for changed in (
        replace(proof(), about=b"else"),
        replace(proof(), nonce=b"m" * 32),
        replace(proof(), person=PersonId(bytes(32))),
        replace(proof(), root_key=bytes(SigningKey.generate().verify_key)),
    ):
        with pytest.raises(NotSigned):
            changed.verify(HERE, purpose="recover-card")


def test_who_comes_back_brings_a_root_statement_of_one_device() -> None:
    signed, device = recover().verify(HERE)
    assert (signed.statement.epoch, device.key) == (2, PHONE.key)

    of_a_device = ANA.device_statement(PHONE, PHONE)
    of_two = ANA.root_statement(PHONE, Phone(), epoch=2)
    for statement in (of_a_device, of_two):
        with pytest.raises(Malformed):
            recover(statement).verify(HERE)
    another = ANA.root_statement(Phone(), epoch=2)
    with pytest.raises(NotSigned):  # whoever sends it does not hold the device's key
        recover(another).verify(HERE)


def test_a_request_is_proved_by_the_friends_secret_and_covers_all_that_it_says() -> None:
    asked = ask()

    assert asked.proved_by(KEY, channel=HERE)
    assert not asked.proved_by(b"l" * 32, channel=HERE)
    for changed in (
        replace(asked, lost=asked.lost[:1]),
        replace(asked, exchange_key=Phone().exchange),
        replace(asked, person=PersonId(bytes(32))),
        replace(asked, nonce=b"m" * 32),
    ):
        assert not changed.proved_by(KEY, channel=HERE)


def test_a_weak_key_asks_for_nothing() -> None:
    with pytest.raises(WireError):
        Ask.decode(replace(ask(), exchange_key=bytes(32)).encode())


def test_no_share_is_printed() -> None:
    left = Left(KEY, b"the share", b"n" * 16)
    told = Told(RecoveryId(b"r" * 16), Stage.RELEASED, 0, b"the share")

    assert "the share" not in f"{left!r}{told!r}"
