"""The commands of the README work for somebody who has only this folder.

Most of it runs in a copy of what git knows, in a path with a space, with an empty home folder: what
was forgotten to be committed is missing here too. The first start is made once, for real.
"""

import hashlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from gateway.config import SETTINGS, load_config

ROOT: Final = Path(__file__).parent.parent
UNIT: Final = ROOT / "deploy" / "homepost-gateway.service"
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
KEPT: Final = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_")
"""Variables that say how this machine reaches the package index; a copy gets no others."""
FETCHED: Final = 900
"""Seconds for what fetches packages: minutes on a slow network, or where the machine is busy."""
PYTHONS: Final = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")
"""The names by which ./run looks for an interpreter."""

pytestmark = pytest.mark.timeout(FETCHED)


@dataclass
class Copy:
    """The project as git knows it, somewhere else, and a home folder with nothing in it."""

    folder: Path
    home: Path
    path: str = os.defpath
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a command of this copy sees."""
        network = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
        return {**network, "PATH": self.path, "HOME": str(self.home), **self.extra}

    def run(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run `./run` from another folder than its own."""
        return subprocess.run(
            [self.folder / "run", *arguments],
            cwd=self.home,
            env={**self.environment, **extra},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def with_program(self, name: str, script: str) -> None:
        """Put a program of ours before those of the system."""
        folder = self.home.parent / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        self.path = f"{folder}:{os.defpath}"


def copy_to(folder: Path) -> Copy:
    """Copy what git knows of the project to a folder of this name with a space in it."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    place = folder / "my box"
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    home = folder / "home"
    home.mkdir()
    return Copy(place, home)


@pytest.fixture
def bare(tmp_path: Path) -> Copy:
    """A copy in which nothing was set up."""
    return copy_to(tmp_path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy in which everything was set up, from the package index, without a word of pip."""
    copy = copy_to(tmp_path_factory.mktemp("ground"))
    first = copy.run("setup")
    assert (first.returncode, first.stdout) == (0, ""), first.stderr
    assert [line.split()[0] for line in first.stderr.splitlines()] == ["Making", "Installing"]
    return copy


# Before anything is set up


def test_help_sets_up_nothing(bare: Copy) -> None:
    result = bare.run("--help")

    assert result.returncode == 0
    assert "./run demo" in result.stdout
    assert not (bare.folder / ".venv").exists()


def test_a_word_that_is_not_known_is_wrong_usage(bare: Copy) -> None:
    result = bare.run("sevre")

    assert result.returncode == 2
    assert '"./run sevre" is not known' in result.stderr
    assert not (bare.folder / ".venv").exists()


def without_venv(copy: Copy, *, user: int) -> None:
    """Make the copy see a Debian without python3-venv, as the user with this number."""
    python = shutil.which("python3", path=os.defpath)
    for name in PYTHONS:
        copy.with_program(
            name, f'case "$*" in *ensurepip*) exit 1 ;; esac\nexec {python} "$@"'
        )  # fmt: skip
    copy.with_program("id", f"echo {user}")


def test_without_venv_a_plain_user_is_told_the_one_apt_line(bare: Copy) -> None:
    without_venv(bare, user=1000)
    bare.with_program("apt-get", "exit 9")

    result = bare.run()

    assert result.returncode == 1
    assert "    sudo apt install python3-venv\n" in result.stderr
    assert "pip" not in result.stderr
    assert not (bare.folder / ".venv").exists()


def test_without_venv_root_installs_it_with_apt(bare: Copy) -> None:
    without_venv(bare, user=0)
    told = bare.home / "apt"
    programs = bare.home.parent / "bin"
    bare.with_program("apt-get", f'echo "$*" >>{told}; rm -f {programs}/python3*')

    result = bare.run("setup", PIP_INDEX_URL="http://127.0.0.1:9/", **OFFLINE)

    assert told.read_text() == "install -y --no-install-recommends python3-venv\n"
    assert "Making .venv/" in result.stderr


def test_a_failing_apt_is_reported_with_its_last_words(bare: Copy) -> None:
    without_venv(bare, user=0)
    bare.with_program("apt-get", "echo E: Unable to locate package >&2; exit 100")

    result = bare.run()

    assert result.returncode == 1
    assert "apt could not install python3-venv: E: Unable to locate package" in result.stderr


def test_an_old_python_is_named(bare: Copy) -> None:
    for name in PYTHONS:
        bare.with_program(name, "echo Python 3.9.2")

    result = bare.run()

    assert result.returncode == 1
    assert "needs Python 3.11 or newer, and here is 3.9" in result.stderr


OFFLINE: Final = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_RETRIES": "0"}
"""With an address at which nobody answers: a machine without a network."""


def test_without_a_network_the_first_start_says_so(bare: Copy) -> None:
    result = bare.run(PIP_INDEX_URL="http://127.0.0.1:9/", **OFFLINE)

    assert result.returncode == 1
    assert "could not be fetched" in result.stderr
    assert "Check the network and start again" in result.stderr
    assert len(result.stderr.splitlines()) == 3  # no noise of pip
    assert not (bare.folder / ".venv" / "installed").exists()


# The first start, and those after it


def test_the_empty_home_stays_empty(ready: Copy) -> None:
    assert [path.name for path in ready.home.iterdir() if path.name != ".cache"] == []


def test_the_base_install_is_the_gateway_alone(ready: Copy) -> None:
    installed = {path.name for path in (ready.folder / ".venv").glob("lib/*/site-packages/*")}

    assert {"quart", "hypercorn", "nacl"} <= installed
    assert not {"aiohttp", "doubleratchet", "zxingcpp", "pyfcm", "zeroconf", "pytest"} & installed


def test_a_second_start_needs_neither_pip_nor_a_network(ready: Copy) -> None:
    pip = next((ready.folder / ".venv").glob("lib/*/site-packages/pip"))
    pip.rename(pip.with_name("pip-is-away"))
    try:
        result = ready.run("config", "check", "--data", str(ready.home))
    finally:
        pip.with_name("pip-is-away").rename(pip)

    assert (result.returncode, result.stderr) == (0, "")
    assert "Everything is right" in result.stdout


def test_a_start_works_without_a_home_and_through_a_link(ready: Copy, tmp_path: Path) -> None:
    (tmp_path / "homepost").symlink_to(ready.folder / "run")
    environment = {name: value for name, value in ready.environment.items() if name != "HOME"}

    result = subprocess.run(
        [tmp_path / "homepost", "config", "check"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stderr) == (0, "")


def test_the_gateway_starts_answers_and_ends_when_told(ready: Copy, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "told"))
        told.settimeout(60)
        gateway = subprocess.Popen(
            [ready.folder / "run", "--data", tmp_path / "data", "--port", "0"],
            env={**ready.environment, "NOTIFY_SOCKET": str(tmp_path / "told")},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            first = told.recv(100)
        finally:
            gateway.send_signal(signal.SIGTERM)
            log = gateway.communicate()[1]

    assert (first, gateway.returncode) == (b"READY=1", 0), log
    assert "Traceback" not in log
    assert f"'{ready.folder}/run' pair" in log  # quoted, because the path has a space


def test_an_extra_is_added_when_a_command_needs_it(ready: Copy) -> None:
    result = ready.run("phone", "--help")

    assert result.returncode == 0, result.stderr
    assert "send" in result.stdout
    assert (ready.folder / ".venv" / "installed").read_text().split()[1:] == ["peer"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status",), "phone new"),
        (("--home", "ben", "status"), "phone --home ben new"),
        (("--home=my ben", "status"), "phone --home 'my ben' new"),
    ],
)
def test_the_phones_advice_can_be_copied(ready: Copy, words: tuple[str, ...], said: str) -> None:
    result = ready.run("phone", *words)

    assert result.returncode == 1
    assert f"'{ready.folder}/run' {said} --name YOUR-NAME" in result.stderr


def test_a_changed_list_of_needs_is_installed_at_the_next_start(ready: Copy) -> None:
    with (ready.folder / "pyproject.toml").open("a", encoding="utf-8") as project:
        project.write("\n# changed\n")

    changed = ready.run("setup")
    again = ready.run("setup")

    assert (changed.returncode, again.returncode) == (0, 0)
    assert "Installing" in changed.stderr
    assert "Making" not in changed.stderr
    assert again.stderr == ""


def test_a_folder_that_was_moved_is_set_up_anew(ready: Copy) -> None:
    moved = Copy(ready.folder.rename(ready.folder.with_name("other box")), ready.home)

    result = moved.run("setup", PIP_INDEX_URL="http://127.0.0.1:9/", **OFFLINE)

    assert "Making" in result.stderr
    moved.folder.rename(ready.folder)


# What lies beside


def test_the_build_server_runs_what_we_run() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]

    assert commands == ['exec "$(dirname -- "${BASH_SOURCE[0]}")/../test"']


