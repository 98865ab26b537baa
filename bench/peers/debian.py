"""Peers out of Debian's packages: fetched and unpacked into a folder, never installed.

Nothing of the machine changes: no package is configured, no service is started, no user is made.
What was unpacked stays for the next time.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.absent import Absent, need_program

FETCH_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Packages in a folder."""

    root: Path

    def program(self, name: str) -> Path:
        """Return the path of a program."""
        return self.root / "usr" / "bin" / name

    @property
    def libraries(self) -> list[Path]:
        """The folders that hold shared libraries."""
        return sorted({one.parent for one in (self.root / "usr" / "lib").glob("*/lib*.so*")})

    @property
    def environment(self) -> Mapping[str, str]:
        """What its programs need to find their libraries."""
        return {"LD_LIBRARY_PATH": os.pathsep.join(map(str, self.libraries))}


def unpack(packages: Sequence[str], folder: Path) -> Unpacked:
    """Fetch packages and unpack them into a folder, unless they are there.

    Raises:
        Absent: this is no Debian, or they cannot be fetched.
    """
    if (folder / "done").exists():
        return Unpacked(folder)
    need_program("apt-get")
    need_program("dpkg")
    fetched = folder / "packages"
    shutil.rmtree(folder, ignore_errors=True)
    fetched.mkdir(parents=True)
    _run(["apt-get", "download", "-qq", *packages], folder=fetched)
    for one in sorted(fetched.glob("*.deb")):
        _run(["dpkg", "-x", str(one), str(folder)], folder=fetched)
    shutil.rmtree(fetched)
    (folder / "done").touch()
    return Unpacked(folder)


def _run(command: Sequence[str], *, folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=FETCH_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise Absent(f"{command[0]} takes too long") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no reason given"]
        raise Absent(f"{' '.join(command[:2])} failed: {said[-1]}")
