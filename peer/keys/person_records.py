"""Makes the records of person keys, and takes from others' what this device may have.

    s of a generation  ->  a box for each device       a new device needs only the newest record
                       ->  a box for the kit           the phone need not hold the seed for it
    s of the one before, sealed under this one         and so back to the first

A record counts for nothing by itself: the card says which box key is in force, and only the secret
that belongs to it is taken (docs/protocol.md §14.1).
"""

from collections.abc import Sequence

from peer.keys.errors import Broken, KeysError
from peer.keys.person import Device, PersonKey
from peer.keys.primitives import KEY_BYTES, Exchange, Random, seal, system_random, unseal
from peer.keys.vault import Vault
from wire.card import Card
from wire.ids import PersonId
from wire.kdf import framed, hkdf
from wire.person_keys import PersonKeyRecord

RECOVERY = b"recovery"
"""Stands for the kit where a device's id would stand."""


def make_record(vault: Vault, card: Card, *, key: PersonKey) -> PersonKeyRecord | None:
    """Return the record of `key` for all devices of `card`; None where the kit is not known yet.

    Args:
        vault: has our own keys.
        card: our card, which names this key.
        key: of the generation in force.
    """
    recovery = vault.recovery_public()
    if recovery is None:
        return None
    before = next((one for one in vault.person_keys() if one.generation < key.generation), None)
    device = vault.identity().device
    return write_record(
        card, device, key=key, before=before, recovery=recovery, random=system_random
    )


def write_record(
    card: Card,
    device: Device,
    *,
    key: PersonKey,
    before: PersonKey | None,
    recovery: bytes,
    random: Random,
) -> PersonKeyRecord:
    """Return the record of `key` for all devices of `card`, signed by this one.

    Args:
        card: our card, which names this key.
        device: who signs.
        key: of the generation in force.
        before: of the generation before; None for the first.
        recovery: the public half of the recovery box key.
        random: for the boxes.
    """
    boxes = [
        (one.id, _box(key, card.person, to=one.exchange_key, name=one.id.raw, random=random))
        for one in card.devices
    ]
    return PersonKeyRecord(
        card.person,
        key.generation,
        key.box.public,
        card.position.hash,
        tuple(sorted(boxes, key=lambda one: one[0].raw)),
        (recovery, _box(key, card.person, to=recovery, name=RECOVERY, random=random)),
        None if before is None else (before.generation, _under(key, before, random=random)),
        device.key,
    ).signed(device.signing)


def open_record(record: PersonKeyRecord, device: Device) -> PersonKey:
    """Return the person key that a record holds for this device.

    Raises:
        Broken: there is no box for it, or the secret is not that of the record's box key.
        WeakKey: the box was made with a key of low order.
    """
    box = dict(record.devices).get(device.id)
    if box is None:
        raise Broken("the record holds no box for this device")
    return _open(record, box, exchange=device.exchange, name=device.id.raw)


def open_for_recovery(record: PersonKeyRecord, recovery: Exchange) -> PersonKey:
    """Return the person key that a record holds for the kit.

    Raises:
        Broken: it was not sealed to this kit.
        WeakKey: the box was made with a key of low order.
    """
    return _open(record, record.recovery[1], exchange=recovery, name=RECOVERY)


def older_keys(key: PersonKey, records: Sequence[PersonKeyRecord]) -> tuple[PersonKey, ...]:
    """Return the person keys before `key`, the newest first, as far as the records lead back."""
    found, at = list[PersonKey](), {one.generation: one for one in records}
    while (record := at.get(key.generation)) is not None and record.previous is not None:
        if record.public != key.box.public or record.previous[0] >= key.generation:
            break
        generation, sealed = record.previous
        try:
            seed = unseal(_chain_key(key), sealed, about=_about_previous(key, generation))
        except KeysError:
            break
        key = PersonKey(generation, seed)
        found.append(key)
    return tuple(found)


def learn(vault: Vault, card: Card, records: Sequence[PersonKeyRecord]) -> bool:
    """Take the person keys that records hold for this device, inside a transaction.

    Returns:
        whether the key that the card names is here now.
    """
    newest = next((one for one in records if one.opens(card)), None)
    held = next((one for one in vault.person_keys() if _is_of(one, card)), None)
    if held is None and newest is not None and _signed_by_active(newest, card):
        try:
            held = open_record(newest, vault.identity().device)
        except KeysError:
            held = None
    if held is None:
        return False
    vault.keep_person_key(held)
    if newest is not None and _signed_by_active(newest, card) and not vault.recovery_public():
        vault.keep_recovery_public(newest.recovery[0])
    have = {(one.generation, one.seed) for one in vault.person_keys()}
    for one in older_keys(held, records):
        if (one.generation, one.seed) not in have:
            vault.keep_person_key(one)
    return True


def _is_of(key: PersonKey, card: Card) -> bool:
    return (key.generation, key.box.public) == (card.person_generation, card.person_public)


def _signed_by_active(record: PersonKeyRecord, card: Card) -> bool:
    return card.device(record.signer.device) is not None


def _box(key: PersonKey, person: PersonId, *, to: bytes, name: bytes, random: Random) -> bytes:
    ephemeral = Exchange.generate(random)
    inner = _box_key(ephemeral.agree(to), ephemeral=ephemeral.public, to=to)
    about = _about(person, key.generation, name)
    return ephemeral.public + seal(inner, key.seed, about=about, random=random)


def _open(record: PersonKeyRecord, box: bytes, *, exchange: Exchange, name: bytes) -> PersonKey:
    ephemeral, sealed = box[:KEY_BYTES], box[KEY_BYTES:]
    inner = _box_key(exchange.agree(ephemeral), ephemeral=ephemeral, to=exchange.public)
    seed = unseal(inner, sealed, about=_about(record.person, record.generation, name))
    key = PersonKey(record.generation, seed)
    if key.box.public != record.public:
        raise Broken("the secret in the record is not that of its box key")
    return key


def _box_key(agreed: bytes, *, ephemeral: bytes, to: bytes) -> bytes:
    return hkdf(agreed, info=framed("person-key-box", ephemeral, to))


def _about(person: PersonId, generation: int, name: bytes) -> bytes:
    return framed("person-key-for", person.raw, generation.to_bytes(8, "big"), name)


def _under(key: PersonKey, before: PersonKey, *, random: Random) -> bytes:
    about = _about_previous(key, before.generation)
    return seal(_chain_key(key), before.seed, about=about, random=random)


def _chain_key(key: PersonKey) -> bytes:
    return hkdf(key.seed, info=b"homepost/person-before/1")


def _about_previous(key: PersonKey, generation: int) -> bytes:
    numbers = (key.generation.to_bytes(8, "big"), generation.to_bytes(8, "big"))
    return framed("person-before", *numbers)
