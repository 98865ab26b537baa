"""Everybody is measured alike: deposits, delivery at a rate and in a rush, draining."""

from pathlib import Path

import pytest

from bench.box import open_box
from bench.measures import Beside, deposit, drain, hand_in, live, live_rush
from bench.processes import Processors
from bench.subjects import How, Ours
from bench.talks import Notes


async def test_a_gateway_is_measured_in_every_way(tmp_path: Path) -> None:
    beside = Beside(tmp_path, Processors.here().server, 0.01)
    async with open_box(tmp_path) as box:
        gateway = Ours(box)
        await gateway.start()
        await gateway.furnish(5)

        for how in How:
            found = await deposit(gateway, how, count=20, to=range(2), beside=beside)
            assert found["rate"] > 0
            assert found["floor_rate"] > 0
            assert found["p50"] <= found["p99"]

        found = await live(gateway, How.ONE, count=5, rate=100.0, mailbox=2)
        assert 0 < found["p50"] <= found["p99"]
        assert (await live_rush(gateway, How.BATCH, count=64, mailbox=3))["rate"] > 0
        assert (await drain(gateway, How.BATCH, count=80, mailbox=4))["seconds"] > 0


@pytest.mark.parametrize("how", How)
async def test_exactly_as_many_are_stored_as_were_handed_in(tmp_path: Path, how: How) -> None:
    async with open_box(tmp_path) as box:
        gateway = Ours(box)
        await gateway.start()
        await gateway.furnish(2)
        notes = await hand_in(gateway, how, count=70, to=[0, 1], notes=Notes(kept=[]))

    assert notes.stored == 70
    assert notes.kept is not None
    assert len(set(notes.kept)) == 70
