"""The lock's price is measured, sealed beside plain."""

import json
from pathlib import Path

import pytest

from bench.phone_file import file_figures, main, measure
from bench.processes import Processors
from bench.targets import PHONES, judge


def test_both_files_are_written_and_opened(tmp_path: Path) -> None:
    found = measure(tmp_path, count=20)

    assert set(found) == {
        "file.plain.rate",
        "file.sealed.rate",
        "file.plain.open",
        "file.sealed.open",
        "file.pin",
    }
    assert all(value > 0 for value in found.values())
    assert (tmp_path / "plain" / "phone.sqlite").exists()
    assert (tmp_path / "sealed" / "phone.sealed").exists()


def test_their_rows_are_judged_by_what_a_process_of_its_own_has_found(tmp_path: Path) -> None:
    found = file_figures(tmp_path, count=10, processor=Processors.here().server)

    figures = {f"disk.{name}": value for name, value in found.items()}
    rows = [row for row in PHONES if row.id in ("K7", "K8")]
    assert len(rows) == 2
    assert all(None not in judge(row, figures, column="disk").values for row in rows)


def test_the_figures_are_printed_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "10"]) == 0
    assert "file.pin" in json.loads(capsys.readouterr().out)
    assert main([]) == 2
