"""Which way an item goes next, and when it is tried again: decisions without a network.

    outcome at one gateway                     then
    -----------------------------------------  ----------------------------------------------
    stored                                     done: it is there
    lane refused                               the next gateway; all of them: later, slowly
    nobody answers, or somebody else           the next gateway; all of them: later
    full, busy                                 later, not before it said
    too large, id taken                        given up: trying again is no use

While a program runs, "later" is the back-off below; whoever types a command has everything tried at
once, whatever was planned (docs/protocol.md §4.5).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from wire.frames import Result
from wire.ids import GatewayId

FIRST_RETRY: Final = 5.0
"""Seconds to the second try: a box that restarts is back by then."""
LONGEST_RETRY: Final = 900.0
"""Seconds between tries at most: a letter arrives a quarter of an hour after its box."""
KEEP_SECONDS: Final = 30 * 86_400.0
"""How long an item is tried, and how long it is kept to be sent again when asked for."""

Random = Callable[[], float]
"""A number from 0 to 1."""


class Next(Enum):
    """What to do after one try."""

    DONE = auto()
    OTHER_GATEWAY = auto()
    LATER = auto()
    GIVE_UP = auto()


@dataclass(frozen=True, slots=True)
class Judged:
    """What to do, why, and how long to wait at least (seconds)."""

    next: Next
    trouble: str = ""
    wait: float = 0.0


def judge(result: Result, *, retry_after: int) -> Judged:
    """Return what a gateway's answer for one parcel means."""
    match result:
        case Result.STORED:
            return Judged(Next.DONE)
        case Result.LANE_REFUSED:
            return Judged(Next.OTHER_GATEWAY, result.code)
        case Result.ID_TAKEN | Result.PARCEL_TOO_LARGE:
            return Judged(Next.GIVE_UP, result.code)
        case _:
            return Judged(Next.LATER, result.code, float(retry_after))


def candidates(
    theirs: Sequence[GatewayId], *, ours: GatewayId | None, before: Sequence[GatewayId]
) -> list[GatewayId]:
    """Return the gateways to try, best first, each once.

    Args:
        theirs: those on the contact's card, in its order.
        ours: our own gateway. A contact whose gateway died may have moved to it; a lane that is not
            known there is refused and that is all.
        before: where letters to this contact were stored before.
    """
    wanted = [*theirs, *before, *([ours] if ours else [])]
    return list(dict.fromkeys(wanted))


def next_try(tries: int, *, now: float, at_least: float, random: Random) -> float:
    """Return when to try again: doubling, with jitter so that a box is not met by all at once.

    Args:
        tries: how many there were, at least 1.
        now: seconds.
        at_least: what the gateway asked for, in seconds.
        random: for the jitter.
    """
    backoff = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(tries - 1, 16))
    return now + max(at_least, float(backoff) * (0.5 + random()))
