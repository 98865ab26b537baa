"""What to type is said as it works from where somebody sits."""

import pytest

from peer.command import VARIABLE, command, program
from peer.errors import NoPerson, NotPaired


def test_the_installed_program_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)

    assert program() == "homepost"
    assert command("pair CODE") == "homepost pair CODE"


def test_whoever_started_us_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "./run phone --home ben")

    assert command("pair CODE") == "./run phone --home ben pair CODE"
    assert "type: ./run phone --home ben pair CODE" in str(NotPaired())
    assert "begin with: ./run phone --home ben new --name YOUR-NAME" in str(NoPerson())
