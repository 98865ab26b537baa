"""Who may put a parcel into a mailbox, and what makes room for it."""

import sqlite3
from pathlib import Path

import pytest

from gateway.mailbox.rules import MAX_REMEMBERED
from tests.gateway.mailbox.house import GATEWAY, open_house, parcel, prove
from wire.frames import Outcome, Proved, Result
from wire.ids import GatewayId
from wire.lanes import Lane, LaneSecret, WakeRule
from wire.parcel import DAY, HEADER_BYTES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


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


async def test_a_lane_is_remembered_so_many_deposits_and_no_more(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane, other = await house.lane(seat), await house.lane(seat)
        first = parcel(lane)
        assert await house.put(lane, first) == [Result.STORED]

        def fill(store: sqlite3.Connection) -> None:
            store.executemany(
                "INSERT INTO deposit (lane, parcel, body_hash, forget_day)"
                " VALUES (?, ?, zeroblob(32), ?)",
                (
                    (lane.id.raw, number.to_bytes(16, "big"), 1 << 40)
                    for number in range(MAX_REMEMBERED - 2)
                ),
            )
            store.execute(
                "UPDATE lane SET remembered = ? WHERE lane = ?", (MAX_REMEMBERED - 1, lane.id.raw)
            )

        await house.database.write(fill)
        last, too_many = parcel(lane), parcel(lane)
        proved = [prove(lane, last), prove(lane, too_many), prove(lane, first)]
        outcomes = (await house.store.deposit_all(proved)).outcomes

        assert [(one.result, one.retry_after) for one in outcomes] == [
            (Result.STORED, 0),
            (Result.TOO_MANY_REQUESTS, DAY),
            (Result.STORED, 0),
        ]
        assert await house.put(other, parcel(other)) == [Result.STORED]


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


async def test_what_only_a_revoked_device_holds_does_not_go_for_room(path: Path) -> None:
    size = HEADER_BYTES + 256
    async with open_house(path) as house:
        seat = await house.seat(quota=size * 2)
        phone, stolen = await house.device(seat), await house.device(seat)
        lane = await house.lane(seat, last_tenth=True)
        sent = [parcel(lane), parcel(lane)]
        await house.put(lane, *sent)
        last = (await house.collected(stolen))[-1]
        await house.store.acknowledge(stolen, await house.cursor(stolen, last))
        await house.look("UPDATE device SET revoked = 1 WHERE device = ?", stolen.raw)

        assert await house.put(lane, parcel(lane)) == [Result.MAILBOX_FULL]
        assert [one.parcel for one in await house.collected(phone)] == sent
