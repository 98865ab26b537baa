"""Refusals and startup errors, as programs and people meet them."""

import re
from pathlib import Path

import pytest

import gateway.archive
import gateway.service  # noqa: F401  # with these every module that has a startup error is loaded
from gateway.control_client import ControlError, NotRunning
from gateway.errors import (
    AlreadyRunning,
    Busy,
    CardTaken,
    DamagedStore,
    ForeignFile,
    LaneRefused,
    MailboxFull,
    NewerSchema,
    Refusal,
    StartupError,
)

PATH = Path("/data/homepost.sqlite")


@pytest.mark.parametrize("refusal", Refusal.__subclasses__(), ids=lambda refusal: refusal.code)
def test_every_refusal_has_a_code_of_its_own_and_a_status(refusal: type[Refusal]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", refusal.code)
    assert 400 <= refusal.status < 600
    assert refusal.__doc__


def test_every_startup_error_has_a_code_that_scripts_are_told_of() -> None:
    readme = Path(__file__).parents[2] / "deploy" / "README.md"
    told = re.findall(r"^\| `([a-z-]+)` \|", readme.read_text(encoding="utf-8"), re.MULTILINE)
    codes = [error.code for error in StartupError.__subclasses__()]

    assert sorted(told) == sorted([*codes, ControlError.code, NotRunning.code])
    assert len(set(told)) == len(told)


def test_facts_are_what_the_other_side_can_act_on() -> None:
    assert Busy().facts() == {"retry_after": 2}
    assert MailboxFull().facts() == {"retry_after": 3600}
    assert CardTaken(epoch=1, seq=2).facts() == {"epoch": 1, "seq": 2}
    assert LaneRefused().facts() == {}


@pytest.mark.parametrize(
    "error",
    [
        AlreadyRunning(PATH.parent, pid=7),
        ForeignFile(PATH),
        NewerSchema(PATH, found=9, known=1),
        DamagedStore(PATH, reason="malformed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_startup_error_names_the_place_and_what_to_do(error: StartupError) -> None:
    text = str(error)

    assert "/data" in text
    assert re.search(r"Stop|Move|Install", text)
    assert text.endswith(".")
