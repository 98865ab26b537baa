"""Keys and cards for tests: made from names, so that a test reads as a story and repeats itself."""

import hashlib
from dataclasses import replace
from typing import Any

from nacl.bindings import crypto_scalarmult_base
from nacl.signing import SigningKey

from wire.card import NO_PREVIOUS, DeviceEntry, Role, Signed, Statement, StatementKind
from wire.ids import DeviceKey, PersonId
from wire.signing import sign

ISSUED = 1_800_000_000
EXPIRES = 1_900_000_000


def named(name: str, size: int = 32) -> bytes:
    """Return bytes that only this name has."""
    return hashlib.shake_256(name.encode()).digest(size)


def signing(name: str) -> SigningKey:
    """Return the Ed25519 key of this name."""
    return SigningKey(named(f"signing {name}"))


def public(name: str) -> bytes:
    """Return the Ed25519 public key of this name."""
    return bytes(signing(name).verify_key)


def exchange(name: str) -> bytes:
    """Return the X25519 public key of this name."""
    return crypto_scalarmult_base(named(f"exchange {name}"))


def device(name: str) -> DeviceKey:
    """Return the key of the device of this name."""
    return DeviceKey(public(name))


def entries(*names: str) -> tuple[DeviceEntry, ...]:
    """Return devices as a card lists them."""
    found = [DeviceEntry(device(name), exchange(name), Role.PHONE) for name in names]
    return tuple(sorted(found, key=lambda one: one.key.raw))


PERSON = PersonId.of_root(public("root"))


def birth(*names: str, epoch: int = 1, by: str = "root", **changes: Any) -> Signed:
    """Return a root statement that lists the devices `names`."""
    statement = Statement(
        StatementKind.ROOT,
        public(by),
        epoch=epoch,
        seq=0,
        prev=NO_PREVIOUS,
        devices=entries(*names),
        person_generation=epoch,
        person_public=exchange(f"person {epoch}"),
        gateways=(),
        issued=ISSUED,
        expires=EXPIRES,
        signer=public(by),
    )
    return signed(replace(statement, **changes), by)


def step(before: Signed, by: str, *names: str, **changes: Any) -> Signed:
    """Return a device statement on top of `before`; without names, with the same devices."""
    earlier = before.statement
    devices = entries(*names) if names else earlier.devices
    statement = replace(
        earlier,
        kind=StatementKind.DEVICE,
        root_key=earlier.next_root or earlier.root_key,
        seq=earlier.seq + 1,
        prev=before.hash,
        devices=devices,
        signer=public(by),
        next_root=None,
    )
    if not {one.key for one in earlier.devices} <= {one.key for one in devices}:
        generation = earlier.person_generation + 1
        statement = replace(
            statement,
            person_generation=generation,
            person_public=exchange(f"person {generation} {by}"),
        )
    return signed(replace(statement, **changes), by)


def signed(statement: Statement, by: str) -> Signed:
    """Sign `statement` as it is, whether anybody would take it or not."""
    body = statement.body()
    return Signed(statement, body, sign(signing(by), statement.kind.domain, body))
