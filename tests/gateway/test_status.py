"""How the gateway is."""

from pathlib import Path

from gateway.clock import BUILD_DATE
from gateway.status import Disk, Running, read_disk, version
from gateway.sync.seats import Seat
from tests.gateway.hands import Hands
from wire.ids import GatewayId, SeatId
from wire.places import Place


def running(folder: Path, hands: Hands) -> Running:
    return Running(
        GatewayId(b"g" * 32), folder, hands, lambda: [Place("box.example")], hands.monotonic()
    )


def test_what_waits_is_summed_over_the_seats(tmp_path: Path) -> None:
    seats = [
        Seat(
            SeatId(bytes([number]) * 16),
            devices=2,
            unconfirmed=number % 2,
            waiting=number,
            used_bytes=100,
            limit_bytes=1,
            archive_used_bytes=0,
            archive_limit_bytes=1,
        )
        for number in range(3)
    ]
    report = running(tmp_path, Hands()).report(seats, port=4433, damage=["It was damaged."])

    assert (report["seats"], report["waiting"], report["waiting_bytes"]) == (3, 3, 300)
    assert (report["unconfirmed"], report["damage"]) == (1, ["It was damaged."])
    assert report["places"] == ["box.example:4433"]


def test_the_time_it_runs_does_not_follow_the_wall_clock(tmp_path: Path) -> None:
    hands = Hands()
    how = running(tmp_path, hands)
    hands.live(60)
    hands.wall -= 10_000

    assert how.report([], port=1)["uptime_seconds"] == 60


def test_a_clock_from_before_this_program_is_unset(tmp_path: Path) -> None:
    hands = Hands()
    how = running(tmp_path, hands)
    hands.wall = BUILD_DATE
    assert how.report([], port=1)["clock"]["state"] == "plausible"
    hands.wall = BUILD_DATE - 1
    assert how.report([], port=1)["clock"]["state"] == "unset"


def test_the_disk_is_measured(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"x" * 5000)
    disk = read_disk(tmp_path)

    assert disk.used_bytes == 5000
    assert 0 < disk.free_bytes <= disk.total_bytes


def test_a_disk_that_cannot_be_asked_is_said_to_be_nothing(tmp_path: Path) -> None:
    assert read_disk(tmp_path / "none") == Disk(0, 0, 0)


def test_the_version_is_known_in_an_installed_program() -> None:
    assert version()
