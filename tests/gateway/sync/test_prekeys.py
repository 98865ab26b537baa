"""Prekeys are handed out once, to few, and never again."""

import asyncio
from pathlib import Path

import pytest

from gateway.errors import DeviceUnknown, NoPrekeys, TooManyRequests
from gateway.sync.prekeys import (
    HANDOUT_EVERY,
    HANDOUT_WINDOW,
    MAX_POOL,
    PrekeyCounts,
    drop_one_time,
)
from tests.gateway.sync.office import Office, open_office
from tests.gateway.sync.people import Person, Phone
from wire.errors import NotSigned
from wire.ids import LaneId, SeatId
from wire.prekeys import Bundle, Prekey, PrekeyKind


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def seat_with(office: Office, phone: Phone, prekeys: list[Prekey]) -> SeatId:
    seat = (await office.enrol(Person(phone), phone)).seat
    await office.prekeys.upload(phone.key, prekeys)
    return seat


async def lanes(office: Office, seat: SeatId, count: int) -> list[LaneId]:
    return [await office.lane(seat, n.to_bytes(16, "big")) for n in range(count)]


async def test_a_bundle_holds_what_a_session_needs_and_verifies(path: Path) -> None:
    phone = Phone()
    async with open_office(path) as office:
        seat = await seat_with(office, phone, phone.prekeys(one_time=2, kem=1))
        [lane] = await lanes(office, seat, 1)

        [bundle] = await office.prekeys.hand_out(seat, lane)

        bundle.verify()
        assert bundle.device == phone.key
        assert bundle.one_time is not None
        assert bundle.kem.kind is PrekeyKind.ONE_TIME_KEM
        assert await office.prekeys.counts(phone.key.device) == PrekeyCounts(1, 1, 1, 0)


async def test_a_one_time_key_is_never_handed_out_twice_however_many_ask_at_once(
    path: Path,
) -> None:
    phone = Phone()
    async with open_office(path) as office:
        seat = await seat_with(office, phone, phone.prekeys(one_time=20, kem=5))
        askers = await lanes(office, seat, 30)

        answers = await asyncio.gather(*(office.prekeys.hand_out(seat, one) for one in askers))

        bundles = [bundle for [bundle] in answers]
        once = [bundle.one_time.id for bundle in bundles if bundle.one_time]
        kems = [one.kem.id for one in bundles if one.kem.kind is PrekeyKind.ONE_TIME_KEM]
        assert sorted(once) == list(range(20))
        assert sorted(kems) == list(range(5))


async def test_an_empty_pool_gives_the_last_resort_and_says_so(path: Path) -> None:
    phone = Phone()
    async with open_office(path) as office:
        seat = await seat_with(office, phone, phone.prekeys())
        [lane] = await lanes(office, seat, 1)

        [bundle] = await office.prekeys.hand_out(seat, lane)

        assert bundle.one_time is None
        assert bundle.kem.kind is PrekeyKind.LAST_RESORT
        bundle.verify()


async def test_an_upload_that_is_repeated_brings_no_used_key_back(path: Path) -> None:
    phone = Phone()
    upload = phone.prekeys(one_time=2)
    async with open_office(path) as office:
        seat = await seat_with(office, phone, upload)
        first, second, third = await lanes(office, seat, 3)
        await office.prekeys.hand_out(seat, first)
        await office.prekeys.hand_out(seat, second)

        counts = await office.prekeys.upload(phone.key, upload)

        assert counts == PrekeyCounts(1, 1, 0, 0)
        [bundle] = await office.prekeys.hand_out(seat, third)
        assert bundle.one_time is None


async def test_a_newer_signed_prekey_takes_the_place_of_the_older(path: Path) -> None:
    phone = Phone()
    async with open_office(path) as office:
        seat = await seat_with(office, phone, phone.prekeys(one_time=1))
        await office.prekeys.upload(phone.key, phone.prekeys(first=7))
        [lane] = await lanes(office, seat, 1)

        [bundle] = await office.prekeys.hand_out(seat, lane)

        assert (bundle.signed.id, bundle.kem.id) == (7, 7)
        assert bundle.one_time is not None


async def test_a_thousand_requests_of_one_contact_get_three_bundles_in_thirty_days(
    path: Path,
) -> None:
    phone = Phone()
    async with open_office(path) as office:
        seat = await seat_with(office, phone, phone.prekeys(one_time=100))
        greedy, other = await lanes(office, seat, 2)
        got, waits = list[Bundle](), set[int]()
        for _ in range(1000):
            try:
                got += await office.prekeys.hand_out(seat, greedy)
            except TooManyRequests as refusal:
                waits.add(refusal.retry_after)
            office.hands.live(HANDOUT_WINDOW / 1001)

        assert len(got) == 3
        assert waits == {3600}
        assert len(await office.prekeys.hand_out(seat, other)) == 1
        office.hands.live(HANDOUT_EVERY)
        assert len(await office.prekeys.hand_out(seat, greedy)) == 1


