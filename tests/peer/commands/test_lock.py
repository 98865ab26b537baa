"""`homepost lock` as a person and a program call it, on a terminal and without one."""

import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peer.cli import main
from tests.peer.locked import PIN, lock, readable
from tests.peer.rings import Ring, system_with

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the folder of Ana's phone, which is not sealed."""
    assert main(["--home", str(tmp_path / "phone"), "new", "--name", "Ana"]) == 0
    return tmp_path / "phone"


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Give what runs a command for a program; it returns the status and the last line."""

    def run(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        status = main(["--home", str(home), "--json", *map(str, arguments)])
        return status, json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


@pytest.fixture
def pin_file(tmp_path: Path) -> Path:
    path = tmp_path / "pin"
    path.write_text(f"{PIN}\n")
    return path


def test_the_lock_goes_on_with_a_pin_and_off_again(run: Run, home: Path, pin_file: Path) -> None:
    assert run("status")[1]["lock"] == "none"
    assert run("lock", "pin", "--new-pin-file", pin_file) == (
        0,
        {"event": "locked", "lock": "pin", "found_in": None},
    )
    assert readable(home) == []
    assert run("lock")[1]["lock"] == "pin"
    assert run("status", "--pin-file", pin_file)[1]["lock"] == "pin"
    assert run("lock", "off", "--pin-file", pin_file, "--yes") == (
        0,
        {"event": "unlocked", "lock": "none"},
    )
    assert run("status")[1]["lock"] == "none"
    assert run("lock", "off")[0] == 0


@pytest.mark.parametrize("arguments", [("status",), ("lock", "off"), ("lock", "pin"), ("read",)])
def test_without_its_pin_no_command_opens_it(
    run: Run, home: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    lock(home)
    (tmp_path / "wrong").write_text("correct house")

    status, said = run(*arguments)
    assert (status, said["error"]) == (1, "locked")
    status, said = run(*arguments, "--pin-file", tmp_path / "wrong")
    assert (status, said["error"]) == (1, "wrong-pin")
    status, said = run(*arguments, "--pin-file", tmp_path / "nowhere")
    assert (status, said["error"]) == (1, "no-such-file")


def test_the_pin_may_come_on_an_inherited_descriptor(home: Path) -> None:
    lock(home)
    reads, writes = os.pipe()
    os.write(writes, f"{PIN}\n".encode())
    os.close(writes)
    arguments = ["--home", str(home), "status", "--json", "--pin-file", f"/dev/fd/{reads}"]
    done = subprocess.run(
        [sys.executable, "-m", "peer.cli", *arguments],
        pass_fds=[reads],
        capture_output=True,
        check=True,
    )
    os.close(reads)

    assert json.loads(done.stdout)["lock"] == "pin"


def test_a_short_number_is_taken_and_called_short(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "short").write_text("123456")
    arguments = ["--home", str(home), "lock", "pin", "--new-pin-file", str(tmp_path / "short")]

    assert main(arguments) == 0
    assert "in 2 hours. A few words hold for good." in capsys.readouterr().out


def test_the_lock_goes_on_with_the_keyring(run: Run, home: Path) -> None:
    ring = Ring()
    with system_with(ring):
        assert run("lock")[1]["keyring"] == ring.name
        assert run("lock", "keyring")[1] == {
            "event": "locked",
            "lock": "keyring",
            "keyring": ring.name,
        }
        assert run("status")[1]["lock"] == "keyring"
    with system_with(Ring(priority=0)):
        status, said = run("status")

    assert (status, said["error"]) == (1, "keyring-away")
    assert readable(home) == []


def test_where_there_is_no_keyring_the_sentence_says_what_else(run: Run) -> None:
    with system_with(Ring(priority=0)):
        status, said = run("lock", "keyring")

    assert (status, said["error"]) == (1, "keyring-away")
    assert "take a PIN" in said["sentence"]


def test_a_phone_is_sealed_from_the_first(
    tmp_path: Path, pin_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path / "new"), "--pin-file", str(pin_file)]

    assert main([*home, "new", "--name", "\u200b", "--lock", "pin", "--json"]) == 1
    assert '"empty-name"' in capsys.readouterr().out
    assert main([*home, "new", "--name", "Ben", "--lock", "pin"]) == 0
    assert "sealed under your PIN" in capsys.readouterr().out
    assert readable(tmp_path / "new") == []
    assert main([*home, "status"]) == 0
    assert main([*home, "new", "--name", "Eve", "--lock", "pin", "--json"]) == 1
    assert '"person-exists"' in capsys.readouterr().out
    assert main([*home, "status"]) == 0


def test_where_it_is_not_sealed_the_phone_says_so(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--home", str(tmp_path / "other"), "new", "--name", "Ben"])
    assert "Whoever gets this disk can read them; seal them with:" in capsys.readouterr().out
    main(["--home", str(home), "status"])
    assert "Lock      off; whoever gets this disk can read all." in capsys.readouterr().out


def test_the_lock_stays_on_without_a_yes(run: Run, home: Path, pin_file: Path) -> None:
    lock(home)
    status, said = run("lock", "off", "--pin-file", pin_file)

    assert (status, said["error"]) == (1, "not-sure")
    assert readable(home) == []


# On a terminal


class Terminal:
    """A terminal with a command on it, which somebody looks at and types into."""

    def __init__(self, *arguments: str | Path, stdin: int | None = None) -> None:
        self._person, end = pty.openpty()
        self._shown = b""

        def on_terminal() -> None:
            fcntl.ioctl(end, termios.TIOCSCTTY, 0)

        self._process = subprocess.Popen(
            [sys.executable, "-m", "peer.cli", *map(str, arguments)],
            stdin=end if stdin is None else stdin,
            stdout=end,
            stderr=end,
            start_new_session=True,
            preexec_fn=on_terminal,  # one thread here
        )
        os.close(end)

    def until(self, text: str) -> None:
        """Wait until a text is shown."""
        while text.encode() not in self._shown:
            self._shown += os.read(self._person, 4096)

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._person, text.encode())

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and all that was shown."""
        while chunk := self._more():
            self._shown += chunk
        os.close(self._person)
        return self._process.wait(), self._shown.decode()

    def _more(self) -> bytes:
        try:
            return os.read(self._person, 4096)
        except OSError:  # the last end is closed
            return b""


