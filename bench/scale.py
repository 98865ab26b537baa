"""How much is done of everything: in a quick look, in a run that counts, in a test."""

from dataclasses import dataclass
from typing import Final

from bench.household import DAY, HOUR, Household


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of what. Items, unless said otherwise."""

    floor_seconds: float
    """For each floor."""
    repeats: int
    """How often what is compared with a peer is measured; the middle counts."""
    batches: int
    one: int
    posts: int
    live: int
    rush: int
    drain: int
    flushes: int
    slow: int
    connections: int
    held: int
    letters: int
    """Sealed and opened by phones without a gateway."""
    changes: int
    """Of the state, told by one device and taken by another."""
    kill_seconds: float
    quiet_after: float
    """Seconds before a quiet time begins: the last checkpoint comes half a minute after the last
    visitor."""
    quiet_seconds: float
    mailboxes: int
    household: Household
    hours: tuple[float, float]
    """The part of the household's day that is played, in seconds since midnight."""
    speed: float
    """How many times as fast as in life."""


QUICK: Final = Scale(
    floor_seconds=0.5,
    repeats=1,
    batches=20_000,
    one=10_000,
    posts=3_000,
    live=400,
    rush=10_000,
    drain=1_000,
    flushes=2_000,
    slow=6_000,
    connections=200,
    held=100_000,
    letters=3_200,
    changes=10_000,
    kill_seconds=2.0,
    quiet_after=45.0,
    quiet_seconds=120.0,
    mailboxes=100,
    household=Household(),
    hours=(18 * HOUR, 18.25 * HOUR),
    speed=100.0,
)
"""Some minutes."""

FULL: Final = Scale(
    floor_seconds=1.0,
    repeats=5,
    batches=40_000,
    one=20_000,
    posts=6_000,
    live=1_000,
    rush=20_000,
    drain=1_000,
    flushes=5_000,
    slow=12_000,
    connections=1_000,
    held=1_000_000,
    letters=16_000,
    changes=10_000,
    kill_seconds=5.0,
    quiet_after=60.0,
    quiet_seconds=600.0,
    mailboxes=100,
    household=Household(),
    hours=(0.0, DAY),
    speed=100.0,
)
"""As before a release: an hour."""

TINY: Final = Scale(
    floor_seconds=0.02,
    repeats=1,
    batches=128,
    one=64,
    posts=16,
    live=5,
    rush=64,
    drain=32,
    flushes=64,
    slow=64,
    connections=2,
    held=256,
    letters=64,
    changes=320,
    kill_seconds=0.2,
    quiet_after=0.0,
    quiet_seconds=0.2,
    mailboxes=4,
    household=Household(seats=2, contacts=3, posts=8, looks=5),
    hours=(0.0, DAY),
    speed=DAY / 4,
)
"""Enough to see that everything works; its times say nothing."""
