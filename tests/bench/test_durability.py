"""Flushes are counted, and what is acknowledged is there after a kill."""

from contextlib import suppress
from pathlib import Path

from bench.absent import Absent
from bench.box import open_box
from bench.durability import counted, flushes, lost_by_kill
from bench.subjects import How, Ours

TABLE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 98.00    0.011111          12       900        12 fdatasync
  2.00    0.000111          11        10           fsync
  0.00    0.000000           0         5           close
------ ----------- ----------- --------- --------- ----------------
100.00    0.011222          12       915        12 total
"""


def test_the_flushes_of_a_table_are_counted() -> None:
    assert counted(TABLE) == 910
    assert counted("") == 0


async def test_parcels_share_flushes_and_none_is_lost_by_a_kill(tmp_path: Path) -> None:
    async with open_box(tmp_path) as box:
        gateway = Ours(box)
        await gateway.start()
        await gateway.furnish(3)
        with suppress(Absent):  # where nobody may look into processes
            found = await flushes(gateway, How.BATCH, count=128, to=range(3), scratch=tmp_path)
            assert 0 < found["flushes"] < 1

        lost = await lost_by_kill(gateway, How.BATCH, mailboxes=range(3), seconds=0.2)
        assert lost["acknowledged"] > 0
        assert lost["lost"] == 0
