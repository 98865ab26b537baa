"""A deposit over HTTP is stored, over a kept connection and after it has ended."""

from pathlib import Path

import pytest

from bench.box import open_box
from bench.deposits import Posts, check, parcel, ready
from bench.links import Refused
from bench.recipients import open_mailbox
from bench.talks import NotStored
from wire.frames import Outcome, Ping, Result, Results, encode_frame
from wire.ids import GatewayId, ParcelId
from wire.lanes import LaneSecret


async def test_what_is_deposited_is_collected(tmp_path: Path) -> None:
    got: list[bytes] = []
    async with open_box(tmp_path) as box:
        await box.start()
        [seat] = await box.furnish(1)
        posts = Posts(box.address, seat.channel)
        for size in (256, 1024):
            await posts.deposit(ready(seat.lanes[0], channel=seat.channel, size=size))
        await box.kill()  # the kept connection ends
        await box.start()
        await posts.deposit(ready(seat.lanes[0], channel=seat.channel))
        posts.close()
        recipient = await open_mailbox(seat, got.append)
        while len(got) < 3:
            await recipient.more()
        recipient.close()

    assert len(set(got)) == 3


async def test_a_lane_that_nobody_registered_is_refused(tmp_path: Path) -> None:
    async with open_box(tmp_path) as box:
        await box.start()
        [seat] = await box.furnish(1)
        stranger = LaneSecret(bytes(32)).at(seat.channel.gateway)
        posts = Posts(box.address, seat.channel)
        with pytest.raises(Refused):
            await posts.deposit(ready(stranger, channel=seat.channel))
        posts.close()


def test_a_parcel_that_was_not_stored_is_told() -> None:
    lane = LaneSecret(bytes(32)).at(GatewayId(bytes(32)))
    full = Outcome(ParcelId(parcel(lane).id.raw), Result.DISK_FULL, 0)

    with pytest.raises(NotStored, match="disk-full"):
        check(encode_frame(Results(1, (full,))))
    with pytest.raises(NotStored, match="no results"):
        check(encode_frame(Ping()))
