"""What a push service's answer means: sent, dead, later, or a fault of ours.

    201, 200, 202, 204      sent; it may keep the push for less time than we asked
    404, 410                the address is dead: it goes, if it is still the device's
    429, 503 with a time    nobody asks there before that; 429 without one: a minute
    408, other 5xx, 3xx     later, and no redirect is followed
    401, 403                it does not take our signature: told in the log, nothing goes
    400, 413, other 4xx     our fault: told in the log, nothing goes, not tried again at once

Source: RFC 8030 §5-§8. Deleting an address for anything but 404 and 410 loses phones.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, TypeAlias

from gateway.push.bell import LONGEST_RETRY_SECONDS

KEEP_SECONDS: Final = 28 * 86_400
"""How long a push service is asked to keep a wake for a phone that is off."""
LEFT_ALONE_SECONDS: Final = 60.0
"""After a 429 that does not say for how long."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The push service has it and keeps it for so many seconds."""

    kept: float


@dataclass(frozen=True, slots=True)
class Dead:
    """Nobody is reached at this address any more."""


@dataclass(frozen=True, slots=True)
class Later:
    """Not now.

    Attributes:
        wait: seconds; None: as we think best.
        everybody: whether that holds for all that is sent to this push service.
    """

    wait: float | None
    everybody: bool = False


@dataclass(frozen=True, slots=True)
class Wrong:
    """It will not be taken however often it is sent; the words are for the log."""

    what: str


Outcome: TypeAlias = Taken | Dead | Later | Wrong


def outcome_of(status: int, headers: Mapping[str, str], *, now: float) -> Outcome:
    """Return what an answer means.

    Args:
        status: its status.
        headers: by name in lower case.
        now: Unix seconds.
    """
    if 200 <= status < 300:
        kept = headers.get("ttl", "")
        return Taken(min(float(kept), KEEP_SECONDS) if _digits(kept) else KEEP_SECONDS)
    if status in (404, 410):
        return Dead()
    wait = retry_after(headers.get("retry-after"), now=now)
    if status == 429:
        return Later(wait or LEFT_ALONE_SECONDS, everybody=True)
    if status == 503 and wait is not None:
        return Later(wait, everybody=True)
    if status in (401, 403):
        return Wrong(f"does not take our signature (status {status})")
    if 400 <= status < 500 and status != 408:
        return Wrong(f"does not take what we push (status {status})")
    return Later(None)


def retry_after(text: str | None, *, now: float) -> float | None:
    """Return the seconds that `Retry-After` asks for, from 1 s to 6 h; None if it asks for none.

    It is a number of seconds or a date. Source: RFC 9110 §10.2.3.
    """
    if text is None:
        return None
    if _digits(text.strip()):
        seconds = float(text.strip())
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 1.0), LONGEST_RETRY_SECONDS)


def _digits(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,18}", text) is not None
