"""The share waits for three days of steady time, and the root key takes a seat back."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import (
    CardRefused,
    DeviceRevoked,
    NamedLost,
    NoSuchRequest,
    RecoveryRefused,
    RecoveryUnderWay,
    TooManyRequests,
)
from gateway.sync.recovery import REMEMBERED, forget_requests
from tests.gateway.sync.office import Office, open_office
from tests.gateway.sync.people import Person, Phone
from wire.auth import Channel
from wire.ids import DeviceId, GatewayId, PersonId, RecoveryId, SeatId
from wire.recovery import MAX_ASKED, RELEASE_SECONDS, Alarm, Ask, Left, RootProof, Stage, Told

CHANNEL = Channel(GatewayId(b"g" * 32), b"c" * 32)
KEY = b"k" * 32
LEFT = Left(KEY, b"the share", b"n" * 16)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path / "gateway.sqlite") as opened:
        yield opened


@pytest.fixture
def old() -> Phone:
    return Phone()


@pytest.fixture
def ana(old: Phone) -> Person:
    return Person(old)


@pytest.fixture
async def seat(office: Office, ana: Person, old: Phone) -> SeatId:
    """Give the seat of Ana, whose share is here."""
    seat = (await office.enrol(ana, old)).seat
    await office.recovery.leave(seat, LEFT)
    return seat


async def asks(
    office: Office,
    person: PersonId,
    *lost: DeviceId,
    key: bytes = KEY,
    exchange: bytes | None = None,
) -> Told:
    """Ask for the share."""
    ask = Ask.make(
        key,
        person=person,
        exchange_key=exchange or Phone().exchange,
        lost=lost,
        channel=CHANNEL,
        nonce=secrets.token_bytes(32),
    )
    told, _ = await office.recovery.ask(ask, channel=CHANNEL)
    return told


async def test_the_share_goes_out_after_seventy_two_hours_of_steady_time(
    office: Office, ana: Person, seat: SeatId
) -> None:
    """R4: not earlier, and a wall clock that jumps brings nothing."""
    new = Phone().exchange
    told = await asks(office, ana.id, exchange=new)
    assert (told.stage, told.left, told.share) == (
        Stage.WAITING,
        RELEASE_SECONDS,
        b"",
    )

    office.hands.wall += 10 * RELEASE_SECONDS
    office.hands.steady += RELEASE_SECONDS - 1
    told = await asks(office, ana.id, exchange=new)
    assert (told.stage, told.left, told.share) == (Stage.WAITING, 1, b"")

    office.hands.steady += 1
    told = await asks(office, ana.id, exchange=new)
    assert (told.stage, told.left, told.share) == (Stage.RELEASED, 0, b"the share")


async def test_a_request_is_known_by_its_key_and_each_key_waits_for_itself(
    office: Office, ana: Person, seat: SeatId
) -> None:
    one, other = Phone().exchange, Phone().exchange
    first = await asks(office, ana.id, exchange=one)
    office.hands.live(RELEASE_SECONDS)

    assert (await asks(office, ana.id, exchange=one)).request == first.request
    assert (await asks(office, ana.id, exchange=other)).stage is Stage.WAITING
    for _ in range(MAX_ASKED - 2):
        await asks(office, ana.id)
    with pytest.raises(TooManyRequests):
        await asks(office, ana.id)


async def test_nobody_learns_why_he_was_refused(office: Office, ana: Person, seat: SeatId) -> None:
    """CY-10: the gateway's share is for those who prove the friends' secret."""
    nobody = Person(Phone())
    for person, key in ((ana.id, b"l" * 32), (nobody.id, KEY)):
        with pytest.raises(RecoveryRefused) as refused:
            await asks(office, person, key=key)
        assert str(refused.value) == str(RecoveryRefused())
    await office.recovery.take_back(seat)
    with pytest.raises(RecoveryRefused):
        await asks(office, ana.id)
    assert await office.count("recovery_request") == 0


async def test_a_device_that_was_not_named_cancels_and_one_that_was_does_not(
    office: Office, ana: Person, old: Phone, seat: SeatId
) -> None:
    """R4."""
    lost, kept = old.key.device, Phone().key.device
    new = Phone().exchange
    told = await asks(office, ana.id, lost, exchange=new)

    with pytest.raises(NamedLost):
        await office.recovery.cancel(told.request, seat=seat, by=lost)
    await office.recovery.cancel(told.request, seat=seat, by=kept)
    office.hands.live(RELEASE_SECONDS)

    told = await asks(office, ana.id, lost, exchange=new)
    assert (told.stage, told.share) == (Stage.CANCELLED, b"")


async def test_the_root_key_cancels_when_all_were_named(
    office: Office, ana: Person, old: Phone, seat: SeatId
) -> None:
    told = await asks(office, ana.id, old.key.device)

    await office.recovery.cancel(told.request, seat=seat, by=None)

    [asked] = (await office.recovery.alarm(seat)).asked
    assert asked.stage is Stage.CANCELLED


async def test_what_is_out_or_unknown_cannot_be_cancelled(
    office: Office, ana: Person, seat: SeatId
) -> None:
    told = await asks(office, ana.id)
    stranger = (await office.enrol(other := Person(phone := Phone()), phone)).seat
    assert other.id != ana.id

    for request, of in (
        (RecoveryId(b"?" * 16), seat),
        (told.request, stranger),
    ):
        with pytest.raises(NoSuchRequest):
            await office.recovery.cancel(request, seat=of, by=None)
    office.hands.live(RELEASE_SECONDS)
    with pytest.raises(NoSuchRequest):
        await office.recovery.cancel(told.request, seat=seat, by=None)


async def test_a_share_stays_as_it_is_while_somebody_asks_for_it(
    office: Office, ana: Person, seat: SeatId
) -> None:
    """A thief with a phone that was named as lost could stop the request so."""
    told = await asks(office, ana.id)
    await office.recovery.leave(seat, LEFT)  # the same again is no change

    with pytest.raises(RecoveryUnderWay):
        await office.recovery.leave(seat, Left(KEY, b"another", b"m" * 16))
    with pytest.raises(RecoveryUnderWay):
        await office.recovery.take_back(seat)

    await office.recovery.cancel(told.request, seat=seat, by=None)
    await office.recovery.leave(seat, Left(KEY, b"another", b"m" * 16))
    assert (await office.recovery.alarm(seat)).asked == ()


async def test_devices_and_keepers_see_who_asks(office: Office, ana: Person, seat: SeatId) -> None:
    assert await office.recovery.alarm(seat) == Alarm(True, ())
    told = await asks(office, ana.id)

    [asked] = (await office.recovery.alarm(seat)).asked
    assert (asked.request, asked.left) == (told.request, RELEASE_SECONDS)
    assert (await office.recovery.alarm_for_keeper(LEFT.notice)).asked == (asked,)
    assert await office.recovery.alarm_for_keeper(b"?" * 16) == Alarm(False, ())


async def test_requests_are_forgotten_in_the_end_and_by_a_restore(
    office: Office, ana: Person, seat: SeatId
) -> None:
    """A copy of the store may hold a request that was cancelled since."""
    await asks(office, ana.id)
    office.hands.live(RELEASE_SECONDS + REMEMBERED - 1)
    assert await office.recovery.expire() == 0
    office.hands.live(1)
    assert await office.recovery.expire() == 1

    await asks(office, ana.id)
    await office.database.write(forget_requests)
    assert (await office.recovery.alarm(seat)).asked == ()


async def test_the_root_key_takes_the_seat_back_with_one_new_device(
    office: Office, ana: Person, old: Phone, seat: SeatId
) -> None:
    """A9: a thief who has shut out everybody else is shut out for good."""
    thief, new = Phone(), Phone()
    ana.take(ana.device_statement(old, old, thief))
    await office.enrol(ana, thief)
    ana.take(ana.device_statement(thief, thief))
    await office.sync.put_card(seat, ana.card.chain)
    await asks(office, ana.id)
    back = ana.root_statement(new, epoch=2)

    for _ in range(2):  # the answer may have been lost
        change = await office.recovery.recover(ana.id, back, new.entry)
    assert change.seat == seat
    assert await office.sync.seat_of(new.key) == seat
    with pytest.raises(DeviceRevoked):
        await office.sync.seat_of(thief.key)
    assert (await office.recovery.alarm(seat)).asked == ()
    with pytest.raises(CardRefused):
        await office.sync.put_card(seat, [ana.device_statement(thief, thief).encode()])


async def test_another_root_an_old_statement_and_a_stranger_take_nothing(
    office: Office, ana: Person, old: Phone, seat: SeatId
) -> None:
    """R3: a wrong kit opens no seat, and makes none."""
    wrong, new = Person(Phone()), Phone()

    for person in (ana.id, wrong.id):
        with pytest.raises(RecoveryRefused):
            await office.recovery.recover(person, wrong.root_statement(new, epoch=9), new.entry)
    ana.take(ana.root_statement(old, epoch=5))
    await office.sync.put_card(seat, ana.card.chain)
    with pytest.raises(CardRefused):
        await office.recovery.recover(ana.id, ana.root_statement(new, epoch=4), new.entry)
    assert await office.sync.seat_of(old.key) == seat
    assert await office.count("seat") == 1


async def test_the_card_is_handed_to_the_root_key_alone(
    office: Office, ana: Person, seat: SeatId
) -> None:
    def shown_by(person: Person) -> RootProof:
        return RootProof.make(
            person.root, person=ana.id, channel=CHANNEL, nonce=bytes(32), purpose="recover-card"
        )

    assert await office.recovery.card_for(shown_by(ana)) == (seat, ana.card.chain)
    with pytest.raises(RecoveryRefused):
        await office.recovery.card_for(shown_by(Person(Phone())))
    await office.seats.remove(seat)
    with pytest.raises(RecoveryRefused):
        await office.recovery.card_for(shown_by(ana))
    assert await office.count("recovery_share") == 0
