"""A shelf answers as a gateway does."""

from pathlib import Path

from bench.shelf import Returned, Shelf, filled


async def test_an_empty_shelf_has_no_newest() -> None:
    assert (await Shelf().archive()).newest is None
    assert await Shelf().segments(upto=1, down_to=1) == ()


def test_what_was_put_on_it_comes_back(tmp_path: Path) -> None:
    gone = filled(tmp_path / "old", count=20)
    new = Returned(tmp_path / "new", gone)

    assert not new.read_some()
    assert new.letters() == 20
    new.close()
