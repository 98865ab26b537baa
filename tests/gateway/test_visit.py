"""One connection serves a device with its login or the holder of a lane, never both."""

import pytest

from gateway.visit import STATE, DepositWithLogin, Kind, Visit, visit_of


@pytest.mark.parametrize(("first", "second"), [(Kind.LOGIN, Kind.LANE), (Kind.LANE, Kind.LOGIN)])
def test_a_connection_stays_what_it_was_first_used_for(first: Kind, second: Kind) -> None:
    visit = Visit()
    visit.is_for(first)
    visit.is_for(first)

    with pytest.raises(DepositWithLogin):
        visit.is_for(second)
    visit.is_for(first)


def test_requests_on_one_connection_share_their_visit() -> None:
    visit = Visit()

    assert visit_of({"state": {STATE: visit}}) is visit


def test_where_no_listener_keeps_visits_each_request_is_one_of_its_own() -> None:
    assert visit_of({}) is not visit_of({})
    visit_of({}).abort()
