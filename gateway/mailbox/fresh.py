"""Parcels that were stored a moment ago, for a device that is here: they need not be read again.

Only a few, and only while they are the next that the device is sent; all others come from the
store. Numbers in a mailbox leave nothing out when they are given, so that a row of them without a
gap is all there is.
"""

from typing import Final

from wire.frames import MAX_PARCELS, StoredRow
from wire.parcel import HEADER_BYTES, Parcel

KEPT_BYTES: Final = 256 * 1024
"""Bytes that are kept for one device: some hundred letters, or a photo."""


class Fresh:
    """What one device has not been sent yet, as far as it is at hand."""

    def __init__(self) -> None:
        self._rows: dict[int, StoredRow] = {}
        self._bytes = 0

    def add(self, seq: int, parcel: Parcel) -> None:
        """Keep a parcel that was stored; with too many, keep none."""
        self._bytes += HEADER_BYTES + len(parcel.body)
        if self._bytes > KEPT_BYTES or len(self._rows) >= MAX_PARCELS:
            self.clear()
            return
        life = int(parcel.lifetime)
        self._rows[seq] = (seq, parcel.lane.raw, parcel.id.raw, life, parcel.purge, parcel.body)

    def take(self, first: int, last: int) -> list[StoredRow]:
        """Return the parcels from number `first` on, without a gap and up to `last`, and keep none.

        It is empty if the first is not at hand.
        """
        found = list[StoredRow]()
        while first <= last and (row := self._rows.get(first)) is not None:
            found.append(row)
            first += 1
        if first > last:
            self._rows = {seq: row for seq, row in self._rows.items() if seq > last}
            self._bytes = sum(HEADER_BYTES + len(row[5]) for row in self._rows.values())
        else:
            self.clear()
        return found

    def clear(self) -> None:
        """Keep none."""
        self._rows.clear()
        self._bytes = 0
