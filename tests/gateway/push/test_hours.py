"""Seven o'clock is seven o'clock, also in the two nights in which clocks are set."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.push.hours import ZoneUnknown, is_quiet, next_digest, quiet_ends, zone_of
from wire.pushes import DAY_MINUTES, Hours

NIGHT = Hours(zone="Europe/Berlin", quiet=(22 * 60, 7 * 60))


def at(text: str) -> float:
    """Return Unix seconds of a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("when", "quiet"),
    [
        ("2026-03-28T20:59", False),  # 21:59, still winter time
        ("2026-03-28T21:00", True),
        ("2026-03-29T04:59", True),  # 06:59, summer time by now
        ("2026-03-29T05:00", False),
        ("2026-10-24T20:00", True),  # 22:00, summer time
        ("2026-10-25T05:59", True),  # 06:59, winter time
        ("2026-10-25T06:00", False),
    ],
)
def test_quiet_hours_hold_over_both_nights(when: str, quiet: bool) -> None:
    assert is_quiet(NIGHT, at(when)) is quiet


def test_a_short_night_ends_an_hour_earlier_and_a_long_one_later() -> None:
    assert quiet_ends(NIGHT, at("2026-03-28T22:00")) == at("2026-03-29T05:00")
    assert quiet_ends(NIGHT, at("2026-10-24T22:00")) == at("2026-10-25T06:00")
    assert quiet_ends(NIGHT, at("2026-06-01T00:00")) == at("2026-06-01T05:00")


def test_quiet_hours_may_end_in_an_hour_that_comes_twice_or_not_at_all() -> None:
    hours = Hours(zone="Europe/Berlin", quiet=(22 * 60, 2 * 60 + 30))

    for night in ("2026-03-28T23:00", "2026-10-24T23:00"):
        end = quiet_ends(hours, at(night))
        assert end > at(night)
        assert not is_quiet(hours, end)


def test_quiet_hours_by_day_and_without_length() -> None:
    noon = Hours(quiet=(12 * 60, 14 * 60))
    none = Hours(quiet=(600, 600))

    assert is_quiet(noon, at("2026-06-01T13:59"))
    assert not is_quiet(noon, at("2026-06-01T14:00"))
    assert not is_quiet(none, at("2026-06-01T10:00"))
    assert not is_quiet(Hours(), at("2026-06-01T03:00"))
    assert quiet_ends(Hours(), 5.0) == 5.0


def test_digests_come_at_their_hours_and_once_where_an_hour_comes_twice() -> None:
    hours = Hours(zone="Europe/Berlin", digests=(2 * 60 + 30, 18 * 60))
    moment = at("2026-10-24T12:00")
    found: list[float] = []
    while (following := next_digest(hours, moment)) is not None and len(found) < 4:
        found.append(moment := following)

    assert found == [
        at("2026-10-24T16:00"), at("2026-10-25T00:30"), at("2026-10-25T17:00"),
        at("2026-10-26T01:30"),
    ]  # fmt: skip
    assert next_digest(Hours(), moment) is None


def test_a_time_zone_has_to_be_known() -> None:
    for name in ("Europe/Nowhere", "../../etc/passwd", "", "Europe", "\0"):
        with pytest.raises(ZoneUnknown):
            zone_of(name)


@given(
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    quiet=st.tuples(st.integers(0, DAY_MINUTES - 1), st.integers(0, DAY_MINUTES - 1)),
    digests=st.lists(st.integers(0, DAY_MINUTES - 1), max_size=4).map(tuple),
    wall=st.floats(1.7e9, 2.0e9),
)
def test_every_quiet_hour_ends_and_every_digest_comes(
    zone: str, quiet: tuple[int, int], digests: tuple[int, ...], wall: float
) -> None:
    hours = Hours(zone=zone, quiet=quiet, digests=digests)

    if is_quiet(hours, wall):
        end = quiet_ends(hours, wall)
        assert wall < end <= wall + 26 * 3600
        assert not is_quiet(hours, end)
    following = next_digest(hours, wall)
    assert following is None if not digests else wall < (following or 0) <= wall + 26 * 3600
