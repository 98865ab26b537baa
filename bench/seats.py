"""Seats at a running gateway: persons whose phone is paired, the lanes they give, their logins.

What an owner's command and a phone do is done here with as little as the protocol allows: a person
has one device, a card of one statement and no contacts.
"""

import json
import os
import secrets
from asyncio import open_unix_connection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from nacl.public import PrivateKey
from nacl.signing import SigningKey

from bench.framing import request, spelled
from bench.links import Address, Link, connect
from wire.auth import Channel, Login
from wire.card import NO_PREVIOUS, DeviceEntry, Signed, Statement, StatementKind
from wire.codec import encode
from wire.codes import GatewayCode
from wire.fields import Fields
from wire.ids import DeviceKey
from wire.lanes import Lane, LaneRight, LaneSecret, WakeRule
from wire.pairing import PairAnswer, PairingState, PairRequest

LANES_AT_A_TIME: Final = 256
"""The most that one request may register (docs/protocol.md §4.2)."""
ROOM: Final = 1 << 38
"""Bytes that may wait on a lane: no limit is to be met."""
SOCKET_NAME: Final = "control.sock"
LOCK_NAME: Final = "gateway.lock"


async def ask_owner(data: Path, method: str, path: str, **body: Any) -> dict[str, Any]:
    """Ask a gateway as its owner's commands do.

    Args:
        data: its folder.
        method: of HTTP.
        path: of the control socket.
        body: what to send, as JSON.
    """
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:  # addresses of Unix sockets end at 108 bytes, and folders do not
        reader, writer = await open_unix_connection(f"/proc/self/fd/{folder}/{SOCKET_NAME}")
    finally:
        os.close(folder)
    json_type = "Content-Type: application/json\r\nConnection: close\r\n"
    writer.write(request(method, path, json.dumps(body).encode(), headers=json_type))
    head, _, content = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    if int(head[9:12]) >= 400:
        raise RuntimeError(f"{method} {path}: {content!r}")
    found: dict[str, Any] = json.loads(content) if content else {}
    return found


def pid_of(data: Path) -> int:
    """Return the process that holds a data folder."""
    return int((data / LOCK_NAME).read_text(encoding="ascii"))


@dataclass
class Seat:
    """A person with one phone that is paired."""

    address: Address
    channel: Channel
    signing: SigningKey
    lanes: list[Lane] = field(default_factory=list)
    """That it gave away, as the gateway knows them."""
    _rests_on: int = 0

    async def login(self, link: Link) -> str:
        """Log in over a connection; return the header that says so on later requests."""
        nonce = (await link.must(request("POST", "/v1/challenge"))).body
        login = Login.sign(self.signing, channel=self.channel, nonce=nonce)
        answer = await link.must(request("POST", "/v1/login", login.encode()))
        bearer = Fields.read(answer.body, limit=100, what="bearer").raw(1)
        return f"Authorization: Bearer {spelled(bearer)}\r\n"

    async def mint(self, count: int) -> list[Lane]:
        """Give away some lanes more; return them."""
        made = [LaneSecret(secrets.token_bytes(32)).at(self.channel.gateway) for _ in range(count)]
        rights = [
            LaneRight(
                lane,
                WakeRule.WAKE,
                wakes_per_day=200,
                bytes_waiting=ROOM,
                expires=0,
                last_tenth=True,
            )
            for lane in made
        ]
        link = await connect(self.address)
        try:
            bearer = await self.login(link)
            for start in range(0, count, LANES_AT_A_TIME):
                some = [one.to_value() for one in rights[start : start + LANES_AT_A_TIME]]
                self._rests_on += 1
                change = encode({0: 1, 1: self._rests_on, 2: some})
                await link.must(request("PUT", "/v1/lanes", change, headers=bearer))
        finally:
            link.close()
        self.lanes += made
        return made


async def pair(data: Path, door: Address, *, address: Address | None = None) -> Seat:
    """Pair a phone of somebody new; return the seat.

    Args:
        data: the gateway's folder.
        door: where it listens with TLS: its certificate is part of every proof.
        address: where it is spoken to afterwards, if that is elsewhere.
    """
    signing = SigningKey.generate()
    device = DeviceEntry(DeviceKey(bytes(signing.verify_key)), _exchange_key())
    shown = await ask_owner(data, "POST", "/pair")
    code = GatewayCode.parse(shown["code"])
    link = await connect(door)
    try:
        channel = Channel.over(code.gateway, certificate=link.certificate())
        wanted = PairRequest.make(
            code.secret,
            channel=channel,
            device=device.key,
            exchange_key=device.exchange_key,
            chain=(_card(device).encode(),),
        )
        await link.must(request("POST", "/v1/pair", wanted.encode()))
        await ask_owner(data, "POST", f"/pair/{shown['id']}", same=True)
        said = replace(wanted, confirmed=True).encode()
        answer = PairAnswer.decode((await link.must(request("POST", "/v1/pair", said))).body)
    finally:
        link.close()
    if answer.state is not PairingState.PAIRED:
        raise RuntimeError(f"a phone could not be paired: {answer.state.name}")
    return Seat(address or door, channel, signing)


def _exchange_key() -> bytes:
    return bytes(PrivateKey.generate().public_key)


def _card(device: DeviceEntry) -> Signed:
    """Return the card of somebody new."""
    root = SigningKey.generate()
    key = bytes(root.verify_key)
    statement = Statement(
        StatementKind.ROOT,
        key,
        epoch=1,
        seq=0,
        prev=NO_PREVIOUS,
        devices=(device,),
        person_generation=1,
        person_public=_exchange_key(),
        gateways=(),
        issued=1_800_000_000,
        expires=1_900_000_000,
        signer=key,
    )
    return Signed.make(statement, root)
