"""`homepost device`, as a person or a program calls it."""

import asyncio
import json
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.peer.commands.calling import called
from tests.peer.household import PATIENCE, Household, household
from wire.codes import ContactCode, DeviceCode, ShownBy
from wire.ids import PersonId, SlotId
from wire.places import Place

DEVICE_CODE = DeviceCode(
    ShownBy.NEW, bytes(16), SlotId(bytes(16)), 4_000_000_000, bytes(16), Place("192.0.2.7")
)
CONTACT_CODE = ContactCode(
    PersonId(bytes(32)), bytes(16), SlotId(bytes(16)), 4_000_000_000, bytes(16), Place("192.0.2.7")
)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household that goes by the machine's clock, as commands do."""
    async with household(tmp_path) as house:
        house.hands.wall = time.time()
        yield house


async def begun(home: Path, *arguments: str) -> Process:
    """Start a command for programs, in a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "peer.cli", "--json", "--home", str(home), *arguments,
        stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
    )  # fmt: skip


async def said(process: Process, event: str) -> dict[str, Any]:
    """Wait for a line of a command."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while line := await process.stdout.readline():
            found: dict[str, Any] = json.loads(line)
            assert found["event"] in (event, "offer", "question", "code"), found
            if found["event"] == event:
                return found
    raise AssertionError(f"it ended without {event}")


async def answer(process: Process, text: str) -> None:
    """Type a line into a command."""
    assert process.stdin is not None
    process.stdin.write(text.encode() + b"\n")
    await process.stdin.drain()


async def paired(house: Household) -> tuple[Path, str]:
    """Return the folder of a paired phone, which is closed, and where its box is."""
    ana = await house.phone("Ana", await house.box())
    place = ana.peer.me.needs_home().places[0]
    await ana.close()
    return ana.home, str(place)


async def test_a_program_adds_a_device_and_types_the_digits(
    house: Household, tmp_path: Path
) -> None:
    (ana, _), new = await paired(house), tmp_path / "new"
    adding = await begun(ana, "device", "add", "--without-kit", "--name", "kitchen")
    code = (await said(adding, "code"))["code"]
    joining = await begun(new, "device", "join", code, "--role", "tablet")
    digits = (await said(joining, "digits"))["digits"]
    offer = await said(adding, "offer")
    assert (offer["role"], offer["tries"]) == ("tablet", 3)
    await answer(adding, json.dumps({"answer": digits}))

    assert (await said(adding, "device-added"))["name"] == "kitchen"
    assert (await said(joining, "joined"))["name"] == "Ana"
    assert [await one.wait() for one in (adding, joining)] == [0, 0]
    listing = await begun(new, "device", "list")
    first, second = (await said(listing, "devices"))["devices"]
    assert (first["name"], first["role"], first["this"]) == ("kitchen", "tablet", True)
    assert (second["role"], second["this"]) == ("computer", False)
    assert await listing.wait() == 0


async def test_az_06_a_program_that_answers_nothing_has_said_no(
    house: Household, tmp_path: Path
) -> None:
    """AZ-06: the code of a new device is read, and nobody types its digits."""
    (ana, place), new = await paired(house), tmp_path / "new"
    joining = await begun(new, "device", "join", "--at", place)
    code = (await said(joining, "code"))["code"]
    adding = await begun(ana, "device", "add", code, "--without-kit")
    await said(joining, "digits")
    assert adding.stdin is not None
    adding.stdin.close()

    assert (await said(adding, "trouble"))["error"] == "not-the-same"
    assert (await said(joining, "trouble"))["error"] == "not-the-same"
    assert [await one.wait() for one in (adding, joining)] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("add", DEVICE_CODE.text()), "the code of a further device"),
        (("device", "add", "--without-kit", CONTACT_CODE.text()), "the code of a person"),
        (("device", "join", CONTACT_CODE.text()), "the code of a person"),
        (("pair", DEVICE_CODE.text()), "the code of a further device"),
    ],
    ids=["add", "device add", "device join", "pair"],
)
def test_az_06_a_code_of_another_kind_is_refused_and_named(
    tmp_path: Path, arguments: tuple[str, ...], found: str
) -> None:
    """AZ-06: each screen reads its own kind of code, and says which one this is."""
    if arguments[1] != "join":
        assert called(tmp_path, "new", "--name", "Ana").status == 0

    answered = called(tmp_path, "--json", *arguments)

    assert (answered.status, answered.last["error"]) == (1, "bad-code")
    assert found in answered.last["sentence"]


def test_a_device_is_renamed_and_the_kit_comes_first(tmp_path: Path) -> None:
    called(tmp_path, "new", "--name", "Ana")
    [own] = called(tmp_path, "--json", "device", "list").last["devices"]

    assert called(tmp_path, "device", "rename", own["name"], "desk").status == 0
    assert "desk  (computer, this one)" in called(tmp_path, "device").out
    unknown = called(tmp_path, "--json", "device", "rename", "attic", "cellar")
    assert unknown.last["error"] == "no-such-device"
    refused = called(tmp_path, "--json", "device", "add")
    assert refused.last["error"] == "kit-first"
    assert "--without-kit" in refused.last["sentence"]
    assert called(tmp_path, "--json", "device", "join").last["error"] == "person-exists"
    nowhere = called(tmp_path / "new", "--json", "device", "join")
    assert nowhere.last["error"] == "bad-code"
