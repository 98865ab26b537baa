"""What wakes phones is there where the owner wants it, and nowhere else."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import StartupError
from gateway.identity import VAPID_NAME
from tests.gateway.box import open_box

LOADED = """
import asyncio, sys
from pathlib import Path
from tests.gateway.box import open_box

async def main():
    async with open_box(Path(sys.argv[1])):
        print(*sorted(name for name in sys.modules if name.startswith(sys.argv[2])))

asyncio.run(main())
"""


def test_a_gateway_that_pushes_to_nobody_loads_nothing_for_it(tmp_path: Path) -> None:
    for names in ("gateway.push", "zoneinfo"):
        found = subprocess.run(
            [sys.executable, "-c", LOADED, tmp_path / names, names],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        assert set(found.stdout.split()) <= {"gateway.push", "gateway.push.off"}


async def test_the_owner_switches_it_on(tmp_path: Path) -> None:
    async with open_box(tmp_path / "off") as box:
        assert box.gateway.waking is None
    async with open_box(tmp_path / "on", web_push="mailto:anna@example.org") as box:
        assert box.gateway.waking is not None
        assert len(box.gateway.waking.provider.key) == 65
        key = (tmp_path / "on" / VAPID_NAME).read_bytes()
    async with open_box(tmp_path / "on", web_push="https://example.org"):
        assert (tmp_path / "on" / VAPID_NAME).read_bytes() == key


async def test_certificates_that_are_none_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="push_trust"):
        async with open_box(
            tmp_path, web_push="mailto:anna@example.org", push_trust=str(tmp_path / "none.pem")
        ):
            pass


async def test_a_key_that_is_damaged_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / VAPID_NAME).write_bytes(b"short")

    with pytest.raises(StartupError, match="damaged"):
        async with open_box(tmp_path, web_push="mailto:anna@example.org"):
            pass
