"""What we want to reach, row by row, and whether a run reached it.

Every goal is a ratio to something that was measured in the same run, but where the number itself is
the promise. A rate is compared with a peer's by way of the floor that was measured beside each,
because the disk is not the same a minute later. What was not measured is never met.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from bench.slow_disk import FLUSH_SECONDS

Bound: TypeAlias = "Mapping[str, float | None] | Mapping[str, float] | float | None"
"""What a number has to be: in each column, in all of them alike, or nothing."""

Figures = Mapping[str, float]
"""By names such as `tls.batch.rate`: whose, what, and which number."""

COLUMNS: Final = {"plain": "plain loopback", "tls": "TLS"}
PLACES: Final = {"memory": "saved in memory", "disk": "saved on the disk"}
"""The columns of a phone: where its file lies."""
MEGABYTE: Final = 1e6
KILOBYTE: Final = 1e3
MICRO: Final = 1e-6
MILLI: Final = 1e-3


class Verdict(Enum):
    """What came of a row."""

    STRETCH = "met, stretch too"
    MET = "met"
    MISSED = "missed"
    SHORT = "stretch missed"
    """Of a row that has no other target."""
    NOT_MEASURED = "not measured"
    SHOWN = ""
    """There is no target: the number speaks."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The figures of one run, with one column of ours in view."""

    figures: Figures
    column: str

    def __call__(self, name: str) -> float:
        """Return a figure of ours.

        Raises:
            KeyError: it was not measured.
        """
        return self.figures[f"{self.column}.{name}"]

    def of(self, name: str) -> float:
        """Return a figure of a peer or a floor.

        Raises:
            KeyError: it was not measured.
        """
        return self.figures[name]

    def to_floor(self, who: str, what: str) -> float:
        """Return somebody's rate in relation to SQLite's at that time."""
        return self.figures[f"{who}.{what}.rate"] / self.figures[f"{who}.{what}.floor_rate"]


