"""A gateway is started, killed and started again over the same data."""

from pathlib import Path

import pytest

from bench.box import disk_bytes, open_box
from bench.processes import tree


async def test_a_gateway_answers_again_after_a_kill(tmp_path: Path) -> None:
    async with open_box(tmp_path) as box:
        assert await box.start() > 0
        first = box.pid
        await box.furnish(1)
        await box.kill()
        with pytest.raises(RuntimeError, match="not started"):
            assert box.pid

        await box.start()
        assert box.pid != first
        assert await box.furnish(1, lanes=2) == box.seats[-1:]
        assert len(box.seats[-1].lanes) == 2
        assert disk_bytes(box.data) > 0
        await box.stop()

    assert not [one for one in tree(first) if Path(f"/proc/{one}").exists()]
