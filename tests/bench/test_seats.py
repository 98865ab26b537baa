"""A seat is made as an owner and a phone make one."""

from pathlib import Path

import pytest

from bench.box import open_box
from bench.links import connect
from bench.seats import LANES_AT_A_TIME, ask_owner, pair, pid_of


async def test_a_phone_is_paired_gives_away_lanes_and_logs_in(tmp_path: Path) -> None:
    async with open_box(tmp_path) as box:
        await box.start()
        seat = await pair(box.data, box.door)
        lanes = await seat.mint(LANES_AT_A_TIME + 1)
        link = await connect(box.door)
        header = await seat.login(link)
        link.close()

        assert header.startswith("Authorization: Bearer ")
        assert len({one.id for one in lanes}) == LANES_AT_A_TIME + 1
        assert seat.lanes == lanes
        assert (await ask_owner(box.data, "GET", "/status"))["port"] == box.door.port
        assert pid_of(box.data) == box.pid
        with pytest.raises(RuntimeError, match="/nothing"):
            await ask_owner(box.data, "GET", "/nothing")
