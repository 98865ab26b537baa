"""The whole gateway, put together."""

import asyncio
from pathlib import Path

import pytest

from gateway import app
from gateway.errors import DiskFull
from tests.gateway.box import HOME, PORT, open_box
from tests.gateway.eventually import eventually
from wire.places import Place


async def test_a_gateway_on_an_empty_folder_answers_and_has_no_seat(tmp_path: Path) -> None:
    async with open_box(tmp_path / "box") as box:
        assert (await box.phones.get("/healthz")).status_code == 200
        assert await box.gateway.seat_count() == 0
        assert box.gateway.healthy()
        assert box.gateway.places() == (Place(HOME.address, PORT),)


async def test_the_owners_commands_are_not_on_the_phones_side(tmp_path: Path) -> None:
    async with open_box(tmp_path / "box") as box:
        for path in ("/status", "/seats", "/pair"):
            assert (await box.phones.get(path)).status_code == 404
            assert (await box.phones.post(path)).status_code == 404


async def test_nobody_waits_any_longer_when_the_gateway_ends(tmp_path: Path) -> None:
    async with open_box(tmp_path / "box") as box:
        id, _ = await box.show()
        looking = asyncio.create_task(box.gateway.desk.look(id, wait=25))
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert (await looking).stage.ended


async def test_the_rooms_are_swept_again_after_a_sweep_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps: list[object] = []

    async def failing(stores: object, waking: object) -> None:
        sweeps.append(stores)
        raise DiskFull

    monkeypatch.setattr(app, "SWEEP_EVERY", 0.001)
    monkeypatch.setattr(app, "sweep", failing)
    async with open_box(tmp_path / "box"):
        await eventually(lambda: len(sweeps) > 3)
