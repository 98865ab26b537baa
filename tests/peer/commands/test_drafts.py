"""`homepost draft` as a person types it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peer.commands.calling import Said, called
from tests.peer.household import Phone, befriend
from tests.peer.test_cli import Town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    made.begin()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def home(town: Town) -> Path:
    """Give the folder of Ana's phone; she knows Ben."""

    async def made() -> Path:
        box = await town.house.box()
        phones: list[Phone] = [await town.house.phone(one, box) for one in ("Ana", "Ben")]
        await befriend(*phones)
        await phones[0].close()
        return phones[0].home

    return town.do(made())


def drafts(home: Path, *words: str) -> Said:
    return called(home, "draft", *words, "--json")


def test_a_draft_is_kept_shown_and_dropped(home: Path) -> None:
    assert drafts(home, "Ben").last["drafts"] == []
    kept = drafts(home, "Ben", "Dear Ben").last
    assert kept["drafts"] == [{"text": "Dear Ben", "here": True}]
    assert drafts(home, "Ben").last["drafts"] == kept["drafts"]
    assert drafts(home, "Ben", "--drop").last["drafts"] == []


def test_a_draft_is_said_in_words(home: Path) -> None:
    assert "Nothing is begun." in called(home, "draft", "Ben").out
    assert "Begun: Dear Ben" in called(home, "draft", "Ben", "Dear Ben").out


def test_a_draft_for_nobody_is_refused(home: Path) -> None:
    said = drafts(home, "Zoe", "hello")

    assert said.status == 1
    assert said.last["error"] == "no-such-contact"
