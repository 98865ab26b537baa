"""A whole gateway without a socket in front of it: real keys, real store, a clock with hands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from quart.typing import TestClientProtocol as Client

from gateway.app import STORE_NAME, Gateway, open_gateway
from gateway.config import Config
from gateway.database.folder import hold_folder
from gateway.identity import load_identity
from gateway.lan.addresses import InterfaceAddress
from gateway.relay.outbound import Outbound
from tests.gateway.hands import Hands
from wire.auth import Channel
from wire.codes import GatewayCode
from wire.pairing import PairAnswer, PairRequest

HOME = InterfaceAddress("eth0", "192.168.1.20", default_route=True)
PORT = 4433


@dataclass
class Box:
    """What a test needs of a gateway."""

    gateway: Gateway
    hands: Hands
    failures: list[str] = field(default_factory=list)

    @property
    def phones(self) -> Client:
        """Asks as a phone does."""
        return self.gateway.app.test_client()

    @property
    def owner(self) -> Client:
        """Asks as the owner's commands do."""
        return self.gateway.control.test_client()

    @property
    def channel(self) -> Channel:
        """What requests are bound to."""
        return self.gateway.identity.channel

    async def show(self) -> tuple[str, GatewayCode]:
        """Show a code as the owner does; return the pairing's name and the code."""
        shown = await (await self.owner.post("/pair")).get_json()
        return shown["id"], GatewayCode.parse(shown["code"])

    async def ask(self, request: PairRequest, *, path: str = "/v1/pair") -> PairAnswer:
        """Send a pairing request that must be answered."""
        response = await self.phones.post(path, data=request.encode())
        assert response.status_code == 200, await response.get_data(as_text=True)
        return PairAnswer.decode(await response.get_data(as_text=False))

    async def refused(self, request: PairRequest) -> tuple[int, str]:
        """Send a pairing request that must be refused; return status and code."""
        response = await self.phones.post("/v1/pair", data=request.encode())
        return response.status_code, (await response.get_json())["error"]

    async def say(self, id: str, *, same: bool) -> str:
        """Answer for the owner; return the state."""
        answer = await (await self.owner.post(f"/pair/{id}", json={"same": same})).get_json()
        state: str = answer["state"]
        return state


@asynccontextmanager
async def open_box(
    folder: Path,
    *,
    hands: Hands | None = None,
    outbound: Outbound | None = None,
    **settings: object,
) -> AsyncIterator[Box]:
    """Open a gateway on `folder`; the second time it is the same one."""
    config = Config(data=folder, **settings)  # type: ignore[arg-type]  # as the test writes them
    hands, failures = hands or Hands(), list[str]()
    with hold_folder(folder):
        identity = load_identity(folder, fresh=not (folder / STORE_NAME).exists())
        async with open_gateway(
            config,
            identity=identity,
            port=PORT,
            on_fatal=failures.append,
            clock=hands,
            addresses=lambda: [HOME],
            outbound=outbound,
        ) as gateway:
            yield Box(gateway, hands, failures)
