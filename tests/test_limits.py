"""docs/limits.md says what the code does, and leaves nothing out."""

import importlib
import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from gateway import bodies, door, introduction, listener, patience
from gateway.config import SETTINGS, Config
from gateway.database.writer import Limits
from gateway.sync import pairing_routes

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "limits.md"
ROW: Final = re.compile(
    r"^\| ([^|]+) \| ([0-9]+)(?: (s|KiB|MiB|bytes))? \| (?:`([a-z_]+)` )?\| ([^|]*)\|"
    r" `([a-zA-Z_.]+)` \|$",
    re.MULTILINE,
)
UNITS: Final = {"": 1, "s": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20}
ROWS: Final = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
WHOLE: Final = (bodies, door, introduction, listener, patience, pairing_routes)
"""Modules whose every number is a limit that somebody may look for."""
NO_LIMITS: Final = {"gateway.listener.REFUSED_SECONDS"}
"""Numbers that only tell others something."""


def value_of(path: str) -> object:
    """Return what a dotted name stands for."""
    module, _, name = path.rpartition(".")
    for settings in (Config, Limits):
        if module == f"{settings.__module__}.{settings.__name__}":
            return {one.name: one.default for one in fields(settings)}[name]
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[5])
def test_each_limit_is_what_the_table_says(row: tuple[str, ...]) -> None:
    _, number, unit, setting, _, path = row

    assert value_of(path) == int(number) * UNITS[unit]
    assert bool(setting) == path.startswith("gateway.config.Config.")
    assert not setting or path.endswith(f".{setting}")


def test_the_table_is_read_to_its_last_row() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    assert len(ROWS) == sum(one.endswith("` |") for one in text.splitlines()) > 30


def numbers(module: ModuleType) -> set[str]:
    """Return the dotted names of the numbers that a module defines."""
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    found = re.findall(r"^([A-Z][A-Z_]+): Final = ", text, re.MULTILINE)
    return {
        f"{module.__name__}.{one}" for one in found if isinstance(getattr(module, one), int | float)
    }


@pytest.mark.parametrize("module", WHOLE, ids=lambda module: module.__name__)
def test_no_number_is_left_out(module: ModuleType) -> None:
    # What `door` has for a default is the setting's.
    documented = {row[5] for row in ROWS} | NO_LIMITS | {"gateway.door.REFUSALS"}

    assert numbers(module) - documented == set()
    assert Config.__dataclass_fields__["refusals_per_minute"].default == door.REFUSALS


def test_every_setting_of_a_limit_can_be_set() -> None:
    assert {row[3] for row in ROWS if row[3]} <= {one.name for one in SETTINGS}
