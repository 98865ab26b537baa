"""Which way an item goes next, and when it is tried again: decisions without a network.

    outcome at one gateway                     then
    -----------------------------------------  ----------------------------------------------
    stored                                     done: it is there
    lane refused                               the next gateway; all of them: later, slowly
    nobody answers, or somebody else           the next gateway; all of them: later
    full, busy                                 later, not before it said
    id taken                                   sealed anew, under another id
    too large                                  given up: trying again is no use

While a program runs, "later" is the back-off below; whoever types a command has everything tried at
once, whatever was planned (docs/protocol.md §4.5).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from wire.frames import Proved, Result, fits, frame_size
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
    SEAL_ANEW = auto()
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
        case Result.ID_TAKEN:
            return Judged(Next.SEAL_ANEW, result.code)
        case Result.PARCEL_TOO_LARGE:
            return Judged(Next.GIVE_UP, result.code)
        case _:
            return Judged(Next.LATER, result.code, float(retry_after))


def candidates(
    theirs: Sequence[GatewayId], *, worked: GatewayId | None, ours: GatewayId | None
) -> list[GatewayId]:
    """Return the gateways to try, best first, each once.

    Args:
        theirs: those on the contact's card, in its order.
        worked: where the last item was stored while the card said the same.
        ours: our own gateway. A contact whose gateway died may have moved to it; a lane that is not
            known there is refused and that is all.
    """
    wanted = [*([worked] if worked else []), *theirs, *([ours] if ours else [])]
    return list(dict.fromkeys(wanted))


def worst(judged: Sequence[Judged]) -> Judged:
    """Return what to tell a person when no gateway took it: the first trouble, the longest wait.

    That a gateway of ours does not know the lane is only said where nothing else went wrong.
    """
    telling = [one for one in judged if one.trouble != Result.LANE_REFUSED.code]
    first = next(iter([*telling, *judged]), Judged(Next.LATER, "no-gateway"))
    return Judged(Next.LATER, first.trouble, max((one.wait for one in judged), default=0.0))


def frames(parcels: Sequence[Proved]) -> list[list[Proved]]:
    """Return the parcels in as few deposits as hold them, in their order."""
    found: list[list[Proved]] = []
    size = 0
    for one in parcels:
        more = frame_size(one.parcel)
        if not found or not fits(size + more, len(found[-1]) + 1):
            found.append([])
            size = 0
        found[-1].append(one)
        size += more
    return found


def next_try(tries: int, *, now: float, at_least: float, random: Random) -> float:
    """Return when to try again: doubling, with jitter so that a box is not met by all at once.

    Args:
        tries: how many there were, at least 1.
        now: seconds.
        at_least: what the gateway asked for, in seconds.
        random: for the jitter.
    """
    backoff = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(tries - 1, 16))
    return now + max(at_least, backoff * (0.5 + random()))
