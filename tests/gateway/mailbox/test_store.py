"""What a mailbox promises: on a real file, through the store's own doors."""

import asyncio
import secrets
import sqlite3
from pathlib import Path

import pytest

from gateway.errors import DeviceUnknown, LaneRefused, NoSuchSeat, SyncFirst
from gateway.mailbox.rules import LIVE_SECONDS
from gateway.mailbox.store import SWEPT_AT_ONCE, Swept
from tests.gateway.hands import Hands
from tests.gateway.mailbox.house import GATEWAY, House, at, open_house, parcel, prove
from wire.frames import NOWHERE, Cursor, Outcome, Proved, Result
from wire.ids import CursorEpoch, DeviceId, GatewayId, ParcelId, SeatId
from wire.lanes import Lane, LaneRight, LaneSecret, WakeRule
from wire.parcel import DAY, HEADER_BYTES, Lifetime


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def test_what_is_deposited_is_collected_in_its_order(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        sent = [parcel(lane) for _ in range(150)]
        for start in range(0, 150, 50):
            assert set(await house.put(lane, *sent[start : start + 50])) == {Result.STORED}

        found = await house.collected(device)

        assert [one.parcel for one in found] == sent
        assert [one.seq for one in found] == list(range(1, 151))


async def test_a_deposit_names_what_arrived_and_how_it_may_wake(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat, rule=WakeRule.NEVER)
        one = parcel(lane)

        first = await house.store.deposit_all([prove(lane, one)])
        again = await house.store.deposit_all([prove(lane, one)])

        [arrived] = first.arrived
        assert (arrived.seat, arrived.seq, arrived.rule) == (seat, 1, WakeRule.NEVER)
        assert again.arrived == ()
        assert again.outcomes == first.outcomes == (Outcome(one.id, Result.STORED, 0),)


async def test_who_has_no_right_gets_one_and_the_same_answer(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane, revoked = await house.lane(seat), await house.lane(seat)
        expired = await house.lane(seat, expires=int(house.hands.wall) + 60)
        await house.store.revoke_lanes(seat, [revoked.id])
        house.hands.live(61)
        unknown = LaneSecret(bytes(32)).at(GATEWAY)
        right, wrong_key = parcel(lane), Lane(lane.id, bytes(32))
        tampered = Proved(prove(lane, right).proof, parcel(lane, id=right.id))
        elsewhere = Proved(right.proof(lane, gateway=GatewayId(bytes(32))), right)
        attempts = [
            prove(unknown, parcel(unknown)),
            prove(revoked, parcel(revoked)),
            prove(expired, parcel(expired)),
            prove(wrong_key, parcel(lane)),
            tampered,
            elsewhere,
        ]

        outcomes = (await house.store.deposit_all(attempts)).outcomes

        assert {(one.result, one.retry_after) for one in outcomes} == {(Result.LANE_REFUSED, 0)}
        assert (await house.store.usage(seat)).parcels == 0
        assert await house.store.lane(revoked.id) is None
        assert await house.store.lane(expired.id) is None


async def test_one_refused_parcel_does_not_hold_back_its_neighbours(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        unknown = LaneSecret(bytes(32)).at(GATEWAY)
        good, bad, good_too = parcel(lane), parcel(unknown), parcel(lane)

        deposited = await house.store.deposit_all(
            [prove(lane, good), prove(unknown, bad), prove(lane, good_too)]
        )

        assert [one.result for one in deposited.outcomes] == [
            Result.STORED,
            Result.LANE_REFUSED,
            Result.STORED,
        ]
        assert [one.seq for one in deposited.arrived] == [1, 2]


async def test_a_repeated_deposit_is_answered_alike_whether_collected_or_not(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        one = parcel(lane)
        answers = [await house.put(lane, one), await house.put(lane, one)]
        [delivered] = await house.collected(device)
        assert await house.store.acknowledge(device, await house.cursor(device, delivered))
        answers.append(await house.put(lane, one))

        assert answers == [[Result.STORED]] * 3
        assert await house.collected(device) == []
        assert (await house.store.usage(seat)).used_bytes == 0


async def test_another_body_under_a_known_id_is_refused(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        one = parcel(lane)
        other = parcel(lane, id=one.id)

        assert await house.put(lane, one, other, one) == [
            Result.STORED,
            Result.ID_TAKEN,
            Result.STORED,
        ]
        assert [found.parcel for found in await house.collected(device)] == [one]


async def test_one_id_on_two_lanes_is_two_parcels(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device = await house.device(seat)
        first, second = await house.lane(seat), await house.lane(seat)
        one = parcel(first)
        two = parcel(second, id=one.id)

        assert await house.put(first, one) == await house.put(second, two) == [Result.STORED]
        assert [found.parcel for found in await house.collected(device)] == [one, two]


@pytest.mark.parametrize(
    ("lifetime", "days"), [(Lifetime.DAY, 1), (Lifetime.MONTH, 30), (Lifetime.HALF_YEAR, 30)]
)
async def test_a_deposit_is_remembered_for_thirty_days_or_its_life(
    path: Path, lifetime: Lifetime, days: int
) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane, lifetime=lifetime))

        house.hands.live(days * DAY - 60)
        assert (await house.store.expire()).remembered == 0
        house.hands.live(DAY + 120)
        assert (await house.store.expire()).remembered == 1


async def test_a_full_mailbox_is_a_refusal_that_tells_nothing_of_how_full(path: Path) -> None:
    size = HEADER_BYTES + 256
    async with open_house(path) as house:
        seat = await house.seat(quota=size * 10)
        lane, letters = await house.lane(seat), await house.lane(seat, last_tenth=True)

        results = await house.put(lane, *(parcel(lane) for _ in range(11)))
        assert results == [Result.STORED] * 9 + [Result.MAILBOX_FULL] * 2
        assert await house.put(letters, parcel(letters), parcel(letters)) == [
            Result.STORED,
            Result.MAILBOX_FULL,
        ]
        little, much = parcel(lane), parcel(lane, size=65536)
        refused = await house.store.deposit_all([prove(lane, little), prove(lane, much)])
        assert len({one.retry_after for one in refused.outcomes}) == 1

        usage = await house.store.usage(seat)
        assert (usage.parcels, usage.used_bytes, usage.quota_bytes) == (10, size * 10, size * 10)


async def test_one_lane_cannot_take_the_room_of_the_others(path: Path) -> None:
    size = HEADER_BYTES + 256
    async with open_house(path) as house:
        seat = await house.seat()
        greedy = await house.lane(seat, bytes_waiting=size * 2)
        other = await house.lane(seat)

        assert await house.put(greedy, *(parcel(greedy) for _ in range(3))) == [
            Result.STORED,
            Result.STORED,
            Result.MAILBOX_FULL,
        ]
        assert await house.put(other, parcel(other)) == [Result.STORED]


async def test_what_some_device_holds_goes_before_a_deposit_is_refused(path: Path) -> None:
    size = HEADER_BYTES + 256
    async with open_house(path) as house:
        seat = await house.seat(quota=size * 4)
        phone, tablet = await house.device(seat), await house.device(seat)
        lane = await house.lane(seat, last_tenth=True)
        sent = [parcel(lane) for _ in range(6)]
        await house.put(lane, *sent[:4])
        collected = await house.collected(phone)
        await house.store.acknowledge(phone, await house.cursor(phone, collected[1]))

        assert await house.put(lane, *sent[4:]) == [Result.STORED] * 2
        assert [one.parcel for one in await house.collected(tablet)] == sent[2:]
        assert await house.put(lane, parcel(lane)) == [Result.MAILBOX_FULL]


async def test_a_parcel_goes_when_every_live_device_has_it(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        phone, tablet = await house.device(seat), await house.device(seat)
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane), parcel(lane))
        [first, second] = await house.collected(phone)
        cursor = await house.cursor(phone, second)

        assert await house.store.acknowledge(phone, cursor)
        assert len(await house.collected(tablet)) == 2
        assert await house.store.acknowledge(tablet, at(cursor.epoch, first))
        assert [one.seq for one in await house.collected(tablet, at(cursor.epoch, first))] == [2]
        assert await house.store.acknowledge(tablet, cursor)
        assert (await house.store.usage(seat)).parcels == 0


async def test_a_tablet_in_a_drawer_holds_nothing_back_after_fourteen_days(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        phone, _tablet = await house.device(seat), await house.device(seat)
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane))
        [one] = await house.collected(phone)
        cursor = await house.cursor(phone, one)
        await house.store.acknowledge(phone, cursor)
        assert (await house.store.usage(seat)).parcels == 1

        house.hands.live(LIVE_SECONDS - 2 * 3600)
        await house.store.resume(phone, cursor)
        assert (await house.store.expire()).parcels == 0
        house.hands.live(2 * 3600)
        assert (await house.store.expire()).parcels == 1
        assert (await house.store.usage(seat)).used_bytes == 0


async def test_numbers_never_come_again_after_everything_was_collected(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        await house.put(lane, parcel(lane), parcel(lane))
        last = (await house.collected(device))[-1]
        cursor = await house.cursor(device, last)
        await house.store.acknowledge(device, cursor)

        await house.put(lane, parcel(lane))

        assert [one.seq for one in await house.collected(device, cursor)] == [3]


async def test_resuming_counts_as_an_acknowledgement_that_was_lost(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        await house.put(lane, parcel(lane))
        [one] = await house.collected(device)
        cursor = await house.cursor(device, one)

        resumed = await house.store.resume(device, cursor)

        assert (resumed.after, resumed.newest, resumed.reset) == (1, 1, False)
        assert (await house.store.usage(seat)).parcels == 0


async def test_an_old_acknowledgement_takes_nothing_back(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        phone, _tablet = await house.device(seat), await house.device(seat)
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane), parcel(lane))
        first, second = await house.collected(phone)
        cursor = await house.cursor(phone, second)
        assert await house.store.acknowledge(phone, cursor)
        assert await house.store.acknowledge(phone, at(cursor.epoch, first))

        [row] = await house.look("SELECT cursor_seq FROM device WHERE device = ?", phone.raw)
        assert row == (2,)


async def test_a_cursor_from_the_future_begins_a_new_epoch_of_that_seat_alone(path: Path) -> None:
    dropped: list[SeatId] = []

    def drop(store: sqlite3.Connection, seat: SeatId) -> None:
        assert store.in_transaction
        dropped.append(seat)

    async with open_house(path, on_new_epoch=(drop,)) as house:
        seat, neighbour = await house.seat(), await house.seat()
        device, other = await house.device(seat), await house.device(neighbour)
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane), parcel(lane))
        before = await house.store.resume(device, NOWHERE)
        untouched = await house.store.resume(other, NOWHERE)
        future = Cursor(before.epoch, 3, ParcelId(b"x" * 16))

        assert not await house.store.acknowledge(device, future)
        assert dropped == []
        resumed = await house.store.resume(device, future)

        assert resumed.epoch != before.epoch
        assert (resumed.reset, resumed.after, resumed.newest) == (True, 0, 2)
        assert dropped == [seat]
        assert len(await house.collected(device, Cursor.start(resumed.epoch))) == 2
        assert (await house.store.resume(other, NOWHERE)).epoch == untouched.epoch


async def test_another_parcel_at_the_cursor_begins_a_new_epoch(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        await house.put(lane, parcel(lane), parcel(lane))
        before = await house.store.resume(device, NOWHERE)

        resumed = await house.store.resume(device, Cursor(before.epoch, 1, ParcelId(b"x" * 16)))

        assert resumed.reset
        assert resumed.epoch != before.epoch


async def test_a_second_device_with_the_old_epoch_starts_over_and_begins_no_third(
    path: Path,
) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        phone, tablet = await house.device(seat), await house.device(seat)
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane))
        [one] = await house.collected(tablet)
        old = await house.cursor(tablet, one)
        strange = CursorEpoch(secrets.token_bytes(16))

        turned = await house.store.resume(phone, Cursor(strange, 1, one.parcel.id))
        back = await house.store.resume(tablet, old)

        assert turned.epoch == back.epoch != old.epoch
        assert back.reset
        assert not (await house.store.resume(phone, Cursor.start(turned.epoch))).reset