@dataclass(frozen=True, slots=True)
class Goal:
    """One number of a row.

    Attributes:
        label: what it is a ratio to, or its unit.
        value: finds it.
        must, stretch: bounds, in the columns of ours; None where there is none.
        at_least: whether more is better.
    """

    label: str
    value: Callable[[Seen], float]
    must: Bound = None
    stretch: Bound = None
    at_least: bool = False

    def bound(self, which: Bound, column: str) -> float | None:
        """Return what a bound is in one column."""
        return which[column] if isinstance(which, Mapping) else which

    def text(self, which: Bound) -> str:
        """Return a bound in words; nothing if there is none."""
        if which is None:
            return ""
        sign = "≥" if self.at_least else "≤"
        bounds = list(which.values()) if isinstance(which, Mapping) else [which]
        numbers = [one for one in bounds if one is not None]
        return f"{sign} {' / '.join(f'{one:g}' for one in numbers)} {self.label}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table."""

    id: str
    what: str
    goals: tuple[Goal, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a row in one column."""

    values: tuple[float | None, ...]
    verdict: Verdict
    missed_by: float = 0.0
    """How far the worst goal is from what it must be: 0.2 is a fifth."""


def judge(row: Row, figures: Figures, *, column: str) -> Judged:
    """Return what came of a row."""
    seen = Seen(figures, column)
    values = tuple(_value(goal, seen) for goal in row.goals)
    pairs = list(zip(row.goals, values, strict=True))
    must = [_short(goal, value, goal.bound(goal.must, column)) for goal, value in pairs]
    stretch = [_short(goal, value, goal.bound(goal.stretch, column)) for goal, value in pairs]
    missed_by = max((one for one in must if one is not None), default=0.0)
    if missed_by > 0:
        return Judged(values, Verdict.MISSED, missed_by)
    bound = [one for one in row.goals if one.must is not None or one.stretch is not None]
    if any(value is None for goal, value in pairs if goal in bound or not bound):
        return Judged(values, Verdict.NOT_MEASURED)
    if not bound:
        return Judged(values, Verdict.SHOWN)
    if any(goal.stretch is not None for goal in row.goals) and not any(stretch):
        return Judged(values, Verdict.STRETCH)
    has_must = any(goal.must is not None for goal in row.goals)
    return Judged(values, Verdict.MET if has_must else Verdict.SHORT)


def _value(goal: Goal, seen: Seen) -> float | None:
    try:
        return goal.value(seen)
    except (KeyError, ZeroDivisionError):
        return None


def _short(goal: Goal, value: float | None, bound: float | None) -> float | None:
    """Return by which part a value misses a bound; 0 if it does not, None if nobody knows."""
    if value is None or bound is None:
        return None
    missing = bound - value if goal.at_least else value - bound
    return max(0.0, missing / bound if bound else missing)


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [0.0, *(one for one in values if one is not None)]


def _to_floor(what: str) -> Callable[[Seen], float]:
    return lambda seen: seen.to_floor(seen.column, what)


def _rate_to(what: str, peer: str) -> Callable[[Seen], float]:
    return lambda seen: seen.to_floor(seen.column, what) / seen.to_floor(peer, "one")


def _cpu_to_floor(what: str) -> Callable[[Seen], float]:
    return lambda seen: seen(f"{what}.cpu") / seen(f"{what}.floor_cpu")


def _to(name: str, peer: str, theirs: str = "") -> Callable[[Seen], float]:
    return lambda seen: seen(name) / seen.of(f"{peer}.{theirs or name}")


def _number(name: str, unit: float = 1.0) -> Callable[[Seen], float]:
    return lambda seen: seen(name) / unit


_FLOOR: Final = "of SQLite, 32 rows"

TARGETS: Final = (
    Row("1", "durable deposit, 32 parcels a frame: rate", (
        Goal(_FLOOR, _to_floor("batch"), 0.40, 0.60, at_least=True),
        Goal("of NATS, always", _rate_to("batch", "nats"), 2.0, at_least=True),
        Goal("of Redis, always", _rate_to("batch", "redis"), None, 0.45, at_least=True),
    )),
    Row("2", "one parcel a frame: rate", (
        Goal(_FLOOR, _to_floor("one"), 0.28, 0.40, at_least=True),
        Goal("of NATS, always", _rate_to("one", "nats"), 1.3, at_least=True),
    )),
    Row("3", "one parcel a request: rate", (
        Goal(_FLOOR, _to_floor("post"), 0.06, 0.08, at_least=True),
        Goal("of Prosody", _rate_to("post", "prosody"), 1.5, at_least=True),
    )),
    Row("4", "CPU for one parcel, of SQLite's for one of 32 rows", (
        Goal("in batches", _cpu_to_floor("batch"), 2.5, 1.6),
        Goal("one a frame", _cpu_to_floor("one"), 5.0, 3.3),
        Goal("one a request", _cpu_to_floor("post"), 22.0, 18.0),
    )),
    Row("5", "deposit and delivery at once, in batches: CPU for one parcel", (
        Goal("of Redis, always", _to("rush.cpu", "redis"), 2.2, 1.4),
        Goal("of NATS, always", _to("rush.cpu", "nats"), 0.5, 0.3),
    )),
    Row("6", "flushes for one acknowledged parcel; acknowledged and then missing after kill -9", (
        Goal("flushes", _number("flushes.flushes"), 0.05, 0.02),
        Goal("missing", _number("kill.lost"), 0.0, 0.0),
    )),
    Row("7", "a disk that takes 5 ms to flush", (
        Goal("of Redis' rate", _to("slow.rate", "redis"), 0.9, 0.98, at_least=True),
        Goal("flushes at p99", _number("slow.p99", FLUSH_SECONDS), 3.0, 2.5),
    )),
    Row("8", "to a connected phone, 100 parcels a second", (
        Goal("of Redis at p50", _to("live.p50", "redis"), 2.5, 1.2),
        Goal("ms at p99", _number("live.p99", MILLI), 6.0, 2.0),
    )),
    Row("9", "the same with the slow disk", (
        Goal("flushes at p50", _number("slow_live.p50", FLUSH_SECONDS), None, 0.3),
    )),
    Row("10", "a phone comes back and takes 1,000 parcels", (
        Goal("of Redis' time", _to("drain.seconds", "redis"), 0.6, 0.3),
        Goal("µs CPU a parcel", _number("drain.cpu", MICRO), 20.0, 10.0),
    )),
    Row("11", "memory at rest, of the libraries' alone", (
        Goal("of the imports", lambda seen: seen("rest.memory") / seen.of("imports.memory"),
             1.25, 1.10),
    )),
    Row("12", "memory for what is held", (
        Goal("MB", _number("held.memory", MEGABYTE), 20.0, 10.0),
    )),
    Row("13", "memory for a connected, silent phone (plain / TLS)", (
        Goal("kB", _number("connections.memory", KILOBYTE),
             {"plain": 32.0, "tls": 75.0}, {"plain": 27.0, "tls": 60.0}),
    )),
    Row("14", "answering again after kill -9 with all that is held", (
        Goal("of NATS' time", _to("held.start", "nats"), 0.5, 0.25),
    )),
    Row("15", "rate with all that is held, of that with little", (
        Goal("of the rate", lambda seen: seen.to_floor(seen.column, "many")
             / seen.to_floor(seen.column, "few"), 0.6, 0.8, at_least=True),
    )),
    Row("16", "bytes written to the disk for one parcel", (
        Goal("of Redis, always", _to("batch.written", "redis", "one.written"), 3.5, 2.8),
    )),
)  # fmt: skip
"""What speed and frugality have to be, in the order of the project's targets."""

_DAY: Final = "household."

FOOTPRINT: Final = (
    Row("F1", "memory at rest", (Goal("MB", _number("rest.memory", MEGABYTE)),)),
    Row("F2", "memory for a connected, silent phone",
        (Goal("kB", _number("connections.memory", KILOBYTE)),)),
    Row("F3", "from start to the first answer", (
        Goal("s", _number("rest.start")),
        Goal("times the imports", lambda seen: seen("rest.start") / seen.of("imports.seconds")),
    )),
    Row("F4", "written to the disk for one parcel of 1,024 bytes, in batches; one a request", (
        Goal("bytes", _number("batch.written")),
        Goal("bytes", _number("post.written")),
    )),
    Row("F5", "written to the disk in a quiet hour",
        (Goal("kB", _number("quiet.written", KILOBYTE)),)),
    Row("F6", "wake-ups of the idle process in a minute", (Goal("", _number("quiet.wake_ups")),)),
    Row("F7", "a household's day, a hundred times as fast, one core and 512 MiB", (
        Goal("ms at p95 until stored", _number(f"{_DAY}p95", MILLI), 50.0),
        Goal("MB of memory at most", _number(f"{_DAY}memory", MEGABYTE), 537.0),
        Goal("refused", _number(f"{_DAY}refused"), 0.0),
    )),
    Row("F8", "what such a day costs", (
        Goal("s of CPU", _number(f"{_DAY}cpu")),
        Goal("MB written", _number(f"{_DAY}written", MEGABYTE)),
        Goal("times what was posted", lambda seen: seen(f"{_DAY}written") / seen(f"{_DAY}bytes")),
    )),
)  # fmt: skip
"""What the box takes of its machine."""


def _to_bare(what: str) -> Callable[[Seen], float]:
    return lambda seen: seen(f"{what}.cpu") / seen("floor.cpu")


_LETTERS: Final = {"memory": 2000.0, "disk": None}
"""Letters a second; a disk is as fast as it is."""

PHONES: Final = (
    Row("K1", "letters sealed and opened on one core, to a person with one device, 32 at a time", (
        Goal("letters/s", _number("to1.rate"), _LETTERS, at_least=True),
        Goal("of the bare steps' CPU", _to_bare("to1")),
        Goal("µs CPU", _number("to1.cpu", MICRO)),
    )),
    Row("K2", "the same, each in a transaction of its own", (
        Goal("letters/s", _number("single.rate")),
        Goal("µs CPU", _number("single.cpu", MICRO)),
    )),
    Row("K3", "sealed for three devices, opened on one", (
        Goal("letters/s", _number("to3.rate")),
        Goal("µs CPU to seal", _number("to3.seal_cpu", MICRO)),
    )),
    Row("K4", "sealed for ten devices, opened on one", (
        Goal("letters/s", _number("to10.rate")),
        Goal("µs CPU to seal", _number("to10.seal_cpu", MICRO)),
    )),
    Row("K5", "on the wire for each further device", (
        Goal("bytes", _number("device.bytes"), 250.0),
    )),
    Row("K6", "verifying a card of fifty links", (
        Goal("of fifty bare signatures", lambda seen: seen("card.cpu") / seen("card.floor_cpu"),
             4.0),
        Goal("ms CPU", _number("card.cpu", MILLI)),
    )),
    Row("K7", "commits into the phone's file while its lock is on", (
        Goal("of those into a plain one",
             lambda seen: seen("file.sealed.rate") / seen("file.plain.rate")),
        Goal("commits/s", _number("file.sealed.rate")),
    )),
    Row("K8", "opening it", (
        Goal("ms with its key", _number("file.sealed.open", MILLI)),
        Goal("ms a plain one", _number("file.plain.open", MILLI)),
        Goal("s CPU for a PIN", _number("file.pin")),
    )),
)  # fmt: skip
"""What a phone's keys cost."""

STEPS: Final = (
    Row("K9", "a read mark on its way to own devices, in a padded batch of 32", (
        Goal("bytes", _number("steps.mark.bytes"), 90.0),
        Goal("in a document of pycrdt", _number("steps.library.mark.bytes")),
    )),
    Row("K10", "all of the state after 10,000 read marks in 800 threads", (
        Goal("kB", _number("steps.snapshot.bytes", KILOBYTE)),
        Goal("kB as a document of pycrdt", _number("steps.library.snapshot.bytes", KILOBYTE)),
    )),
    Row("K11", "a device that is 10,000 changes behind catches up", (
        Goal("s", _number("steps.late.seconds")),
        Goal("s of CPU", _number("steps.late.cpu")),
        Goal("lines of code that merge", _number("steps.core.lines")),
    )),
)  # fmt: skip
"""What it costs to keep own devices in step."""

RETURNING: Final = (
    Row("K12", "a phone is gone, with 1,000 letters in its archive: what the new one needs", (
        Goal("s to the newest", _number("back.small.first"), 5.0),
        Goal("s to all", _number("back.small.all"), 5.0),
        Goal("bytes kept for a letter", _number("back.small.bytes")),
    )),
    Row("K13", "the same with 100,000", (
        Goal("s to the newest", _number("back.large.first"), 5.0),
        Goal("letters by then", _number("back.large.at_once")),
        Goal("s to all", _number("back.large.all")),
    )),
)  # fmt: skip
"""How long a phone that is gone is missed."""

NEWCOMERS: Final = (
    Row("K14", "time to add a device, at a running gateway", (
        Goal("s", _number("newcomers.small.added.seconds")),
        Goal("s of CPU on both phones", _number("newcomers.small.added.cpu")),
    )),
    Row("K15", "phone destroyed -> reading again, with the kit and 1,000 letters at its gateway", (
        Goal("s to the newest", _number("newcomers.small.kit.first"), 5.0),
        Goal("s to all", _number("newcomers.small.kit.all"), 5.0),
        Goal("s of CPU on the phone", _number("newcomers.small.kit.cpu")),
    )),
    Row("K16", "the same with 100,000", (
        Goal("s to the newest", _number("newcomers.large.kit.first"), 5.0),
        Goal("s to all", _number("newcomers.large.kit.all")),
        Goal("s of CPU on the phone", _number("newcomers.large.kit.cpu")),
    )),
)  # fmt: skip
"""How soon a phone that comes to a gateway can be used."""

AT_PHONES: Final = (*PHONES, *STEPS, *RETURNING, *NEWCOMERS)
"""All rows of phones, in the columns `PLACES`."""
