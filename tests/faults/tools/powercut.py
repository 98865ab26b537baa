"""A disk of its own, an ext4 image, whose power can be cut at any instant.

Whoever writes on it is frozen, then the file system is shut down without flushing its journal
(EXT4_IOC_SHUTDOWN with NOLOGFLUSH, as the tests of Linux' own file systems do): all that was not
fsynced is lost. It needs root and a loop device, and does not play a card that lies about fsync.
Source: https://www.kernel.org/doc/html/latest/admin-guide/ext4.html
"""

import fcntl
import os
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.faults.here import NotPossibleHere, need_program

_SHUTDOWN: Final = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125
"""_IOR('X', 125, __u32)."""
_RELEASE_SECONDS: Final = 60.0
_WITHOUT_LOG: Final = struct.pack("I", 2)


class Card:
    """An ext4 file system in an image.

    Args:
        image: the file.
        place: the folder where it is mounted.
    """

    def __init__(self, image: Path, place: Path) -> None:
        self._image = image
        self.place = place

    def insert(self) -> None:
        """Mount it; its journal is replayed.

        Raises:
            NotPossibleHere: this user, or this machine, may not mount.
        """
        _privileged("mount", "-o", "loop", str(self._image), str(self.place))

    def remove(self) -> None:
        """Unmount it, if it is mounted, and wait until nobody has it any more.

        Whoever made a mount namespace of his own meanwhile has a copy of the mount. As long as he
        lives, the dead file system does too, and a mount would only find that one again.

        Raises:
            NotPossibleHere: somebody else keeps it.
        """
        if self.place.is_mount():
            subprocess.run([need_program("umount"), self.place], check=True)
        until = time.monotonic() + _RELEASE_SECONDS
        while self._in_a_loop():
            if time.monotonic() > until:
                raise NotPossibleHere("another mount namespace holds the card")
            time.sleep(0.01)  # nobody tells when the last one goes

    def _in_a_loop(self) -> bool:
        """Return whether a loop device still stands on the image."""
        for entry in Path("/sys/block").glob("loop*/loop/backing_file"):
            with suppress(OSError):  # it went while we looked
                if entry.read_text().strip() == str(self._image):
                    return True
        return False

    def cut(self, pid: int) -> None:
        """Cut the power: freeze a child of ours, lose what is not on the disk, end it.

        Raises:
            NotPossibleHere: the file system cannot be shut down.
        """
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # all its threads stand
        handle = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, _WITHOUT_LOG)
        except OSError as error:
            raise NotPossibleHere(f"ext4 cannot be shut down: {error.strerror}") from error
        finally:
            os.close(handle)
            os.kill(pid, signal.SIGKILL)

    def abort(self) -> None:
        """Let the file system give up, as it does when its disk no longer answers.

        Raises:
            NotPossibleHere: this user, or this machine, may not.
        """
        _privileged("mount", "-o", "remount,abort", str(self.place))


@contextmanager
def card(folder: Path, *, mebibytes: int = 128) -> Iterator[Card]:
    """Make a card, mounted below `folder`, and take it away at the end whatever happened.

    Raises:
        NotPossibleHere: this user, or this machine, may not mount.
    """
    place, image = folder / "card", folder / "card.image"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(mebibytes << 20)
    _privileged("mkfs.ext4", "-q", "-F", str(image))
    made = Card(image, place)
    try:
        made.insert()
        yield made
    finally:
        made.remove()
        image.unlink()


def _privileged(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [need_program(program), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        raise NotPossibleHere(f"{program}: {said[0]}")
