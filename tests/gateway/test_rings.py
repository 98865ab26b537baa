"""A gateway that wakes nobody keeps nothing and costs nothing."""

import sqlite3
from contextlib import closing

from gateway.rings import Attention, InTransaction, NobodyListens, NobodyRings
from wire.ids import DeviceId, LaneId, SeatId
from wire.lanes import WakeRule

SEAT, DEVICE, LANE = SeatId(b"S" * 16), DeviceId(b"D" * 16), LaneId(b"L" * 16)


def test_nobody_rings() -> None:
    nobody: InTransaction = NobodyRings()
    with closing(sqlite3.connect(":memory:")) as store:
        rings = nobody.stored(
            store, seat=SEAT, seq=1, lane=LANE, rule=WakeRule.WAKE, wakes_per_day=9, now=0.0
        )
        nobody.fetched(store, DEVICE)
        nobody.settle(store)
        nobody.forget()
        assert store.total_changes == 0
    assert list(rings) == []


def test_nobody_listens() -> None:
    nobody: Attention = NobodyListens()

    nobody.arrived([])
    nobody.here(SEAT, DEVICE)
    nobody.left(SEAT, DEVICE)
    nobody.fetched(SEAT, DEVICE, 1)
    nobody.holds(SEAT, DEVICE, 1)
    nobody.gone([DEVICE])
    nobody.seat_gone(SEAT)
