"""Packages are unpacked once into a folder, and nothing of the machine changes."""

from pathlib import Path

import pytest

from bench.absent import Absent
from bench.peers.debian import Unpacked, unpack


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tools of ours in place of those that fetch and unpack; they note that they were called."""
    folder = tmp_path / "tools"
    folder.mkdir()
    calls = tmp_path / "calls"
    fetch = f'#!/bin/sh\necho "$@" >>{calls}\n[ "$3" = missing ] && exit 100\n: >one.deb\n'
    unpacks = '#!/bin/sh\nmkdir -p "$3/usr/bin" "$3/usr/lib/here"\n: >"$3/usr/lib/here/libx.so.1"\n'
    for name, script in (("apt-get", fetch), ("dpkg", unpacks)):
        (folder / name).write_text(script, encoding="utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return calls


def test_packages_are_fetched_once(tools: Path, tmp_path: Path) -> None:
    first = unpack(["peer", "library"], tmp_path / "peer")
    again = unpack(["peer", "library"], tmp_path / "peer")

    assert first == again == Unpacked(tmp_path / "peer")
    assert tools.read_text(encoding="utf-8") == "download -qq peer library\n"
    assert first.program("server") == tmp_path / "peer/usr/bin/server"
    assert first.environment == {"LD_LIBRARY_PATH": str(tmp_path / "peer/usr/lib/here")}


def test_what_cannot_be_fetched_is_absent(tools: Path, tmp_path: Path) -> None:
    with pytest.raises(Absent, match="apt-get download failed"):
        unpack(["missing"], tmp_path / "peer")

    assert tools.exists()
    assert not (tmp_path / "peer" / "done").exists()


def test_without_the_tools_it_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Absent, match="apt-get is not installed"):
        unpack(["peer"], tmp_path / "peer")
