"""`homepost spare` says how the copies are."""

from pathlib import Path

from peer.commands.spare import spare_line
from tests.peer.commands.calling import called


def test_without_a_spare_one_is_told_how_to_get_one(tmp_path: Path) -> None:
    home = tmp_path / "phone"
    called(home, "new", "--name", "Ana")

    assert "spare add CODE" in called(home, "spare").out
    assert called(home, "spare", "list", "--json").last["spares"] == []
    assert called(home, "spare", "remove", "box.example", "--json").last["error"] == "bad-code"


def test_how_a_spare_is_said() -> None:
    spare = {"places": ["box:4433"], "copied": None, "segments": 0, "trouble": "", "share": True}

    assert spare_line(spare) == "box:4433: 0 segments of the archive, never brought up to date"
    assert spare_line({**spare, "share": False}).endswith(
        "friends alone cannot bring you back there"
    )
    assert "gateway-not-there" in spare_line({**spare, "trouble": "gateway-not-there"})
