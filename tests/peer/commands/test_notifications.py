"""`homepost notifications` as a person types it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from peer.commands.notifications import (
    NotUnderstood,
    local_zone,
    minute_of,
    reach_lines,
    seconds_of,
    why_line,
)
from peer.ways.notifying import Reason
from tests.peer.commands.calling import Said, called
from tests.peer.household import Box, Phone, befriend
from tests.peer.test_cli import Town
from wire.lanes import LaneClass
from wire.pushes import Hours, Reach


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
    """Give the folder of Anna's phone, whose box wakes phones; she knows Ben."""

    async def made() -> Path:
        box: Box = await town.house.box(web_push="mailto:anna@example.org")
        phones: list[Phone] = [await town.house.phone(one, box) for one in ("Anna", "Ben")]
        await befriend(*phones)
        await phones[0].close()
        return phones[0].home

    return town.do(made())


def typed(home: Path, *words: str) -> Said:
    """Type a command of the group, for a program."""
    return called(home, "notifications", *words, "--json")


def test_what_may_ring_is_shown_and_set(home: Path) -> None:
    before = typed(home).last
    assert (before["path"], before["quiet"], before["digests"]) == ("connection", None, [])
    assert {"name": "Ben", "kind": "letters", "rule": "always", "here": None} in before["rules"]

    assert typed(home, "rule", "Ben", "digest").last["gateway_knows"] is True
    assert typed(home, "rule", "Ben", "never", "--here").status == 0
    assert typed(home, "rule", "Ben", "day", "--kind", "posts").status == 0
    after = typed(home, "show").last["rules"]

    assert after == [
        {"name": "Ben", "kind": "letters", "rule": "digest", "here": "never"},
        {"name": "Ben", "kind": "posts", "rule": "day", "here": None},
    ]
    assert typed(home, "rule", "Ben", "same", "--here").status == 0
    assert typed(home).last["rules"][0]["here"] is None
    shown = called(home, "notifications").out
    assert "Ben, letters: digest" in shown
    assert "No push service is registered" in shown


def test_hours_are_set_as_they_are_said(home: Path) -> None:
    quiet = typed(home, "quiet", "22:00", "7:00", "--zone", "Europe/Berlin").last
    assert (quiet["zone"], quiet["quiet"]) == ("Europe/Berlin", ["22:00", "07:00"])
    digest = typed(home, "digest", "18:00", "08:00", "--zone", "Europe/Berlin").last
    assert digest["digests"] == ["08:00", "18:00"]
    until = typed(home, "snooze", "2h").last["snooze_until"]
    assert abs(until - time.time() - 7200) < 60
    shown = called(home, "notifications").out
    assert "Quiet from 22:00 to 07:00 (Europe/Berlin)" in shown
    assert "Digest at 08:00, 18:00" in shown
    assert "Snoozed until" in shown

    assert typed(home, "quiet", "off").last["quiet"] is None
    assert typed(home, "digest", "off").last["digests"] == []
    assert typed(home, "snooze", "off").last["snooze_until"] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("quiet", "22:00"),
        ("quiet", "off", "07:00"),
        ("quiet", "25:00", "07:00"),
        ("digest", "noon"),
        ("snooze", "forever"),
        ("rule", "Ben", "same"),
        ("register", "https://push.example.net/x", "AA", "AA"),
        ("confirm", "AA"),
    ],
)
def test_what_cannot_be_meant_is_not_understood(home: Path, words: tuple[str, ...]) -> None:
    said = typed(home, *words)

    assert (said.status, said.last["error"]) == (1, "not-understood")


def test_refusals_of_the_box_are_sentences(home: Path) -> None:
    key = "B" + "A" * 86
    local = typed(home, "register", "https://192.168.1.1/x", _point(), "A" * 22)
    assert (local.status, local.last["error"]) == (1, "gateway-refused")
    assert "push_servers" in local.last["sentence"]
    assert typed(home, "register", "https://push.example.net/x", key, "A" * 22).status == 1
    assert "not what came" in typed(home, "confirm", "A" * 22).last["sentence"]
    assert typed(home, "unregister").status == 0
    assert typed(home, "why").last["reasons"] == []


def _point() -> str:
    return "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"


def test_times_and_spans() -> None:
    assert (minute_of("7:05"), minute_of("23:59")) == (425, 1439)
    assert [seconds_of(one) for one in ("30m", "2h", "1d")] == [1800, 7200, 86_400]
    for text in ("", "24:00", "7", "-1:00", "٧:00"):
        with pytest.raises(NotUnderstood):
            minute_of(text)
    for text in ("", "2", "h", "2w", "-2h"):
        with pytest.raises(NotUnderstood):
            seconds_of(text)


def test_the_time_zone_is_that_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert local_zone() == "Europe/Berlin"
    monkeypatch.setenv("TZ", ":/etc/localtime")
    assert local_zone()
    monkeypatch.delenv("TZ")
    assert local_zone()


def test_a_box_that_pushes_to_nobody_and_a_word_of_a_newer_one_are_shown() -> None:
    off = Reach(b"", 0, waits=False, hours=Hours())
    assert reach_lines(off, now=0.0)[0].startswith("Your box pushes to nobody")
    waits = Reach(b"k" * 65, 1, waits=True, hours=Hours())
    assert "waits to be confirmed" in reach_lines(waits, now=0.0)[1]
    line = why_line(Reason(0, "new-word\x1b[2J", "Ben", LaneClass.ORDINARY, 14))
    assert "14 × posts of Ben: new-word" in line
    assert "\x1b" not in line
    assert "3 × parcels: rang" in why_line(Reason(0, "woke", None, None, 3))
