"""A gateway keeps state logs it cannot read, and drops what nobody needs any more."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import StateFull, StateRefused, StateTaken
from gateway.sync import state_log
from gateway.sync.state_log import LIVE_SECONDS, StateLogStore, find_damaged_state, mend_state
from tests.gateway.sync.office import Office, open_office
from tests.gateway.sync.people import Person, Phone
from wire.ids import DeviceId, SeatId
from wire.state_log import MAX_MESSAGE, Batch, Snapshot


class Desk:
    """An office with one person who has two devices, and their state log."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.phone, self.tablet = Phone(), Phone()
        self.person = Person(self.phone, self.tablet)
        self.log = StateLogStore(office.database, clock=office.clock)
        self.seat = SeatId(bytes(16))

    async def open(self) -> "Desk":
        """Enrol both devices."""
        for one in (self.phone, self.tablet):
            self.seat = (await self.office.enrol(self.person, one)).seat
        return self

    async def has(self, phone: Phone, vector: dict[DeviceId, int]) -> list[int]:
        """Ask as a device that has come to `vector`; return the numbers of what it is given."""
        answer = await self.log.ask(self.seat, phone.key.device, vector)
        return [Batch.decode(one).seq for one in answer.batches]

    async def floors(self) -> dict[DeviceId, tuple[int, int]]:
        """Return newest and floor of each device."""
        answer = await self.log.ask(self.seat, DeviceId(bytes(16)), {})
        return {one.device: (one.newest, one.floor) for one in answer.heads}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_office(tmp_path / "gateway.sqlite") as office:
        yield await Desk(office).open()


def batch(phone: Phone, seq: int, text: bytes = b"sealed") -> Batch:
    return Batch.sign(
        phone.signing, device=phone.key.device, seq=seq, generation=1, sealed=text * 8
    )


def snapshot(phone: Phone, vector: dict[DeviceId, int], text: bytes = b"all") -> Snapshot:
    return Snapshot.sign(
        phone.signing, device=phone.key.device, generation=1, vector=vector, sealed=text
    )


async def test_what_a_device_leaves_the_other_is_given_in_order(desk: Desk) -> None:
    await desk.log.leave(desk.seat, [batch(desk.phone, one) for one in (2, 1, 3)])

    assert await desk.has(desk.tablet, {}) == [1, 2, 3]
    assert await desk.has(desk.tablet, {desk.phone.key.device: 2}) == [3]


async def test_any_device_may_bring_the_batches_of_any_other(desk: Desk) -> None:
    """RS: after a wipe whoever is there brings what it has."""
    one = batch(desk.tablet, 1)
    await desk.log.leave(desk.seat, [one])
    await desk.log.leave(desk.seat, [one])

    assert await desk.office.count("state_batch") == 1


async def test_another_batch_under_a_number_is_refused_and_changes_nothing(desk: Desk) -> None:
    """L11, RS: two phones go about as one device."""
    await desk.log.leave(desk.seat, [batch(desk.phone, 1)])
    with pytest.raises(StateTaken) as caught:
        await desk.log.leave(desk.seat, [batch(desk.phone, 2), batch(desk.phone, 1, text=b"other")])

    assert caught.value.facts() == {"device": desk.phone.key.device.text, "seq": 1}
    assert await desk.floors() == {desk.phone.key.device: (1, 0)}


async def test_what_no_device_of_the_person_has_signed_is_refused(desk: Desk) -> None:
    stranger = Phone()
    for wrong in (
        batch(stranger, 1),
        Batch(desk.phone.key.device, 1, 1, b"forged", b"s" * 64),
    ):
        with pytest.raises(StateRefused):
            await desk.log.leave(desk.seat, [wrong])
    with pytest.raises(StateRefused):
        await desk.log.leave_snapshot(desk.seat, snapshot(stranger, {}))


async def test_a_device_on_the_card_that_was_never_here_may_be_brought_along(desk: Desk) -> None:
    third = Phone()
    signed = desk.person.device_statement(desk.phone, desk.phone, desk.tablet, third)
    desk.person.take(signed)
    await desk.office.sync.put_card(desk.seat, [signed.encode()])
    await desk.log.leave(desk.seat, [batch(third, 1)])

    assert await desk.has(desk.tablet, {}) == [1]


async def test_an_answer_holds_as_much_as_a_message_and_says_that_there_is_more(
    desk: Desk,
) -> None:
    large = b"x" * 7_000
    count = MAX_MESSAGE // (8 * len(large)) + 3
    for seq in range(1, count + 1):
        await desk.log.leave(desk.seat, [batch(desk.phone, seq, text=large)])
    answer = await desk.log.ask(desk.seat, desk.tablet.key.device, {})

    assert answer.more
    assert len(answer.batches) < count
    rest = await desk.log.ask(
        desk.seat, desk.tablet.key.device, {desk.phone.key.device: len(answer.batches)}
    )
    assert not rest.more
    assert len(answer.batches) + len(rest.batches) == count


async def test_batches_go_once_a_snapshot_has_them_and_every_live_device(desk: Desk) -> None:
    phone, tablet = desk.phone.key.device, desk.tablet.key.device
    await desk.log.leave(desk.seat, [batch(desk.phone, one) for one in range(1, 6)])
    await desk.has(desk.phone, {phone: 5})
    await desk.log.leave_snapshot(desk.seat, snapshot(desk.phone, {phone: 4}))

    assert await desk.floors() == {phone: (5, 0)}  # the tablet was not heard yet
    await desk.has(desk.tablet, {phone: 3})
    assert await desk.floors() == {phone: (5, 3)}
    await desk.has(desk.tablet, {phone: 5, tablet: 0})
    assert await desk.floors() == {phone: (5, 4)}
    assert await desk.office.count("state_batch") == 1
    assert await desk.has(Phone(), {}) == [5]


