"""Somebody who owns the box, and looks everywhere: disk, memory, log and wire.

disk     every file of the data folder with WAL and what SQLite keeps beside it, the folder for
         temporary files, and files that the process holds open after they were deleted
memory   all of the process, read while it stands still; what was swapped out is read back in
log      all it ever wrote to its error output, at its most talkative level
frames   every byte to and from phones, in the clear, and WebSocket messages without their mask
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from demo.stage import Box
from tests.essay.memory import dump
from tests.essay.needles import Hit, Needles
from tests.essay.tap import Tap

PLACES: Final = ("disk", "memory", "log", "frames")


@dataclass
class Search:
    """What was searched, and what was found there."""

    secrets: int
    hits: set[Hit] = field(default_factory=set)
    by_place: dict[str, int] = field(default_factory=dict)
    """Hits in each place."""
    searched: dict[str, int] = field(default_factory=dict)
    """Bytes of each place."""

    def found_in(self, place: str) -> int:
        """Return how many secrets, counted by spelling and file, lie in a place."""
        return self.by_place.get(place, 0)

    def size_of(self, place: str) -> str:
        """Return how much of a place was searched."""
        return f"{self.searched.get(place, 0) / 1e3:,.0f} kB searched"


@dataclass
class Observer:
    """Looks at one gateway from everywhere."""

    box: Box
    tap: Tap

    def search(self, secrets: Mapping[str, bytes]) -> Search:
        """Look for secrets in all places.

        Raises:
            MemoryUnreadable: the kernel hides the process' memory.
            ValueError: the gateway does not run, or a place turned out to be empty.
        """
        needles = Needles(secrets)
        result = Search(len(secrets))
        for place in PLACES:
            result.by_place[place] = result.searched[place] = 0
            for name, heap in self._heaps(place):
                hits = needles.find_packed(heap, where=f"{place}, {name}")
                result.hits |= hits
                result.by_place[place] += len(hits)
                result.searched[place] += len(heap)
            if not result.searched[place]:
                raise ValueError(f"nothing was searched in: {place}")
        return result

    def _heaps(self, place: str) -> Iterator[tuple[str, bytes]]:
        match place:
            case "disk":
                return self.files()
            case "memory":
                return dump(self.pid)
            case "log":
                return iter([("error output", self.box.log.encode())])
            case _:
                return self.frames()

    @property
    def pid(self) -> int:
        """The gateway's process.

        Raises:
            ValueError: it does not run.
        """
        if self.box.process is None:
            raise ValueError(f"{self.box.name} does not run")
        return self.box.process.pid

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield every file of the gateway, by name."""
        folders = [self.box.data, *map(Path, [self.box.environment.get("TMPDIR", "")])]
        for folder in folders:
            for path in sorted(folder.rglob("*")) if str(folder) != "." else []:
                if path.is_file():
                    yield path.name, path.read_bytes()
        for link in os.scandir(f"/proc/{self.pid}/fd"):
            with suppress(OSError):  # it was closed while we looked
                target = os.readlink(link.path)
                if target.endswith(" (deleted)"):
                    yield target, Path(link.path).read_bytes()

    def frames(self) -> Iterator[tuple[str, bytes]]:
        """Yield what went over each connection, as bytes and again as it was meant."""
        for number, link in enumerate(self.tap.links):
            yield f"connection {number}, up", bytes(link.up)
            yield f"connection {number}, down", bytes(link.down)
            talk = link.conversation
            for one in talk.exchanges:
                yield f"{one.route}, asked", bytes(one.asked)
                yield f"{one.route}, answered", bytes(one.answered)
            for way, messages in (("up", talk.messages_up), ("down", talk.messages_down)):
                yield f"WebSocket {number}, {way}", b"".join(messages)
