"""The command line: settings, and commands to a gateway in another process."""

import io
import json
from pathlib import Path

import pytest

from gateway.cli import main
from tests.gateway.processes import Process, pair_phone, started
from tests.gateway.processes import run as command

NOT_RUNNING = "No gateway is running on"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command; return status, output and complaints."""
    status = main(words)
    written = capsys.readouterr()
    return status, written.out, written.err


def test_settings_that_are_right_are_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("port = 5000\n")
    status, out, _ = run(capsys, "config", "check", "--data", str(tmp_path))

    assert status == 0
    assert f"Everything is right. Read: file {file}, flag --data." in out


def test_a_misspelt_setting_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gateway.toml").write_text("prot = 5\n")
    status, _, err = run(capsys, "config", "check", "--data", str(tmp_path))

    assert status == 1
    assert "Did you mean port?" in err


def test_a_misspelt_setting_is_named_to_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gateway.toml").write_text("prot = 5\n")
    status, out, _ = run(capsys, "config", "check", "--json", "--data", str(tmp_path))

    assert status == 1
    assert "Did you mean port?" in json.loads(out)["sentence"]


def test_every_setting_is_shown_with_its_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEPOST_LOG_LEVEL", "debug")
    _, out, _ = run(capsys, "config", "show", "--data", str(tmp_path), "--port", "5000")
    rows = {line.split()[0]: line for line in out.splitlines()}

    assert rows["port"].endswith("flag --port")
    assert rows["log_level"].endswith("environment variable HOMEPOST_LOG_LEVEL")
    assert rows["seat_limit"].endswith("default")


def test_settings_may_stand_before_the_command_or_after_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data", str(tmp_path), "--json"]
    before = run(capsys, *where, "config", "show")
    after = run(capsys, "config", "show", *where)

    assert before == after
    assert json.loads(before[1])["data"] == {"value": str(tmp_path), "origin": "flag --data"}


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("pair",),
        ("seats", "list"),
        ("seats", "remove", "x"),
        ("seats", "quota", "x", "1"),
    ],
)
def test_without_a_gateway_every_command_says_how_to_start_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    status, out, err = run(capsys, *words, "--data", str(tmp_path))
    assert (status, out) == (1, "")
    assert err.startswith(f"homepost-gateway: {NOT_RUNNING} {tmp_path}. Start it with")

    status, out, err = run(capsys, *words, "--data", str(tmp_path), "--json")
    assert (status, err) == (1, "")
    assert json.loads(out)["error"] == "not-running"
    assert json.loads(out)["sentence"].startswith(NOT_RUNNING)


@pytest.mark.parametrize(
    "words", [(), ("sevre",), ("seats",), ("seats", "quota", "x"), ("--what",)]
)
def test_wrong_usage_ends_with_2(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 2


def test_a_misspelt_flag_is_named_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("serve", "--prot", "5"), ("--prot=5", "serve")):
        with pytest.raises(SystemExit) as ended:
            main(words)

        assert ended.value.code == 2
        assert "Did you mean --port?" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "601"])
def test_a_code_is_open_for_ten_minutes_at_most(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seconds: str
) -> None:
    status, _, err = run(capsys, "pair", "--seconds", seconds, "--data", str(tmp_path))

    assert status == 2
    assert "1 to 600" in err


async def test_commands_reach_a_gateway_in_another_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(tmp_path) as gateway:
        await the_owners_day(gateway, capsys, monkeypatch)


async def the_owners_day(
    gateway: Process, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look, give room, remove: each command as a person and as a program uses it."""
    nobody = await gateway.command("seats", "list")
    assert "Nobody has a seat here yet. Pair a phone: homepost-gateway pair" in nobody.out
    await pair_phone(gateway)

    status = await gateway.command("status")
    assert "Seats    1" in status.out
    assert f"127.0.0.1:{gateway.port}" in status.out
    [seat] = (await gateway.json("seats", "list"))["seats"]
    name = seat["seat"][:8]
    assert name in (await gateway.command("seats", "list")).out

    assert "1.5 GiB now" in (await gateway.command("seats", "quota", name, "1.5 GiB")).out
    assert (await gateway.json("seats", "list"))["seats"][0]["limit_bytes"] == 3 << 29
    wrong = await gateway.command("seats", "quota", name, "much")
    assert (wrong.status, "such as 500 MiB" in wrong.err) == (1, True)
    missing = await gateway.command("seats", "quota", "zzzz", "1 GiB")
    assert "No seat begins with 'zzzz'" in missing.err

    asked = await gateway.command("seats", "remove", name)
    assert (asked.status, "Nothing was removed" in asked.err) == (1, True)
    refused = await gateway.command("seats", "remove", name, stdin="n\n")
    assert refused.status == 1
    assert (await gateway.json("seats", "remove", name, "--yes")) == {"removed": seat["seat"]}
    assert (await gateway.json("seats", "list")) == {"seats": []}


