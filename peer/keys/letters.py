"""Letters, from a signed item to a parcel's body and back: what the rest of the peer calls.

Sealing and opening work inside a transaction of the phone's file that the caller holds: whoever
seals stores the parcel in it, whoever opens stores the item in it. After a crash either all of that
is there or none. A parcel that is refused changes nothing but the note that its number was seen,
so that it counts as missing and is asked for again (docs/protocol.md §8.4, §8.5).
"""

from collections.abc import Iterable, Sequence
from typing import Final

from peer.items.kinds import MAX_RANGES, Gone, Range, Resend, Reset
from peer.keys.keyring import Keyring
from peer.keys.opening import Opener, Received, Refused
from peer.keys.primitives import Random, system_random
from peer.keys.ratchet import DoubleRatchet, Ratchet
from peer.keys.sealing import SealedLetter, Sealer
from peer.keys.signed_items import SignedItem
from peer.keys.vault import Vault
from wire.card import Card
from wire.ids import DeviceId, ParcelId, PersonId
from wire.prekeys import Bundle

__all__ = ["Letters", "Received", "Refused", "SealedLetter"]

MAX_LEAP: Final = 1 << 20
"""Numbers that a contact may make us skip: a phone set back has not sent more since."""


class Letters:
    """Seals and opens with the keys of one device.

    Args:
        vault: where the keys lie; `begin_person` has put them there.
        random: where keys, nonces and parcel ids come from.
        ratchet: the steps of a session.
    """

    def __init__(
        self, vault: Vault, *, random: Random = system_random, ratchet: Ratchet | None = None
    ) -> None:
        steps = DoubleRatchet(random) if ratchet is None else ratchet
        self._keys = Keyring(vault)
        self._sealer = Sealer(self._keys, ratchet=steps, random=random)
        self._opener = Opener(self._keys, ratchet=steps)

    def wants_bundles(self, to: Card, *, now: float) -> tuple[DeviceId, ...]:
        """See `Sealer.wants_bundles`."""
        return self._sealer.wants_bundles(to, now=now)

    def seal(
        self,
        item: SignedItem,
        *,
        to: Card,
        own: Card,
        now: float,
        bundles: Sequence[Bundle] = (),
        again: int = 0,
        partly: bool = False,
    ) -> SealedLetter:
        """See `Sealer.seal`."""
        return self._sealer.seal(
            item, to=to, own=own, now=now, bundles=bundles, again=again, partly=partly
        )

    def open(
        self, body: bytes, *, parcel: ParcelId, sender: Card, own: Card, now: float
    ) -> Received | Refused:
        """See `Opener.open`."""
        return self._opener.open(body, parcel=parcel, sender=sender, own=own, now=now)

    def missing(self, person: PersonId) -> tuple[Resend, ...]:
        """Return what to ask for: a `resend` for each device with letters that did not come."""
        return tuple(
            Resend(device, ranges[:MAX_RANGES])
            for device, ranges in self._keys.vault.numbers.missing(person).items()
        )

    def take_gone(self, person: PersonId, gone: Gone) -> None:
        """Stop asking for what a contact can send no more, inside a transaction."""
        self._keys.vault.numbers.keep_gone(person, gone.device, gone.ranges)

    def ask_reset(
        self, sender: Card, device: DeviceId, *, repeated: Iterable[int] = (), now: float
    ) -> Reset | None:
        """Return the request to begin again, None if this device was asked within a day.

        Our own sessions with that device are closed, so that the request travels in a new one.

        Args:
            sender: the contact's card.
            device: whose letters cannot be opened.
            repeated: numbers under which a second letter came.
            now: Unix seconds.
        """
        entry = sender.device(device)
        if entry is None:
            return None
        numbers = self._keys.vault.numbers
        if not numbers.may_reset(sender.person, device, asked=False, now=now):
            return None
        self._keys.vault.sessions.close(sender.person, entry.key)
        wanted = [Range(one, one) for one in sorted(set(repeated))]
        wanted += numbers.missing(sender.person).get(device, ())
        return Reset(device, numbers.highest(sender.person, device), tuple(wanted[:MAX_RANGES]))

    def obey_reset(self, sender: Card, asking: DeviceId, reset: Reset, *, now: float) -> bool:
        """Begin again towards a device that asked for it; False: not ours, or asked before today.

        What it names is then to be sent again, under new numbers.
        """
        entry = sender.device(asking)
        if entry is None or reset.device != self._keys.identity.device.id:
            return False
        numbers = self._keys.vault.numbers
        if not numbers.may_reset(sender.person, asking, asked=True, now=now):
            return False
        self._keys.vault.sessions.close(sender.person, entry.key)
        ours = numbers.last_number(sender.person)
        numbers.count_from(sender.person, min(reset.highest, ours + MAX_LEAP))
        return True
