"""Every answer of a push service means one thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.push.bell import LONGEST_RETRY_SECONDS
from gateway.push.outcomes import (
    KEEP_SECONDS,
    Dead,
    Later,
    Outcome,
    Taken,
    Wrong,
    outcome_of,
    retry_after,
)

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (201, {}, Taken(KEEP_SECONDS)),
        (200, {"ttl": "3600"}, Taken(3600.0)),
        (202, {"ttl": "99999999"}, Taken(KEEP_SECONDS)),
        (201, {"ttl": "soon"}, Taken(KEEP_SECONDS)),
        (201, {"retry-after": "60"}, Taken(KEEP_SECONDS)),  # 35: sent, and not once more
        (404, {}, Dead()),
        (410, {"retry-after": "60"}, Dead()),
        (429, {"retry-after": "120"}, Later(120.0, everybody=True)),
        (429, {}, Later(60.0, everybody=True)),
        (503, {"retry-after": "120"}, Later(120.0, everybody=True)),
        (503, {}, Later(None)),
        (408, {}, Later(None)),
        (500, {}, Later(None)),
        (502, {}, Later(None)),
        (507, {}, Later(None)),
        (301, {"location": "https://127.0.0.1/"}, Later(None)),
        (307, {}, Later(None)),
        (100, {}, Later(None)),
        (400, {}, Wrong("does not take what we push (status 400)")),
        (413, {}, Wrong("does not take what we push (status 413)")),
        (401, {}, Wrong("does not take our signature (status 401)")),
        (403, {}, Wrong("does not take our signature (status 403)")),
    ],
)
def test_49_what_an_answer_means(status: int, headers: dict[str, str], outcome: Outcome) -> None:
    assert outcome_of(status, headers, now=NOW) == outcome


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("0", 1.0),
        ("-5", None),
        ("1000000000", LONGEST_RETRY_SECONDS),
        ("9" * 400, None),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 1.0),
        ("Fri, 99 Foo 2027 07:00:00 GMT", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_34_a_time_to_wait_is_read_or_left_alone(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, now=NOW) == seconds


@given(st.integers(0, 999), st.dictionaries(st.sampled_from(["ttl", "retry-after"]), st.text()))
def test_no_answer_is_too_odd(status: int, headers: dict[str, str]) -> None:
    match outcome_of(status, headers, now=NOW):
        case Taken(kept):
            assert 0 <= kept <= KEEP_SECONDS
        case Later(wait):
            assert wait is None or 1 <= wait <= LONGEST_RETRY_SECONDS
        case Dead():
            assert status in (404, 410)