@pytest.fixture
def quick(home: Path) -> Path:
    """Give Ana's phone under a PIN that is tried in no time."""
    lock(home)
    return home


def test_a_pin_is_typed_unseen(quick: Path) -> None:
    terminal = Terminal("--home", quick, "status")
    terminal.until("PIN: ")
    terminal.type(f"{PIN}\n")
    status, shown = terminal.end()

    assert status == 0
    assert "on; your PIN opens this phone" in shown
    assert PIN not in shown


def test_a_wrong_one_is_named(quick: Path) -> None:
    terminal = Terminal("--home", quick, "status")
    terminal.until("PIN: ")
    terminal.type("correct house\n")
    status, shown = terminal.end()

    assert status == 1
    assert "That is not the PIN of this phone" in shown
    assert "house" not in shown


def test_the_terminal_is_asked_though_the_letter_comes_on_standard_input(quick: Path) -> None:
    reads, writes = os.pipe()
    os.write(writes, b"hello\n")
    os.close(writes)
    terminal = Terminal("--home", quick, "send", "Ben", stdin=reads)
    os.close(reads)
    terminal.until("PIN: ")
    terminal.type(f"{PIN}\n")
    status, shown = terminal.end()

    assert status == 1
    assert "Ben" in shown  # whom she does not know


def test_a_new_pin_is_typed_twice_the_same(quick: Path) -> None:
    def change(once: str, again: str) -> tuple[int, str]:
        terminal = Terminal("--home", quick, "lock", "pin")
        terminal.until("PIN: ")
        terminal.type(f"{PIN}\n")
        terminal.until("New PIN: ")
        terminal.type(f"{once}\n")
        terminal.until("once more: ")
        terminal.type(f"{again}\n")
        return terminal.end()

    status, shown = change("battery staple", "battery stable")
    assert status == 1
    assert "two different PINs" in shown
    status, shown = change("battery staple", "battery staple")
    assert status == 0
    assert "staple" not in shown
    terminal = Terminal("--home", quick, "status")
    terminal.until("PIN: ")
    terminal.type("battery staple\n")
    assert terminal.end()[0] == 0
