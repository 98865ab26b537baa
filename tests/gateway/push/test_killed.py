"""Whenever the process is killed, a letter that was stored wakes its phone."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.mailbox.store import MailboxStore
from gateway.push.pending import PendingWakes
from gateway.push.store import PushStore
from gateway.push.waking import Waking
from tests.gateway.eventually import eventually
from tests.gateway.mailbox.house import GATEWAY, open_house
from tests.gateway.push.killed import MOMENTS, Paper

PHONES = 10_000
SLOWER = 5
"""Two seconds, on a machine that does other things too."""


def ran(folder: Path, moment: str) -> int:
    """Run the gateway until it is killed at a moment, or ends; return its exit status."""
    return subprocess.run(
        [sys.executable, "-m", "tests.gateway.push.killed", folder, moment],
        cwd=Path(__file__).parents[3],
        check=False,
    ).returncode


@pytest.mark.parametrize("moment", MOMENTS)
def test_54_a_letter_that_is_stored_wakes_and_once_too_often_at_most(
    tmp_path: Path, moment: str
) -> None:
    status = ran(tmp_path, moment)
    assert status == -9
    for _ in range(2 if moment == "pushed" else 1):
        assert ran(tmp_path, "never") == 0

    pushes = (tmp_path / "pushes").read_text().splitlines()
    assert pushes == ["WAKE"] * (2 if moment == "pushed" else 1)


async def test_55_ten_thousand_phones_that_wait_are_taken_up_in_two_seconds(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path / "store") as house:

        def fill(store: sqlite3.Connection) -> None:
            now = house.clock.now()
            for number in range(PHONES):
                id, key = number.to_bytes(16, "big"), number.to_bytes(32, "big")
                store.execute(
                    "INSERT INTO seat (seat, person, quota_bytes, epoch, last_seq)"
                    " VALUES (?, ?, 1, ?, 1)",
                    (id, key, bytes(16)),
                )
                store.execute(
                    "INSERT INTO device (device, seat, device_key, collected_at)"
                    " VALUES (?, ?, ?, ?)",
                    (id, id, key, now),
                )
                store.execute(
                    "INSERT INTO push_address VALUES (?, 1, 1, ?, ?, ?, ?, 0)",
                    (id, f"https://push.example.net/{number}", bytes(65), bytes(16), key),
                )
                store.execute("INSERT INTO wake (device, seat, wake) VALUES (?, ?, 1)", (id, id))
                store.execute(
                    "INSERT INTO parcel (seat, seq, lane, parcel, lifetime, purge, dies_at, body)"
                    " VALUES (?, 1, ?, ?, 0, ?, ?, x'00')",
                    (id, id, id, key, now + 1e6),
                )

        await house.database.write(fill)
        pending = PendingWakes()
        mailbox = MailboxStore(house.database, clock=house.clock, gateway=GATEWAY, beside=pending)
        waking = Waking(
            PushStore(house.database, clock=house.clock, pending=pending),
            provider=Paper(tmp_path, "never"),
            still_waits=mailbox.waits,
            clock=house.hands,
            steady=house.clock,
        )
        began = time.monotonic()
        async with waking.running():
            await eventually((tmp_path / "pushes").exists, within=30.0)
            first = time.monotonic() - began

    print(f"all of {PHONES} taken up, and the first pushed to, after {first:.2f} s")
    assert first < 2.0 * SLOWER
