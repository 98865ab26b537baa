"""Items as they travel: the exact bytes with the signature of the device that wrote them.

    signed item   CBOR [body, signature (64)], signed as "item" by the author's device

The bytes are kept as they came and never written anew, for the signature is over them
(docs/protocol.md §9.1).
"""

from dataclasses import dataclass, field

from peer.items.kinds import (
    MAX_COPY,
    MAX_ITEM,
    NONCE_BYTES,
    Content,
    Copy,
    Item,
    item_id,
    now_as_time,
)
from peer.keys.errors import DeviceUnknown, TooLarge, WrongAuthor
from peer.keys.person import Identity
from peer.keys.primitives import Random, system_random
from wire.card import Card, DeviceEntry
from wire.codec import decode, encode
from wire.errors import Malformed
from wire.ids import ItemId
from wire.signing import sign, verify

SIGNED_LIMIT = MAX_COPY + 128


@dataclass(frozen=True, slots=True)
class SignedItem:
    """An item, its id, and the bytes to keep and to send."""

    id: ItemId
    item: Item
    raw: bytes = field(repr=False)


def write_item(
    content: Content, *, identity: Identity, now: float, random: Random = system_random
) -> SignedItem:
    """Sign `content` as an item of this device.

    Args:
        content: what to say.
        identity: our keys.
        now: Unix seconds by our clock.
        random: where the nonce comes from that makes the id unguessable.

    Raises:
        TooLarge: more than one item holds.
    """
    item = Item(identity.person, identity.device.id, now_as_time(now), random(NONCE_BYTES), content)
    body = item.encode()
    limit = MAX_COPY if isinstance(content, Copy) else MAX_ITEM
    if len(body) > limit:
        raise TooLarge(size=len(body), limit=limit)
    raw = encode([body, sign(identity.device.signing, "item", body)])
    return SignedItem(item_id(body), item, raw)


def read_item(raw: bytes, *, card: Card, vouched: bool = False) -> SignedItem:
    """Verify an item against the card of its author.

    Args:
        raw: as it came.
        card: of whoever shall have written it.
        vouched: whether an active device of theirs has sent it again: then it may be signed by one
            that was taken off since.

    Raises:
        WrongAuthor: it is somebody else's.
        DeviceUnknown: the device is not on the card.
        NotSigned: the signature does not fit.
        Malformed: it is no item.
    """
    match decode(raw, limit=SIGNED_LIMIT):
        case [bytes(body), bytes(signature)]:
            pass
        case _:
            raise Malformed("a signed item is a list of two byte strings")
    item = Item.decode(body)
    if item.author != card.person:
        raise WrongAuthor("the item names another author")
    device = card.device(item.device) or (_once(card, item) if vouched else None)
    if device is None:
        raise DeviceUnknown("the item was signed by a device that is not on the card")
    verify(device.key.raw, "item", body=body, signature=signature)
    return SignedItem(item_id(body), item, raw)


def _once(card: Card, item: Item) -> DeviceEntry | None:
    """Return the author's device as an earlier statement of this card lists it."""
    entries = (entry for one in reversed(card.history) for entry in one.statement.devices)
    return next((entry for entry in entries if entry.id == item.device), None)
