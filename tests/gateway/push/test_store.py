"""What is kept for waking phones, and when it goes."""

from pathlib import Path

import pytest

from gateway.push import store as module
from gateway.push.bell import Row, Why
from gateway.push.store import ConfirmationWrong, TooManyRules
from tests.gateway.push.service import Receiver
from tests.gateway.push.test_pending import open_place
from wire.lanes import WakeRule
from wire.pushes import TOKEN_SECONDS, AddressKind, Hours, WhyLine


async def test_everybody_who_can_be_woken_is_found_again(tmp_path: Path) -> None:
    async with open_place(tmp_path / "store") as place:
        hours = Hours(zone="Europe/Berlin", quiet=(60, 120), snooze_until=7, digests=(5, 9))
        await place.pushes.set_hours(place.device, hours)
        row = Row(pushes=2, pushed_at=5.0, hour_began=4.0, hour_pushes=2)
        await place.pushes.pushed(place.device, row, lane=None)
        await place.pushes.read([place.device], up_to=7)
        await place.pushes.read([place.device], up_to=3)

        [found] = await place.pushes.everybody()

        assert (found.device, found.seat, found.hours) == (place.device, place.seat, hours)
        assert found.row == Row(read=7, pushes=2, pushed_at=5.0, hour_began=4.0, hour_pushes=2)


async def test_an_address_is_dropped_only_as_long_as_it_is_the_one(tmp_path: Path) -> None:
    async with open_place(tmp_path / "store") as place:
        [found] = await place.pushes.everybody()
        other = Receiver("https://push.example.net/other").address

        assert not await place.pushes.drop(place.device, only=other)
        assert await place.pushes.addresses(place.device) == (AddressKind.WEB_PUSH, False)
        assert await place.pushes.drop(place.device, only=found.address)
        assert await place.pushes.everybody() == []


async def test_a_proposal_that_nobody_confirms_is_forgotten(tmp_path: Path) -> None:
    async with open_place(tmp_path / "store") as place:
        other = Receiver("https://push.example.net/other").address
        token = await place.pushes.propose(place.seat, place.device, other)
        assert token is not None
        place.house.hands.live(TOKEN_SECONDS + 1)
        await place.pushes.expire(wall=place.house.hands.now())

        assert await place.pushes.addresses(place.device) == (AddressKind.WEB_PUSH, False)
        with pytest.raises(ConfirmationWrong):
            await place.pushes.confirm(place.device, token)


async def test_reasons_are_added_up_and_kept_for_seven_days(tmp_path: Path) -> None:
    async with open_place(tmp_path / "store") as place:
        lane = (await place.house.lane(place.seat)).id
        wall = place.house.hands.now()
        hour = int(wall // 3600)
        for _ in range(2):
            await place.pushes.explain(
                {
                    (place.device, hour, Why.NEVER, lane): 7,
                    (place.device, hour - 24 * 7 - 1, Why.WOKE, None): 1,
                }
            )
        await place.pushes.expire(wall=wall)

        assert await place.pushes.whys(place.device) == [WhyLine(hour * 3600, "never", lane, 14)]


async def test_rules_of_one_device_have_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_RULES_KEPT", 1)
    async with open_place(tmp_path / "store") as place:
        lanes = [(await place.house.lane(place.seat)).id for _ in range(2)]
        await place.pushes.set_rules(place.seat, place.device, {lanes[0]: WakeRule.NEVER})
        with pytest.raises(TooManyRules):
            await place.pushes.set_rules(place.seat, place.device, {lanes[1]: WakeRule.NEVER})

        assert await place.pushes.rules(place.device) == {lanes[0]: WakeRule.NEVER}
