"""Asks a gateway what somebody without a seat may ask: with the root key, or with friends.

It never logs in, and nothing that it says is good on another connection (docs/protocol.md §16.2,
§16.3).
"""

from collections.abc import Callable
from typing import Protocol, TypedDict

from peer.errors import GatewayRefused
from peer.ways.connection import Connection
from peer.ways.gateway_client import ask_nonce, understood
from wire.auth import Channel
from wire.card import MAX_CHAIN, MAX_STATEMENT
from wire.codec import decode
from wire.recovery import Alarm, Ask, Purpose, Recover, RootProof, Told


class ProvesRoot(Protocol):
    """Answers a challenge with the root key, which stays where it is."""

    def __call__(self, *, channel: Channel, nonce: bytes, purpose: Purpose) -> RootProof: ...


class Recovers(Protocol):
    """Answers a challenge as the new device of a root statement."""

    def __call__(self, *, channel: Channel, nonce: bytes) -> Recover: ...


class Asks(Protocol):
    """Answers a challenge with what friends together know."""

    def __call__(self, *, channel: Channel, nonce: bytes) -> Ask: ...


class _Challenge(TypedDict):
    channel: Channel
    nonce: bytes


class _Message(Protocol):
    def encode(self) -> bytes: ...


class RecoveryClient:
    """A gateway, for whoever comes back to it or guards somebody's share."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def card(self, proves: ProvesRoot) -> tuple[bytes, ...]:
        """Return the card of the person whose root key is proved, oldest statement first.

        Raises:
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        data = await self._answer(
            "/v1/recover/card", lambda given: proves(**given, purpose="recover-card")
        )
        with understood():
            value = decode(data, limit=MAX_CHAIN * (MAX_STATEMENT + 8))
        if not isinstance(value, list):
            raise GatewayRefused("malformed", {})
        return tuple(one for one in value if isinstance(one, bytes))

    async def recover(self, recovers: Recovers) -> None:
        """Take a seat with a new device; every other device loses its place there."""
        await self._answer("/v1/recover", lambda given: recovers(**given))

    async def cancel(self, proves: ProvesRoot) -> None:
        """End a request for the share by the root key."""
        await self._answer(
            "/v1/recovery/cancel", lambda given: proves(**given, purpose="recovery-cancel")
        )

    async def ask(self, asks: Asks) -> Told:
        """Ask for the share, or how that stands."""
        data = await self._answer("/v1/recovery/ask", lambda given: asks(**given))
        with understood():
            return Told.decode(data)

    async def notice(self, word: bytes) -> Alarm:
        """Return who has asked for the share of somebody for whom we keep one too."""
        data = await self._connection.ask("POST", "/v1/recovery/notice", body=word)
        with understood():
            return Alarm.decode(data)

    async def _answer(self, path: str, answers: Callable[[_Challenge], _Message]) -> bytes:
        """Answer a challenge; once more if it was used by a try whose own answer was lost."""
        for last in (False, True):
            nonce = await ask_nonce(self._connection)
            given: _Challenge = {"channel": await self._connection.channel(), "nonce": nonce}
            try:
                return await self._connection.ask("POST", path, body=answers(given).encode())
            except GatewayRefused as refused:
                if refused.reason != "challenge-stale" or last:
                    raise
        raise GatewayRefused("challenge-stale", {})
