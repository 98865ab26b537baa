"""Further devices of one person, put there by hand: whoever has her person key, and a place on her
card and at her gateway."""

from dataclasses import replace

from gateway.sync.store import SyncStore
from peer.keys.person import Device, Identity, PersonKey
from peer.keys.primitives import system_random
from peer.me import Me
from peer.store import Store
from tests.peer.household import Box, Household, Phone
from wire.card import Card, DeviceEntry, Signed, StatementKind
from wire.codec import encode


def store_of(phone: Phone) -> Store:
    """Return the file of a phone whose app is open."""
    return phone.peer._store


def me(phone: Phone) -> Me:
    """Return whose phone it is."""
    return Me(store_of(phone))


async def another(house: Household, box: Box, phone: Phone) -> Phone:
    """Return a new device of the person whose phone this is, empty, with a seat at `box`."""
    house._count += 1
    new = Phone(phone.name, house.folder / f"phone-{house._count}", house.hands)
    house._stack.push_async_callback(new.close)
    await new.open()
    return await put_in(new, box, phone)


async def put_in(new: Phone, box: Box, phone: Phone) -> Phone:
    """Make an empty phone a device of the person whose phone this is."""
    mine, store = me(phone), store_of(new)
    device = Device.generate(system_random)
    card = mine.card
    entry = DeviceEntry(device.key, device.exchange.public)
    newest = card.history[-1].statement
    key = mine.identity.device
    statement = replace(
        newest,
        kind=StatementKind.DEVICE,
        seq=newest.seq + 1,
        prev=card.position.hash,
        devices=tuple(sorted((*newest.devices, entry), key=lambda one: one.key.raw)),
        signer=key.key.raw,
    )
    extended, _ = card.take(Signed.make(statement, key.signing))
    chain = encode(list(extended.chain))
    with store_of(phone).transaction():
        mine.take_statements(extended.chain)
    with store.transaction():
        identity = Identity(mine.person, device, mine.identity.person_key)
        store.vault.keep_identity(identity, seed=None)
        for one in store_of(phone).vault.person_keys():
            store.vault.keep_person_key(one)
        recovery = store_of(phone).vault.recovery_public()
        if recovery is not None:
            store.vault.keep_recovery_public(recovery)
        store.keep_note("name", phone.name.encode())
        store.keep_note("card", chain)
        store.keep_note("gateway", mine.needs_home().encode())
    sync = SyncStore(box.gateway.database, clock=new.hands.steady_clock(), limit_bytes=1 << 30)
    await sync.enrol(extended, device.key, request=b"r" * 32, nonce=b"n" * 16)
    return new


def learn_contacts(new: Phone, phone: Phone) -> None:
    """Let a device know the contacts of another one."""
    rows = phone.rows("SELECT person, name, introduced, chain, verified, added FROM contact")
    with store_of(new).transaction() as db:
        db.executemany(
            "INSERT OR IGNORE INTO contact (person, name, introduced, chain, verified, added)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )


async def all_texts(phone: Phone) -> list[str]:
    """Return the texts of all letters on a phone, in and out, in their order."""
    reading = await phone.peer.read(everything=True)
    return [one.text for one in reading.letters]


def revoking(phone: Phone, other: Phone) -> Card:
    """Let a device take another one off the card, and turn the person key; return the card."""
    mine = me(phone)
    newest, key = mine.card.history[-1].statement, PersonKey.generate(2, system_random)
    gone = me(other).identity.device.key
    statement = replace(
        newest,
        kind=StatementKind.DEVICE,
        seq=newest.seq + 1,
        prev=mine.card.position.hash,
        devices=tuple(one for one in newest.devices if one.key != gone),
        person_generation=key.generation,
        person_public=key.box.public,
        signer=mine.identity.device.key.raw,
    )
    extended, _ = mine.card.take(Signed.make(statement, mine.identity.device.signing))
    with store_of(phone).transaction():
        mine.take_statements(extended.chain)
        store_of(phone).vault.keep_person_key(key)
    return extended
