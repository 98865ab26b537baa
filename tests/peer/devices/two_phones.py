"""A second device of a person, put on the card by the first and given what it needs by hand."""

from peer.keys.person import Device, Identity
from peer.keys.primitives import system_random
from peer.keys.vault import Vault
from tests.peer.household import Box, Household, Phone
from wire.card import DeviceEntry, Role, Signed, Statement, StatementKind
from wire.statements import CARD_SECONDS


async def second_device(house: Household, first: Phone, box: Box | None = None) -> Phone:
    """Return a further device of the person of `first`, paired with `box` if there is one.

    It has the person key, the card and a place to log in; all else it has to hear.
    """
    me = first.peer.me
    device = Device.generate(system_random)
    entry = DeviceEntry(device.key, device.exchange.public, Role.COMPUTER)
    list_devices(first, [*me.card.devices, entry])
    phone = Phone(first.name, house.folder / f"{first.home.name}-{device.id.text[:4]}", house.hands)
    house._stack.push_async_callback(phone.close)
    store = (await phone.open())._store
    with store.transaction():
        vault: Vault = store.vault
        vault.keep_identity(
            Identity(me.person, device, first.peer._store.vault.person_keys()[-1]), seed=None
        )
        for key in reversed(first.peer._store.vault.person_keys()):
            vault.keep_person_key(key)
        store.keep_note("card", first.peer._store.note("card"))
    if box is not None:
        await first.peer.try_state()
        await box.pair(phone)
    return phone


def list_devices(phone: Phone, devices: list[DeviceEntry]) -> None:
    """Let the card of the phone's person list these devices, and nobody else."""
    store, me = phone.peer._store, phone.peer.me
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
        issued=int(phone.hands.now()),
        expires=int(phone.hands.now()) + CARD_SECONDS,
        signer=me.identity.device.key.raw,
    )
    signed = Signed.make(statement, me.identity.device.signing)
    with store.transaction():
        me.take_statements((signed.encode(),))
    assert {one.id for one in phone.peer.me.card.devices} == {one.id for one in devices}
