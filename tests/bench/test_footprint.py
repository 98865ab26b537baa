"""What the gateway takes when little happens is seen."""

from pathlib import Path

from bench.box import open_box
from bench.footprint import FIRST, at_rest, idle_connections, quiet
from bench.subjects import Ours


async def test_memory_connections_and_quiet_are_measured(tmp_path: Path) -> None:
    async with open_box(tmp_path) as box:
        gateway = Ours(box)
        await gateway.start()
        await gateway.furnish(FIRST + 4)

        assert (await at_rest(gateway))["memory"] > 10_000_000
        found = await quiet(gateway, after=0.0, seconds=0.1)
        assert found["wake_ups"] >= 0
        assert found["written"] >= 0
        assert (await idle_connections(gateway, count=4))["count"] == 4
