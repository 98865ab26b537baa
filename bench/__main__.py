"""`python -m bench`: measures the gateway beside floors and peers, prints a table, writes JSON.

python -m bench                   some minutes; 100,000 parcels held
python -m bench --full            an hour; a million
python -m bench --write           puts the table into docs/performance.md too
python -m bench --column tls      only one of the columns: plain, tls
python -m bench --alone           without peers
python -m bench --json FILE       where to (.bench/results.json)

Quiet machine, please: what others do on it counts. Peers are fetched once into .bench/ and run from
there on ports of the loopback address; nothing is installed (./run setup bench brings NATS).
"""

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from bench.processes import PROJECT
from bench.report import absences, as_json, put_in, table
from bench.run import PEERS, Run
from bench.scale import FULL, QUICK, TINY, Scale
from bench.targets import AT_PHONES, COLUMNS, FOOTPRINT, PLACES, TARGETS

CACHE: Final = PROJECT / ".bench"
DOCUMENT: Final = PROJECT / "docs" / "performance.md"
BUSY: Final = 0.15
"""Part of a processor that others may use: with more, times and rates are worth little."""
_LIBRARIES: Final = ("hypercorn", "quart", "aiosqlite")


def main(arguments: Sequence[str]) -> int:
    """Measure; return the exit status."""
    wanted = _arguments(arguments)
    scale = {"quick": QUICK, "full": FULL, "tiny": TINY}[wanted.scale]
    columns = [wanted.column] if wanted.column else list(COLUMNS)
    began = time.time()
    peers = () if wanted.alone else PEERS
    run = measure(scale, columns=columns, cache=wanted.cache, peers=peers)
    content = written(run, began=began)
    print(f"\n{content}")
    wanted.cache.mkdir(exist_ok=True)
    target = wanted.json or wanted.cache / "results.json"
    result = results(run, began=began, scale=wanted.scale)
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if wanted.write:
        document = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(put_in(document, content), encoding="utf-8")
    return 0


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--full", dest="scale", action="store_const", const="full")
    parser.add_argument("--tiny", dest="scale", action="store_const", const="tiny")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--column", choices=list(COLUMNS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.set_defaults(scale="quick")
    return parser.parse_args(arguments)


def measure(
    scale: Scale, *, columns: Sequence[str], cache: Path, peers: Sequence[str] = PEERS
) -> Run:
    """Measure everything and return what was found."""
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", file=sys.stderr, flush=True)

    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="run-") as scratch:
        run = Run(scale, columns=columns, cache=cache, scratch=Path(scratch), say=say, peers=peers)
        asyncio.run(run.all())
    return run


def written(run: Run, *, began: float) -> str:
    """Return what stands in the document: the tables, where they come from, what is missing."""
    figures = run.figures
    parts = [
        _origin(run, began),
        table(TARGETS, figures),
        table(FOOTPRINT, figures),
        table(AT_PHONES, figures, columns=PLACES),
        absences(run.absent),
    ]
    return "\n\n".join(one for one in parts if one)


def _origin(run: Run, began: float) -> str:
    machine = machine_facts()
    day = time.strftime("%Y-%m-%d", time.gmtime(began))
    busy = run.busy
    sentences = [
        f"Measured on {day}: {machine['processors']} x {machine['processor']},"
        f" Linux {machine['kernel']}, Python {machine['python']}, SQLite {machine['sqlite']},"
        f" {', '.join(f'{name} {version(name)}' for name in _LIBRARIES)}.",
        f"{run.scale.held:,} parcels held; {run.scale.repeats} repetitions.",
    ]
    if busy > BUSY:
        sentences.append(
            f"Others used up to {busy:.0%} of a processor meanwhile: rates and times are not to be"
            " trusted."
        )
    return " ".join(sentences)


def machine_facts() -> Mapping[str, Any]:
    """Return what this machine is."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.machine(),
        "processors": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def results(run: Run, *, began: float, scale: str) -> dict[str, Any]:
    """Return all that was found, as values that JSON has."""
    return {
        "began": int(began),
        "seconds": round(time.time() - began),
        "scale": scale,
        "machine": dict(machine_facts()),
        "rows": as_json((*TARGETS, *FOOTPRINT), run.figures)
        + as_json(AT_PHONES, run.figures, columns=PLACES),
        "absent": run.absent,
        "figures": dict(sorted(run.figures.items())),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
