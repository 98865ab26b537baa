"""Searches a parser for paths that nobody thought of, guided by what code each input reaches.

    python -m tests.faults.tools.fuzz PARSER SECONDS FOLDER

FOLDER takes the inputs that reached something new; a first input that broke the parser lies there
as crash-…, and the status is not 0. It needs atheris: `./run setup fuzz`.
"""

import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

SECONDS_PER_KB: Final = 0.05
"""Of a processor, for a kilobyte that is read."""
SLACK: Final = 10.0
"""How much slower the instruments make it, and a machine that does other things too."""
MEMORY: Final = 1 << 30
"""Bytes that a search may hold, its instruments included; more is a `MemoryError`."""
OURS: Final = ("wire", "peer", "gateway")


class TooSlow(Exception):
    """A parser took longer than the size of its input allows."""


def read_once(parser: Any, data: bytes) -> None:
    """Let a parser read; it may take, or refuse with an error on its list, in its time.

    Raises:
        TooSlow: it took too long.
        AssertionError: what it took has another spelling.
    """
    begun = time.thread_time()
    try:
        found = parser.read(data)
    except parser.errors:
        found = None
    took = time.thread_time() - begun
    if took > SECONDS_PER_KB * SLACK * (1 + len(data) / 1024):
        raise TooSlow(f"{took:.3f} s for {len(data)} bytes")
    if found is not None and parser.again is not None:
        assert parser.again(found) == data, "it has another spelling"


def main(arguments: Sequence[str]) -> None:
    """Search until the time is over; ends the process."""
    import atheris

    name, seconds, folder = arguments
    with atheris.instrument_imports(include=list(OURS)):
        from tests.faults.parsers import parsers
    parser = parsers()[name]
    for number, good in enumerate(parser.good):
        (Path(folder) / f"good-{number}").write_bytes(good)

    def one(data: bytes) -> None:
        read_once(parser, data)

    options = [f"-max_total_time={int(float(seconds))}", f"-artifact_prefix={folder}/"]
    # Its own look at memory would see what the process had that started this one.
    options += ["-print_final_stats=1", "-rss_limit_mb=0", "-timeout=20", "-verbosity=0"]
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    atheris.Setup(["fuzz", *options, folder], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
