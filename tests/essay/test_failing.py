"""Rows fail when they should: each with a gateway or a phone that does what must not be done."""

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bench.household import Played as HouseholdPlayed
from demo.stage import Box, start
from peer.app import Reading
from tests.essay.ledger import ROWS, Ledger
from tests.essay.memory import MemoryUnreadable
from tests.essay.needles import canary
from tests.essay.phones import Pocket
from tests.essay.play import Played, play
from tests.essay.rows.peer_to_peer import overlap
from tests.essay.rows.zero_knowledge import documented, parsed_fields, stored_columns
from tests.essay.scene import Scene, Watched, scene


async def _played(id: str, *, a_few: int | None = None) -> Played:
    """Play a row in its short form, with no more than `a_few` of whatever it has many of."""
    with pytest.MonkeyPatch.context() as patch:
        if a_few is not None:
            patch.setattr(Scene, "many", lambda _self, _full, short: min(short, a_few))
        return await play(ROWS[id], short=True, seed=1)


def _start_instead(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rows start a gateway that means ill wherever they start one."""
    honest = Scene.gateway

    async def gateway(self: Scene, name: str = "a bad box", **named: Any) -> Any:
        wanted = {**(named.pop("environment", None) or {}), **environment}
        return await honest(self, name, module="tests.essay.hostile", environment=wanted, **named)

    monkeypatch.setattr(Scene, "gateway", gateway)


def _failed(played: Played) -> list[str]:
    return [one.what for one in played.measures if one.passed is False]


@pytest.mark.parametrize("place", ["disk", "memory", "log", "frames"])
async def test_a_gateway_that_keeps_words_of_letters_is_found_out(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [canary() for _ in range(40)]
    (tmp_path / "words").write_text("\n".join(words[:3]).replace("\n", " "))
    leaky = {"ESSAY_LEAK": str(tmp_path / "words"), "ESSAY_LEAK_TO": place}
    said: Iterator[str] = iter(words)
    monkeypatch.setattr("tests.essay.scene.canary", lambda: next(said))
    _start_instead(leaky, monkeypatch)
    played = await _played("F12")

    assert not played.passed
    assert f"hits in {place}" in _failed(played)


async def test_a_phone_that_shows_letters_as_the_gateway_hands_them_out_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("peer.letterbox._IN_ORDER", "ORDER BY number")
    failed = _failed(await _played("C3", a_few=40))

    assert "Cara: looks that showed letters turned round" in failed
    assert "Cara’s stream, hashed" in failed
    assert "Ben: looks that showed letters turned round" not in failed


async def test_a_phone_that_does_not_say_what_is_late_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("peer.letterbox._LATE", "0")
    failed = _failed(await _played("C3", a_few=40))

    assert failed == ["Cara: said to be late, of those shown after a later one"]


@pytest.mark.parametrize("row", ["C12", "C14"])
async def test_a_gateway_that_throws_away_what_it_says_is_stored_is_found_out(
    row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropping = {"ESSAY_DROP": "0.5", "ESSAY_SEED": "1", "ESSAY_DROPPED": str(tmp_path / "dropped")}
    _start_instead(dropping, monkeypatch)
    failed = _failed(await _played(row, a_few=3))

    assert "looks at which a letter said to be stored was missing" in failed


async def test_a_phone_that_seals_with_any_keys_it_is_given_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wire.prekeys.Bundle.verify", lambda _self: None)
    failed = _failed(await _played("C11"))

    assert "a letter for her waits, and it is said why" in failed


async def test_a_gateway_that_grows_in_a_day_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, files = count(start=0, step=5 << 20), count(start=20, step=3)
    monkeypatch.setattr("tests.essay.rows.lasting.memory", lambda _pid: next(sizes))
    monkeypatch.setattr("tests.essay.rows.lasting.descriptors", lambda _pid: next(files))
    monkeypatch.setattr("tests.essay.rows.lasting.HOURS", 12)

    assert _failed(await _played("F2")) == [
        f"day {day}: {what}, in the morning and at night"
        for day in (1, 2)
        for what in ("memory", "open files")
    ]


async def test_a_gateway_that_is_too_slow_or_loses_posts_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = HouseholdPlayed(
        posts=100,
        stored=99,
        refused={"507": 1},
        collected=0,
        bytes_in=100_000,
        p50=0.1,
        p95=0.6,
        p99=0.7,
        seconds=10.0,
        day_share=0.01,
        cpu=1.0,
        written=1 << 20,
        peak_memory=600 << 20,
        others=0.0,
    )

    async def play(*_: Any, **__: Any) -> HouseholdPlayed:
        return slow

    async def furnish(*_: Any) -> None:
        pass

    monkeypatch.setattr("tests.essay.rows.lasting.play", play)
    monkeypatch.setattr("tests.essay.rows.lasting.furnish", furnish)

    assert _failed(await _played("C4")) == [
        "stored",
        "refused",
        "95 of 100 stored within 500 ms",
        "the most memory that it took",
    ]


async def test_a_gateway_that_tells_its_owner_more_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [canary() for _ in range(60)]
    (tmp_path / "words").write_text(" ".join(words[5:8]))
    leaky = {"ESSAY_LEAK": str(tmp_path / "words"), "ESSAY_LEAK_TO": "status"}
    said: Iterator[str] = iter(words)
    for place in ("scene", "rows.federated"):
        monkeypatch.setattr(f"tests.essay.{place}.canary", lambda: next(said))
    _start_instead(leaky, monkeypatch)
    failed = _failed(await _played("F1"))

    assert failed[:2] == ["of them not in the leak table", "secrets in what the tools said"]


async def test_a_gateway_that_does_not_sleep_and_a_phone_that_stays_are_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _start_instead({"ESSAY_RESTLESS": "20"}, monkeypatch)
    with ExitStack() as open_sockets:

        async def nobody_hangs_up(box: Watched) -> float:
            open_sockets.enter_context(socket.create_connection(("127.0.0.1", box.box.port)))
            return 0.0

        monkeypatch.setattr("tests.essay.rows.peer_to_peer._until_closed", nobody_hangs_up)
        failed = _failed(await _played("P8", a_few=3))

    assert failed == [
        "connections open at the gateway meanwhile, at most",
        "times that its process wakes in a minute, at most 120",
    ]


async def test_a_process_that_a_row_left_behind_ends_with_it() -> None:
    async with scene(Ledger(), short=True, seed=1) as stage:
        left = stage.until_end(await start("a phone", "timeit", "-n", "1", "input()"))
        assert left.running

    assert not left.running


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
