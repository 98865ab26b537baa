"""A second device of a person, put on the card by the first and given what it needs by hand."""

from peer.keys.person import Device, Identity
from peer.keys.primitives import system_random
from peer.me import Me
from peer.store import Store
from tests.peer.household import Box, Household, Phone
from wire.card import DeviceEntry, Role, Signed, Statement, StatementKind
from wire.statements import CARD_SECONDS


async def second_device(house: Household, first: Phone, box: Box | None = None) -> Phone:
    """Return a further device of the person of `first`, paired with `box` if there is one.

    It has the person key, the card and a place to log in; all else it has to hear.
    """
    count = len(first.peer.me.card.devices)
    phone = Phone(first.name, house.folder / f"{first.home.name}-{count}", house.hands)
    house._stack.push_async_callback(phone.close)
    begin_second(first.peer._store, (await phone.open())._store, now=house.hands.now())
    if box is not None:
        await first.peer.try_state()
        await box.pair(phone)
    return phone


def begin_second(first: Store, second: Store, *, now: float) -> None:
    """Make the phone of `second` a further device of the person of `first`."""
    me, device = Me(first), Device.generate(system_random)
    entry = DeviceEntry(device.key, device.exchange.public, Role.COMPUTER)
    state_devices(first, [*me.card.devices, entry], now=now)
    keys = first.vault.person_keys()
    with second.transaction():
        second.vault.keep_identity(Identity(me.person, device, keys[-1]), seed=None)
        for key in reversed(keys):
            second.vault.keep_person_key(key)
        second.keep_note("card", first.note("card"))


def list_devices(phone: Phone, devices: list[DeviceEntry]) -> None:
    """Let the card of the phone's person list these devices, and nobody else."""
    state_devices(phone.peer._store, devices, now=phone.hands.now())


def state_devices(store: Store, devices: list[DeviceEntry], *, now: float) -> None:
    """Sign a statement that lists these devices under the newest person key, and keep it."""
    me = Me(store)
    card, position = me.card, me.card.position
    key = store.vault.identity().person_key
    statement = Statement(
        StatementKind.DEVICE,
        card.root_key,
        epoch=position.epoch,
        seq=position.seq + 1,
        prev=position.hash,
        devices=tuple(sorted(devices, key=lambda one: one.key.raw)),
        person_generation=key.generation,
        person_public=key.box.public,
        gateways=card.gateways,
        issued=int(now),
        expires=int(now) + CARD_SECONDS,
        signer=me.identity.device.key.raw,
    )
    signed = Signed.make(statement, me.identity.device.signing)
    with store.transaction():
        me.take_statements((signed.encode(),))
    assert {one.id for one in me.card.devices} == {one.id for one in devices}