@pytest.mark.parametrize("later", [0, 10, 1000])
async def test_a_file_copied_back_loses_nothing_that_any_device_was_not_given(
    path: Path, later: int
) -> None:
    hands = Hands()
    async with open_house(path, hands=hands) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        await house.put(lane, *(parcel(lane) for _ in range(5)))
        early = await house.collected(device)
        await house.store.acknowledge(device, await house.cursor(device, early[-1]))
    backup = await asyncio.to_thread(path.read_bytes)
    async with open_house(path, hands=hands) as house:
        await house.put(lane, *(parcel(lane) for _ in range(3)))
        seen = await house.collected(device, await house.cursor(device, early[-1]))
        last = await house.cursor(device, seen[-1])
        await house.store.acknowledge(device, last)
    await asyncio.to_thread(path.write_bytes, backup)

    async with open_house(path, hands=hands) as house:
        since = [parcel(lane) for _ in range(later)]
        for start in range(0, later, 50):
            await house.put(lane, *since[start : start + 50])
        found = await house.collected(device, last)

        assert [one.parcel for one in found] == since


async def test_parcels_die_at_the_end_of_their_life_by_the_steady_clock_alone(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        await house.put(lane, *(parcel(lane, lifetime=life) for life in Lifetime))

        house.hands.wall += 40_000 * DAY
        assert await house.store.expire() == Swept(0, 0, 0)
        house.hands.steady += DAY
        assert len(await house.collected(device)) == 3
        assert (await house.store.expire()).parcels == 1
        house.hands.steady += 30 * DAY
        assert (await house.store.expire()).parcels == 2
        house.hands.steady += 150 * DAY
        assert (await house.store.expire()).parcels == 1
        assert (await house.store.usage(seat)).used_bytes == 0


async def test_a_sweep_takes_all_that_is_due_in_small_steps(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        count = SWEPT_AT_ONCE + 20
        await house.put(lane, *(parcel(lane, lifetime=Lifetime.DAY) for _ in range(count)))
        house.hands.live(DAY)
        before = house.database.commits

        assert (await house.store.expire()).parcels == count
        assert house.database.commits - before == 2


async def test_a_lane_change_that_rests_on_an_old_state_is_refused(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        kept, blocked = await house.lane(seat), await house.lane(seat)
        await house.store.revoke_lanes(seat, [blocked.id], rests_on=7)
        right = LaneRight(
            blocked,
            WakeRule.WAKE,
            wakes_per_day=1,
            bytes_waiting=1,
            expires=0,
            last_tenth=False,
        )

        with pytest.raises(SyncFirst) as refused:
            await house.store.mint_lanes(seat, [right], rests_on=6)

        assert refused.value.facts() == {"position": 7}
        assert await house.store.lane(blocked.id) is None
        await house.store.mint_lanes(seat, [right], rests_on=7)
        assert await house.store.lane(blocked.id) is not None
        assert await house.store.lane(kept.id) is not None


async def test_a_rule_is_changed_without_touching_what_waits(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat, rule=WakeRule.WAKE)
        await house.put(lane, parcel(lane))
        muted = LaneRight(
            lane,
            WakeRule.NEVER,
            wakes_per_day=0,
            bytes_waiting=1000,
            expires=0,
            last_tenth=True,
        )

        await house.store.mint_lanes(seat, [muted])

        found = await house.store.lane(lane.id)
        assert found is not None
        assert (found.rule, found.last_tenth) == (WakeRule.NEVER, True)
        assert (found.room.used, found.room.limit) == (HEADER_BYTES + 256, 1000)
        assert len(await house.collected(device)) == 1


async def test_nobody_can_take_or_revoke_a_lane_of_another_seat(path: Path) -> None:
    async with open_house(path) as house:
        seat, thief = await house.seat(), await house.seat()
        lane = await house.lane(seat)
        grab = LaneRight(
            Lane(lane.id, bytes(32)),
            WakeRule.WAKE,
            wakes_per_day=1,
            bytes_waiting=1,
            expires=0,
            last_tenth=False,
        )

        with pytest.raises(LaneRefused):
            await house.store.mint_lanes(thief, [grab])
        await house.store.revoke_lanes(thief, [lane.id])

        assert await house.put(lane, parcel(lane)) == [Result.STORED]


async def test_what_came_on_a_lane_stays_when_the_lane_is_revoked(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        await house.put(lane, parcel(lane))
        await house.store.revoke_lanes(seat, [lane.id])

        [one] = await house.collected(device)
        await house.store.acknowledge(device, await house.cursor(device, one))

        assert (await house.store.usage(seat)).used_bytes == 0


async def test_largest_parcels_come_one_frame_at_a_time(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        for _ in range(3):
            await house.put(lane, parcel(lane, size=1 << 19))

        batch = await house.store.collect(seat, after=0)

        assert [one.seq for one in batch] == [1, 2]
        assert [one.seq for one in await house.store.collect(seat, after=0, limit=1)] == [1]


async def test_a_full_disk_is_the_answer_for_every_parcel_and_nothing_is_stored(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        await house.look("PRAGMA max_page_count = 1")
        many = [parcel(lane, size=1 << 16) for _ in range(10)]

        assert await house.put(lane, *many) == [Result.DISK_FULL] * 10
        await house.look("PRAGMA max_page_count = 1000000")
        assert (await house.store.usage(seat)).parcels == 0
        assert await house.put(lane, *many) == [Result.STORED] * 10


async def test_whoever_is_not_there_is_a_typed_refusal(path: Path) -> None:
    async with open_house(path) as house:
        nobody, nowhere = DeviceId(bytes(16)), SeatId(bytes(16))

        with pytest.raises(DeviceUnknown):
            await house.store.resume(nobody, NOWHERE)
        with pytest.raises(NoSuchSeat):
            await house.store.usage(nowhere)
        with pytest.raises(NoSuchSeat):
            await house.store.revoke_lanes(nowhere, [])


async def test_when_a_device_was_here_is_kept_to_the_hour(path: Path) -> None:
    async with open_house(path) as house:
        device = await house.device(await house.seat())

        async def seen() -> object:
            return (await house.look("SELECT collected_at FROM device"))[0][0]

        first = await seen()
        house.hands.live(3599)
        await house.store.resume(device, NOWHERE)
        assert await seen() == first
        house.hands.live(1)
        await house.store.resume(device, NOWHERE)
        assert await seen() != first


async def test_two_mailboxes_do_not_touch(path: Path) -> None:
    async with open_house(path) as house:
        seats = [await house.seat() for _ in range(2)]
        devices = [await house.device(seat) for seat in seats]
        lanes = [await house.lane(seat) for seat in seats]
        sent = [parcel(lane) for lane in lanes]
        for lane, one in zip(lanes, sent, strict=True):
            await house.put(lane, one)

        for device, one in zip(devices, sent, strict=True):
            assert [(found.seq, found.parcel) for found in await house.collected(device)] == [
                (1, one)
            ]


async def everything_sums_up(house: House) -> None:
    """Check that what is counted is what lies there."""
    counted = await house.look("SELECT used_bytes FROM seat")
    there = await house.look("SELECT sum(length(body) + ?) FROM parcel", HEADER_BYTES)
    assert sum(int(str(row[0])) for row in counted) == there[0][0]


async def test_a_thousand_interrupted_deposits_leave_a_mailbox_that_adds_up(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        sent = [parcel(lane) for _ in range(400)]
        tasks = [asyncio.create_task(house.put(lane, one)) for one in sent]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        again = [(await house.put(lane, one))[0] for one in sent]

        assert set(again) == {Result.STORED}
        found = await house.collected(device)
        assert {one.parcel.id for one in found} == {one.id for one in sent}
        assert len(found) == len(sent)
        await everything_sums_up(house)