def test_a_reader_that_has_seen_enough_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shut(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def fileno(self) -> int:
            return 2**20  # nobody's: dup2 onto it fails unless it is handled

    monkeypatch.setattr("sys.stdout", Shut())
    monkeypatch.setattr("os.dup2", lambda one, other: other)

    assert main(["config", "show", "--data", str(tmp_path)]) == 1


async def test_a_backup_is_made_checked_and_put_back_as_people_do_it(tmp_path: Path) -> None:
    async with started(tmp_path) as gateway:
        await pair_phone(gateway)
        made = await gateway.command("backup", str(tmp_path / "box"))
        again = await gateway.command("backup", str(tmp_path / "box"))
        short = await gateway.command("backup", "other", "--passphrase", stdin="too short\n")
    secret = next(line.strip() for line in made.out.splitlines() if line.startswith("    "))
    assert (made.status, "Wrote" in made.out, "shown this once" in made.out) == (0, True, True)
    assert (again.status, "is there already" in again.err) == (1, True)
    assert (short.status, "12 characters" in short.err) == (1, True)

    elsewhere = ["--data", str(tmp_path / "elsewhere")]
    verified = await command("restore", str(tmp_path / "box"), "--verify", stdin=f"{secret}\n")
    wrong = await command("restore", str(tmp_path / "box"), *elsewhere, stdin="wrong\n")
    nothing = await command("restore", str(tmp_path / "box"), *elsewhere, stdin="")
    restored = await command(
        "restore", str(tmp_path / "box"), *elsewhere, stdin=f"{secret.lower()}\n"
    )

    assert "It is whole and opens with this secret." in verified.out
    assert (wrong.status, "does not open with this secret" in wrong.err) == (1, True)
    assert (nothing.status, "There is no secret" in nothing.err) == (1, True)
    assert "pair every phone again: homepost-gateway pair --data" in restored.out
    (tmp_path / "data").rename(tmp_path / "old")
    (tmp_path / "elsewhere").rename(tmp_path / "data")
    async with started(tmp_path) as gateway:
        status = await gateway.command("status")
        assert "1 device must be paired again, since this was restored" in status.out


async def test_a_backup_is_made_and_checked_as_programs_do_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a passphrase of mine\n")
    (tmp_path / "empty").write_text("\n")
    sealed = ["--secret-file", str(tmp_path / "secret")]
    async with started(tmp_path) as gateway:
        made = await gateway.json("backup", str(tmp_path / "box"), *sealed)
        typed = await gateway.command(
            "backup", str(tmp_path / "typed"), "--passphrase", stdin="a passphrase of mine\n"
        )
    assert made == {
        "file": str(tmp_path / "box"),
        "bytes": (tmp_path / "box").stat().st_size,
        "seats": 0,
        "parcels": 0,
    }
    assert typed.status == 0

    for name in ("box", "typed"):
        done = await command("restore", str(tmp_path / name), "--verify", "--json", *sealed)
        assert json.loads(done.out)["verified"] is True
    for missing in ("none", "empty"):
        done = await command(
            "restore", str(tmp_path / "box"), "--secret-file", str(tmp_path / missing)
        )
        assert (done.status, str(tmp_path / missing) in done.err) == (1, True)
