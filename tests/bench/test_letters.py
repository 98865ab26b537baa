"""Letters are measured in a process of their own, and a further device costs what is promised."""

import json
from pathlib import Path

import pytest

from bench.letters import (
    DEVICES,
    bytes_for_a_device,
    cards,
    floor,
    letter_figures,
    letters,
    main,
    measure,
)
from bench.processes import Processors
from bench.targets import PHONES, PLACES, Verdict, judge


def test_a_further_device_costs_at_most_250_bytes(tmp_path: Path) -> None:
    assert 190 <= bytes_for_a_device(tmp_path) <= 250


def test_letters_have_a_rate_and_a_price(tmp_path: Path) -> None:
    found = letters(tmp_path, devices=2, count=64, together=32)

    assert found["rate"] > 0
    assert found["cpu"] >= found["seal_cpu"] + found["open_cpu"]


def test_bare_steps_and_bare_signatures_stand_beside(tmp_path: Path) -> None:
    card = cards(tmp_path, tries=3)

    assert floor(count=32)["cpu"] > 0
    assert card["cpu"] > card["floor_cpu"] > 0


def test_everything_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    found = letter_figures(tmp_path, count=4, processor=Processors.here().server)

    figures = {f"memory.{name}": value for name, value in found.items()}
    assert {f"to{devices}.rate" for devices in DEVICES} <= set(found)
    for row in PHONES[:6]:
        judged = judge(row, figures, column="memory")
        assert None not in judged.values
        assert judge(row, figures, column="disk").verdict is Verdict.NOT_MEASURED
    assert list(PLACES) == ["memory", "disk"]


def test_the_figures_are_printed_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "a"), "1"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(measure(tmp_path / "b", count=1))
    assert main([]) == 2
