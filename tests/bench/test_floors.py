"""Floors are measured in processes of their own, and leave nothing behind."""

import json
from pathlib import Path

import pytest

from bench.floors import Floor, disk_floor, import_floor, main, sqlite_floor
from bench.processes import Processors

CPU = Processors.here().server


def test_sqlite_has_a_rate_and_a_price(tmp_path: Path) -> None:
    floor = sqlite_floor(tmp_path, rows=32, seconds=0.02, processor=CPU)

    assert floor.rate > 0
    assert floor.cpu > 0
    assert list(tmp_path.iterdir()) == []


def test_between_two_floors_lies_their_mean() -> None:
    assert Floor(10.0, 1.0).mean(Floor(30.0, 3.0)) == Floor(20.0, 2.0)


def test_a_flush_takes_time(tmp_path: Path) -> None:
    assert disk_floor(tmp_path, count=3, processor=CPU) > 0
    assert list(tmp_path.iterdir()) == []


def test_the_imports_take_memory_and_time() -> None:
    taken, seconds = import_floor(processor=CPU)

    assert taken > 10_000_000
    assert seconds > 0


def test_a_floor_is_printed_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sqlite", str(tmp_path), "1", "0.01"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"rate", "cpu"}
    assert main(["what"]) == 2
