"""A phone that is gone is measured in a process of its own, and all its letters come back."""

import json
from pathlib import Path

import pytest

from bench.processes import Processors
from bench.returning import main, measure, returning_figures
from bench.targets import PLACES, RETURNING, Verdict, judge


def test_all_letters_come_back_and_the_newest_first(tmp_path: Path) -> None:
    found = measure(tmp_path, count=3000)

    assert 0 < found["at_once"] < 3000
    assert 0 < found["first"] < found["all"]
    assert 300 < found["bytes"] < 700


def test_what_is_measured_fills_the_row(tmp_path: Path) -> None:
    found = returning_figures(tmp_path, count=10, processor=Processors.here().server)
    figures = {f"memory.back.small.{name}": value for name, value in found.items()}
    small, large = RETURNING

    assert None not in judge(small, figures, column="memory").values
    assert judge(large, figures, column="memory").verdict is Verdict.NOT_MEASURED
    assert set(PLACES) == {"memory", "disk"}


def test_the_figures_are_printed_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "5"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"first", "all", "at_once", "bytes"}
    assert main([]) == 2