@pytest.mark.parametrize("name", ["run", "test", ".ci/run"])
def test_commands_may_be_executed(name: str) -> None:
    assert stat.S_IMODE((ROOT / name).stat().st_mode) & 0o111


def test_the_readme_names_only_words_that_run_knows(bare: Copy) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    words = set(re.findall(r"\./run ([a-z]+)", readme))
    script = (ROOT / "run").read_text(encoding="utf-8")
    cases = re.findall(r"^        ([a-z |-]+)\)$", script, flags=re.MULTILINE)

    assert words <= {word.strip() for case in cases for word in case.split("|")}
    assert words >= {"demo", "phone"}


def test_the_licence_is_the_affero_general_public_licence_word_for_word() -> None:
    text = (ROOT / "LICENSE").read_bytes()

    assert hashlib.sha256(text).hexdigest() == (
        "8486a10c4393cee1c25392769ddd3b2d6c242d6ec7928e1414efff7dfb2f07ef"
    )
    assert PROJECT["license"]["text"] == "AGPL-3.0-or-later"


def test_the_changelog_tells_of_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[([^]]+)\]", changelog, flags=re.MULTILINE)

    assert versions[0] == "Unreleased"
    assert PROJECT["version"] in versions


# The service


def test_the_service_gives_away_little() -> None:
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", UNIT],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout


def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/homepost/.venv/bin/homepost-gateway", "/bin/true"))

    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit],
        capture_output=True,
        text=True,
        check=False,
    )

    assert [line for line in result.stderr.splitlines() if UNIT.name in line] == []


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example of the settings with every default spoken aloud."""
    text = (ROOT / "deploy" / "gateway.toml").read_text(encoding="utf-8")
    path = tmp_path / "gateway.toml"
    path.write_text(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE), encoding="utf-8")
    return path


def test_the_example_of_the_settings_names_them_all_with_their_defaults(example: Path) -> None:
    spoken = load_config(environ={"HOME": "/"}, file=example)
    silent = load_config({"data": "/var/lib/homepost"}, environ={"HOME": "/"})

    assert spoken.config == silent.config
    assert set(tomllib.loads(example.read_text())) == {setting.name for setting in SETTINGS}
