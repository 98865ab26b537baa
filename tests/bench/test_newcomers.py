"""Phones come to a real gateway: a further one is let in, and one comes back and reads all."""

from pathlib import Path

import pytest

from bench.box import open_box
from bench.newcomers import ADDED, add, back, begin, destroyed, main, newcomer_figures
from bench.processes import Processors
from bench.shelf import NOW
from bench.targets import NEWCOMERS, Verdict, judge
from peer.app import open_peer
from peer.store import open_store


async def test_a_device_is_let_in_by_the_digits_that_it_shows(tmp_path: Path) -> None:
    async with open_box(tmp_path / "box") as box, open_peer(tmp_path / "a", create=True) as old:
        await box.start()
        await begin(old, box.data)
        taken = await add(old, tmp_path / "b")

        assert [one.name for one in old.devices if not one.this] == ["tablet"]
        assert taken.cpu > 0
        assert taken.seconds > 0


async def test_a_destroyed_phone_leaves_the_kit_and_all_letters_come_back(tmp_path: Path) -> None:
    async with open_box(tmp_path / "box") as box:
        await box.start()
        kit = await destroyed(tmp_path / "old", box.data, count=2500)
        found = await back(tmp_path / "new", kit, count=2500)

        assert not (tmp_path / "old").exists()
        assert 0 < found["kit.seated"] <= found["kit.first"] < found["kit.all"]


async def test_the_newest_letter_is_there_before_the_oldest(tmp_path: Path) -> None:
    async with open_box(tmp_path / "box") as box:
        await box.start()
        kit = await destroyed(tmp_path / "old", box.data, count=8000)
        async with open_peer(tmp_path / "new", create=True) as new:
            await new.come_back(kit, name="Ana")
    store = open_store(tmp_path / "new")

    assert store is not None
    newest, oldest = store.db.execute("SELECT max(written), min(written) FROM letter").fetchone()
    store.close()
    assert newest == NOW + 7999
    assert oldest > NOW


async def test_letters_that_did_not_come_back_end_the_measurement(tmp_path: Path) -> None:
    async with open_box(tmp_path / "box") as box:
        await box.start()
        kit = await destroyed(tmp_path / "old", box.data, count=3)

        with pytest.raises(RuntimeError, match="3 of 4 letters"):
            await back(tmp_path / "new", kit, count=4)


async def test_what_is_measured_in_a_process_of_its_own_fills_the_rows(tmp_path: Path) -> None:
    async with open_box(tmp_path / "box") as box:
        await box.start()
        found = newcomer_figures(
            tmp_path / "phones", box.data, count=5, processor=Processors.here().load
        )
    figures = {f"disk.newcomers.small.{name}": value for name, value in found.items()}
    *small, large = NEWCOMERS

    assert all(None not in judge(row, figures, column="disk").values for row in small)
    assert judge(large, figures, column="disk").verdict is Verdict.NOT_MEASURED
    assert ADDED % 2 == 1


def test_without_its_arguments_it_says_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "FOLDER DATA COUNT" in capsys.readouterr().out
