"""When a person does not want to be woken: quiet hours, a snooze and the hours of digests, by date.

All of it goes by the person's own clock in the person's own time zone, so that seven o'clock is
seven o'clock also in the night in which an hour comes twice or not at all.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wire.pushes import Hours


class ZoneUnknown(Exception):
    """This machine knows no time zone of that name."""


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """Return the time zone that has this name in the tz database.

    Raises:
        ZoneUnknown: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder
        raise ZoneUnknown(name) from None


def is_quiet(hours: Hours, wall: float) -> bool:
    """Return whether it is a quiet hour at `wall`, in Unix seconds."""
    if hours.quiet is None:
        return False
    local = datetime.fromtimestamp(wall, zone_of(hours.zone))
    minute, (begin, end) = local.hour * 60 + local.minute, hours.quiet
    return begin <= minute < end if begin <= end else minute >= begin or minute < end


def quiet_ends(hours: Hours, wall: float) -> float:
    """Return when the quiet hours end in which `wall` lies, in Unix seconds."""
    if hours.quiet is None:
        return wall
    ends = _moments(hours.zone, (hours.quiet[1],), after=wall)
    return next((one for one in ends if not is_quiet(hours, one)), wall)


def next_digest(hours: Hours, after: float) -> float | None:
    """Return the first moment of a digest after `after`, in Unix seconds; None: there is none.

    An hour that comes twice has its digest once.
    """
    if not hours.digests:
        return None
    return next(_moments(hours.zone, hours.digests, after=after, twice=False), None)


def _moments(
    name: str, minutes: tuple[int, ...], *, after: float, twice: bool = True
) -> Iterator[float]:
    """Yield the moments after `after` at which clocks show one of `minutes`, for some days."""
    zone = zone_of(name)
    today = datetime.fromtimestamp(after, zone).date()
    found = {
        _moment(today + timedelta(days=day), minute, zone, fold=fold)
        for day in range(-1, 4)
        for minute in minutes
        for fold in ((0, 1) if twice else (0,))
    }
    yield from sorted(one for one in found if one > after)


def _moment(day: date, minute: int, zone: ZoneInfo, *, fold: int) -> float:
    return datetime.combine(day, time(minute // 60, minute % 60, fold=fold), zone).timestamp()
