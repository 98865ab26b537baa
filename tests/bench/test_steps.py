"""Keeping devices in step is measured, and a read mark costs no more than is promised."""

import json
from pathlib import Path

import pytest

from bench.processes import Processors
from bench.steps import TOGETHER, library, main, measure, step_figures
from bench.targets import STEPS, judge


def test_a_read_mark_costs_at_most_90_bytes_in_a_batch_of_32(tmp_path: Path) -> None:
    found = measure(tmp_path, changes=4 * TOGETHER)

    assert 20 < found["mark.bytes"] <= 90
    assert found["snapshot.bytes"] > 4 * TOGETHER * 16
    assert found["late.seconds"] > 0
    assert found["core.lines"] < 400


def test_everything_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    found = step_figures(tmp_path, changes=TOGETHER, processor=Processors.here().server)
    whole = {"library.mark.bytes": 1.0, "library.snapshot.bytes": 1.0, **found}
    figures = {f"memory.steps.{name}": value for name, value in whole.items()}

    for row in STEPS:
        assert None not in judge(row, figures, column="memory").values


def test_a_library_is_measured_where_there_is_one() -> None:
    found = library(2 * TOGETHER)

    assert not found or found["library.snapshot.bytes"] > found["library.mark.bytes"]


def test_the_figures_are_printed_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "8"]) == 0
    assert json.loads(capsys.readouterr().out)["mark.bytes"] > 0
    assert main([]) == 2
