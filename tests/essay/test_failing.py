"""Rows fail when they should: each with a gateway or a phone that does what must not be done."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo.stage import Box
from peer.app import Reading
from tests.essay.ledger import ROWS, Ledger
from tests.essay.memory import MemoryUnreadable
from tests.essay.needles import canary
from tests.essay.phones import Pocket
from tests.essay.play import Played, play
from tests.essay.rows.peer_to_peer import overlap
from tests.essay.rows.zero_knowledge import documented, parsed_fields, stored_columns
from tests.essay.scene import Scene


async def _played(id: str) -> Played:
    return await play(ROWS[id], short=True, seed=1)


def _failed(played: Played) -> list[str]:
    return [one.what for one in played.measures if one.passed is False]


@pytest.mark.parametrize("place", ["disk", "memory", "log", "frames"])
async def test_a_gateway_that_keeps_words_of_letters_is_found_out(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [canary() for _ in range(40)]
    (tmp_path / "words").write_text("\n".join(words[:3]).replace("\n", " "))
    leaky = {"ESSAY_LEAK": str(tmp_path / "words"), "ESSAY_LEAK_TO": place}
    honest = Scene.gateway

    async def gateway(self: Scene, name: str = "a leaky box", **named: Any) -> Any:
        return await honest(self, name, module="tests.essay.hostile", environment=leaky)

    said: Iterator[str] = iter(words)
    monkeypatch.setattr("tests.essay.scene.canary", lambda: next(said))
    monkeypatch.setattr(Scene, "gateway", gateway)
    played = await _played("F12")

    assert not played.passed
    assert f"hits in {place}" in _failed(played)


async def test_a_phone_that_shows_what_it_cannot_open_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = Pocket.read

    async def read(self: Pocket) -> Reading:
        reading = await honest(self)
        altered = [replace(reading.letters[0], text="altered") for _ in reading.troubles]
        return replace(reading, letters=(*reading.letters, *altered))

    monkeypatch.setattr(Pocket, "read", read)

    assert "altered letters shown" in _failed(await _played("C1"))


async def test_a_phone_that_does_not_count_what_is_missing_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = Pocket.read

    async def read(self: Pocket) -> Reading:
        return replace(await honest(self), missing=())

    monkeypatch.setattr(Pocket, "read", read)

    assert _failed(await _played("C2")) == [
        "of those before the last that came, noticed",
        "moments at which the recipient did not know which were missing",
    ]


async def test_a_gateway_that_forgets_overnight_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = Box.stop

    async def stop(self: Box, *arguments: Any) -> int:
        status = await honest(self, *arguments)
        with closing(sqlite3.connect(self.data / "gateway.sqlite")) as store, store:
            store.execute("DELETE FROM parcel WHERE seq = 4")
        return status

    monkeypatch.setattr(Box, "stop", stop)

    assert "letters delivered a day later" in _failed(await _played("P1"))


async def test_a_column_that_is_not_documented_is_found_out(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store")) as store:
        store.execute("CREATE TABLE parcel (body BLOB, sender BLOB)")
    dictionary = "| column | what |\n|---|---|\n| `parcel.body` | sealed |\n"

    assert stored_columns(tmp_path / "store") - documented(dictionary, "column") == {
        "parcel.sender"
    }
    assert documented(dictionary, "field") == set()
    assert "Parcel.body" in parsed_fields()


async def test_memory_that_cannot_be_searched_fails_the_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(pid: int) -> Iterator[tuple[str, bytes]]:
        raise MemoryUnreadable(f"the memory of process {pid} cannot be read")

    monkeypatch.setattr("tests.essay.observer.dump", refuse)
    played = await _played("F12")

    assert not played.passed
    assert "cannot be read" in played.trouble


async def test_without_networks_of_its_own_a_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.essay.networks.missing", lambda: "not installed: nft")
    played = await _played("P7")
    told = {one.what: one.seen for one in played.measures if one.passed is None}

    assert played.passed, played
    assert "not installed: nft" in told["networks"]


def test_phones_that_are_on_together_are_found_out() -> None:
    assert overlap([(0.0, 2.0), (5.0, 6.0)], [(1.5, 3.0), (5.25, 5.5)]) == 0.75
    assert overlap([(0.0, 1.0)], [(1.0, 2.0)]) == 0.0


def test_a_row_in_which_nothing_was_measured_does_not_pass() -> None:
    ledger = Ledger()
    ledger.tell("weather", "fine")
    assert not ledger.passed
    ledger.equal("hits", 0, 0)
    assert ledger.passed
    ledger.equal("hits", 1, 0)
    assert not ledger.passed
