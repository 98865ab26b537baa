"""A rendezvous slot: where two phones that have just met leave four short messages.

The phone that shows the code opens the slot at its own gateway and is the host; whoever read the
code is the guest. Messages 1 and 3 are the guest's, 2 and 4 the host's; each is written once and
may be written again only word for word (docs/protocol.md §11).
"""

from typing import Final

MESSAGES: Final = 4
MAX_MESSAGE: Final = 32 * 1024
"""Bytes of one message: the card of a person with ten devices fits, sixteen times stated anew."""
SLOT_SECONDS: Final = 600
SIDE_BYTES: Final = 16
"""Bytes of the random word by which a guest is known again."""
MAX_SLOTS: Final = 64
"""Slots open at once on one gateway; three for each seat."""
MAX_SLOTS_OF_SEAT: Final = 3

GUEST_MESSAGES: Final = frozenset({1, 3})
HOST_MESSAGES: Final = frozenset({2, 4})