async def test_one_bundle_an_hour_unless_the_owner_says_otherwise(path: Path) -> None:
    phone = Phone()
    async with open_office(path) as office:
        seat = await seat_with(office, phone, phone.prekeys(one_time=9))
        [lane] = await lanes(office, seat, 1)
        await office.prekeys.hand_out(seat, lane)
        office.hands.live(HANDOUT_EVERY - 1)
        with pytest.raises(TooManyRequests):
            await office.prekeys.hand_out(seat, lane)

        await office.prekeys.reset(SeatId(bytes(16)), lane)
        with pytest.raises(TooManyRequests):
            await office.prekeys.hand_out(seat, lane)
        await office.prekeys.reset(seat, lane)
        assert len(await office.prekeys.hand_out(seat, lane)) == 1
        office.hands.live(1)
        with pytest.raises(TooManyRequests):
            await office.prekeys.hand_out(seat, lane)


async def test_every_device_of_a_seat_gives_a_bundle(path: Path) -> None:
    phone, tablet, bare = Phone(), Phone(), Phone()
    person = Person(phone, tablet, bare)
    async with open_office(path) as office:
        seat = (await office.enrol(person, phone)).seat
        await office.enrol(person, tablet)
        await office.enrol(person, bare)
        for one in (phone, tablet):
            await office.prekeys.upload(one.key, one.prekeys(one_time=1))
        [lane] = await lanes(office, seat, 1)

        bundles = await office.prekeys.hand_out(seat, lane)

        assert {bundle.device for bundle in bundles} == {phone.key, tablet.key}


async def test_a_seat_without_prekeys_is_a_refusal_that_costs_the_asker_nothing(
    path: Path,
) -> None:
    phone = Phone()
    async with open_office(path) as office:
        seat = await seat_with(office, phone, [phone.prekey(PrekeyKind.SIGNED, 1)])
        [lane] = await lanes(office, seat, 1)

        with pytest.raises(NoPrekeys):
            await office.prekeys.hand_out(seat, lane)
        await office.prekeys.upload(phone.key, [phone.prekey(PrekeyKind.LAST_RESORT, 1)])
        assert len(await office.prekeys.hand_out(seat, lane)) == 1


async def test_a_new_epoch_drops_one_time_keys_and_their_ids_stay_used(path: Path) -> None:
    phone = Phone()
    upload = phone.prekeys(one_time=5, kem=5)
    async with open_office(path) as office:
        seat = await seat_with(office, phone, upload)
        await office.database.write(lambda store: drop_one_time(store, seat))

        assert await office.prekeys.upload(phone.key, upload) == PrekeyCounts(1, 1, 0, 0)
        later = phone.prekeys(one_time=1, first=5)
        assert await office.prekeys.upload(phone.key, later) == PrekeyCounts(1, 1, 1, 0)


async def test_a_prekey_that_the_device_did_not_sign_is_refused_whole(path: Path) -> None:
    phone, thief = Phone(), Phone()
    async with open_office(path) as office:
        await office.enrol(Person(phone), phone)

        with pytest.raises(NotSigned):
            await office.prekeys.upload(
                phone.key, [*phone.prekeys(), thief.prekey(PrekeyKind.ONE_TIME, 1)]
            )
        assert await office.prekeys.counts(phone.key.device) == PrekeyCounts(0, 0, 0, 0)


async def test_a_device_without_a_seat_leaves_no_prekeys(path: Path) -> None:
    async with open_office(path) as office:
        phone = Phone()

        with pytest.raises(DeviceUnknown):
            await office.prekeys.upload(phone.key, phone.prekeys())


async def test_a_pool_has_a_limit_and_the_oldest_keys_go(path: Path) -> None:
    phone = Phone()
    limit = MAX_POOL[PrekeyKind.ONE_TIME]
    async with open_office(path) as office:
        seat = await seat_with(office, phone, phone.prekeys(one_time=limit))
        extra = [phone.prekey(PrekeyKind.ONE_TIME, limit + n) for n in range(3)]

        assert (await office.prekeys.upload(phone.key, extra)).one_time == limit
        [lane] = await lanes(office, seat, 1)
        [bundle] = await office.prekeys.hand_out(seat, lane)
        assert bundle.one_time is not None
        assert bundle.one_time.id == 3


async def test_what_was_handed_out_is_forgotten_when_it_no_longer_counts(path: Path) -> None:
    phone = Phone()
    async with open_office(path) as office:
        seat = await seat_with(office, phone, phone.prekeys())
        [lane] = await lanes(office, seat, 1)
        await office.prekeys.hand_out(seat, lane)

        assert await office.sync.expire() == 0
        office.hands.live(HANDOUT_WINDOW)
        assert await office.sync.expire() == 2  # and how the pairing ended
        assert await office.count("handout") == 0
