"""Deposits are spread over connections so that as many are on their way as with everybody."""

from pathlib import Path

import pytest

from bench.box import open_box
from bench.subjects import BATCH, IN_FLIGHT, How, Ours
from bench.talks import Notes


@pytest.mark.parametrize(
    ("how", "connections", "items"),
    [(How.BATCH, 2, BATCH), (How.ONE, 8, 1), (How.POST, 64, 1)],
)
async def test_sixty_four_items_are_on_their_way(
    tmp_path: Path, how: How, connections: int, items: int
) -> None:
    async with open_box(tmp_path) as box:
        gateway = Ours(box)
        await gateway.start()
        await gateway.furnish(1)
        talks = await gateway.depositors(how, Notes(), count=BATCH, to=[0])

        assert gateway.name == "tls"
        assert len(talks) == connections
        assert sum(one.window for one in talks) * items == IN_FLIGHT
        waiting = await gateway.depositors(how, Notes(), count=1, to=[0], by_itself=False)
        assert {one.window for one in waiting} == {0}