async def test_a_device_that_is_away_for_half_a_year_holds_nothing_back(desk: Desk) -> None:
    phone = desk.phone.key.device
    await desk.log.leave(desk.seat, [batch(desk.phone, 1)])
    desk.office.hands.live(LIVE_SECONDS + 1)
    await desk.office.database.write(
        lambda store: (
            store.execute(
                "UPDATE device SET collected_at = ? WHERE device = ?",
                (desk.office.clock.now(), phone.raw),
            ).rowcount
        )
    )
    await desk.log.leave_snapshot(desk.seat, snapshot(desk.phone, {phone: 1}))
    await desk.has(desk.phone, {phone: 1})

    assert await desk.floors() == {phone: (1, 1)}
    assert await desk.has(desk.tablet, {}) == []
    assert await desk.log.snapshot(desk.seat, phone) is not None


async def test_a_batch_below_the_floor_is_passed_over(desk: Desk) -> None:
    phone = desk.phone.key.device
    await desk.log.leave(desk.seat, [batch(desk.phone, 1)])
    await desk.log.leave_snapshot(desk.seat, snapshot(desk.phone, {phone: 1}))
    for one in (desk.phone, desk.tablet):
        await desk.has(one, {phone: 1})
    await desk.log.leave(desk.seat, [batch(desk.phone, 1)])

    assert await desk.office.count("state_batch") == 0


async def test_a_snapshot_that_stands_for_less_does_not_take_the_place_of_a_newer(
    desk: Desk,
) -> None:
    phone = desk.phone.key.device
    await desk.log.leave_snapshot(desk.seat, snapshot(desk.phone, {phone: 3}))
    with pytest.raises(StateRefused) as caught:
        await desk.log.leave_snapshot(desk.seat, snapshot(desk.phone, {phone: 2}))

    assert caught.value.reason == "older"


async def test_the_snapshot_of_a_revoked_device_goes_when_another_is_there(desk: Desk) -> None:
    phone, tablet = desk.phone.key.device, desk.tablet.key.device
    await desk.log.leave(desk.seat, [batch(desk.tablet, 1)])
    await desk.log.leave_snapshot(desk.seat, snapshot(desk.tablet, {tablet: 1}))
    signed = desk.person.device_statement(desk.phone, desk.phone)
    await desk.office.sync.put_card(desk.seat, [signed.encode()])
    await desk.has(desk.phone, {tablet: 1})

    assert await desk.floors() == {tablet: (1, 0)}  # its own snapshot stands for nothing now
    await desk.log.leave_snapshot(desk.seat, snapshot(desk.phone, {tablet: 1}))
    assert await desk.floors() == {tablet: (1, 1)}
    assert await desk.log.snapshot(desk.seat, tablet) is None
    assert await desk.log.snapshot(desk.seat, phone) is not None


async def test_a_log_has_a_bound(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_log, "MAX_STATE", 500)
    await desk.log.leave(desk.seat, [batch(desk.phone, 1)])
    with pytest.raises(StateFull):
        await desk.log.leave(desk.seat, [batch(desk.phone, 2, text=b"x" * 60)])
    with pytest.raises(StateFull):
        await desk.log.leave_snapshot(desk.seat, snapshot(desk.phone, {}, text=b"x" * 400))

    assert await desk.floors() == {desk.phone.key.device: (1, 0)}


async def test_after_a_gap_only_a_snapshot_leads_to_what_follows(desk: Desk) -> None:
    """RS: the gateway was put back from a copy, and the device has dropped what is missing."""
    phone = desk.phone.key.device
    await desk.log.leave(desk.seat, [batch(desk.phone, one) for one in (1, 2)])
    await desk.log.leave(desk.seat, [batch(desk.phone, 9)])

    assert await desk.floors() == {phone: (9, 8)}
    assert await desk.has(desk.tablet, {}) == [9]


async def test_one_persons_log_is_not_anothers(desk: Desk) -> None:
    other = Phone()
    seat = (await desk.office.enrol(Person(other), other)).seat
    await desk.log.leave(desk.seat, [batch(desk.phone, 1)])

    assert (await desk.log.ask(seat, other.key.device, {})).heads == ()
    with pytest.raises(StateRefused):
        await desk.log.leave(seat, [batch(desk.phone, 1)])


async def test_what_the_disk_has_changed_is_found_and_goes(desk: Desk) -> None:
    await desk.log.leave(desk.seat, [batch(desk.phone, 1), batch(desk.phone, 2)])
    await desk.log.leave_snapshot(desk.seat, snapshot(desk.phone, {}))

    assert await desk.office.database.write(find_damaged_state) is None
    await desk.office.database.write(
        lambda store: (
            store.execute(
                "UPDATE state_batch SET body = CAST(substr(body, 1, 90) || x'00' AS BLOB)"
                " WHERE seq = 2"
            ).rowcount
        )
    )
    await desk.office.database.write(
        lambda store: store.execute("UPDATE state_snapshot SET body = x'00'").rowcount
    )
    assert await desk.office.database.write(find_damaged_state) is not None
    await desk.office.database.write(mend_state)

    assert await desk.office.database.write(find_damaged_state) is None
    assert await desk.has(desk.tablet, {}) == [1]
    assert await desk.floors() == {desk.phone.key.device: (1, 0)}  # it is brought again
    assert await desk.log.snapshot(desk.seat, desk.phone.key.device) is None
