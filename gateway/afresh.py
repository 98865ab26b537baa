"""What begins anew for every seat after its store was put back from a copy, or mended.

epoch        new and random: everything that is held is sent again, and told by its id
prekeys      those for one use go: some were handed out since the copy was made
devices      each has to be confirmed once more, as at pairing: some may have been taken off a card
recovery     requests for a share go: one may wait here that was cancelled since
lanes        stay, and go on taking deposits; those that no device registers again die in a week
"""

import sqlite3

from gateway.clock import SteadyClock
from gateway.database.whole import Rooms
from gateway.mailbox.cursors import begin_epoch
from gateway.mailbox.lanes import relearn
from gateway.mailbox.mending import find_damaged_row, mend_mailboxes
from gateway.sync.mending import find_damaged_card, mend_cards
from gateway.sync.prekeys import drop_one_time
from gateway.sync.recovery import forget_requests
from gateway.sync.state_log import find_damaged_state, mend_state
from gateway.sync.store import OnConfirmed, ask_for_confirmation
from wire.ids import SeatId


def begin_afresh(store: sqlite3.Connection) -> int:
    """Begin everything anew, inside a transaction; return for how many seats."""
    seats = [SeatId(row[0]) for row in store.execute("SELECT seat FROM seat").fetchall()]
    for seat in seats:
        begin_epoch(store, seat, on_new_epoch=[drop_one_time])
    ask_for_confirmation(store)
    forget_requests(store)
    return len(seats)


def rooms() -> Rooms:
    """Return what the rooms know of their rows."""

    def find(store: sqlite3.Connection) -> str | None:
        return find_damaged_row(store) or find_damaged_card(store) or find_damaged_state(store)

    def mend(store: sqlite3.Connection) -> None:
        mend_mailboxes(store)
        mend_cards(store)
        mend_state(store)
        begin_afresh(store)

    return Rooms(find=find, mend=mend)


def relearn_lanes(clock: SteadyClock) -> OnConfirmed:
    """Return what a device's confirmation does to the lanes of its seat."""

    def work(store: sqlite3.Connection, seat: SeatId) -> None:
        relearn(store, seat, now=clock.now())

    return work
