"""The state of a session between two steps, and the step that most messages are: one key on.

    state   form (1) || which chains there are (1) || own ratchet key, secret half (32) || its
            public half (32) || the other's ratchet key (32) || root chain || sending chain ||
            receiving chain || length of the sending chain before (4)
    chain   messages so far (4, big-endian) || chain key (32)

A message in the chain of the one before needs no agreement: the chain key gives the message's key
and the next chain key (docs/protocol.md §6.6). The public half follows from the secret one; it
stands here because deriving it would cost as much as all the rest of such a step.
"""

import hmac
import struct
from dataclasses import dataclass, field
from typing import Final

from peer.keys.errors import Damaged
from peer.keys.primitives import KEY_BYTES, Exchange
from wire.codec import Value, decode
from wire.errors import Malformed

FORM: Final = 2
_LAYOUT: Final = struct.Struct(">BB32s32s32sI32sI32sI32sI")
_RECEIVING, _PREVIOUS = 1, 2
_FIRST_FORM: Final = 0xA7
"""How a state of the first form begins: as a CBOR map of seven."""
_FIRST_FORM_LIMIT: Final = 512


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of message keys: how many it has given, and the key from which the next follows."""

    length: int
    key: bytes = field(repr=False)

    def step(self) -> tuple["Chain", bytes]:
        """Return the chain after one more message, and the key (32 bytes) of that message.

        HMAC of 2 is the next chain key, HMAC of 1 the message key, as the source recommends.
        """
        following = hmac.digest(self.key, b"\x02", "sha256")
        return Chain(self.length + 1, following), hmac.digest(self.key, b"\x01", "sha256")


_NO_CHAIN: Final = Chain(0, bytes(32))


@dataclass(frozen=True, slots=True)
class State:
    """What one end of a session knows; keys of skipped messages are not part of it."""

    own: bytes = field(repr=False)
    own_public: bytes
    other: bytes
    root: Chain
    sending: Chain
    receiving: Chain | None
    previous: int | None
    """Messages in the sending chain before."""

    @classmethod
    def load(cls, data: bytes) -> "State":
        """Read what `save` gave, or a state of the first form.

        Raises:
            Damaged: it is neither.
        """
        if len(data) != _LAYOUT.size or data[0] != FORM:
            return _first_form(data)
        _form, there, own, public, other, *chains = _LAYOUT.unpack(data)
        return cls(
            own,
            public,
            other,
            Chain(chains[0], chains[1]),
            Chain(chains[2], chains[3]),
            Chain(chains[4], chains[5]) if there & _RECEIVING else None,
            chains[6] if there & _PREVIOUS else None,
        )

    def save(self) -> bytes:
        """Return the bytes to store; they hold secrets."""
        receiving = self.receiving or _NO_CHAIN
        there = _RECEIVING * (self.receiving is not None)
        there |= _PREVIOUS * (self.previous is not None)
        return _LAYOUT.pack(
            FORM,
            there,
            self.own,
            self.own_public,
            self.other,
            self.root.length,
            self.root.key,
            self.sending.length,
            self.sending.key,
            receiving.length,
            receiving.key,
            self.previous or 0,
        )

    def sent(self, chain: Chain) -> "State":
        """Return the state after a message was sealed in the sending chain."""
        own, public, other = self.own, self.own_public, self.other
        return State(own, public, other, self.root, chain, self.receiving, self.previous)

    def heard(self, chain: Chain) -> "State":
        """Return the state after a message was opened in the receiving chain."""
        own, public, other = self.own, self.own_public, self.other
        return State(own, public, other, self.root, self.sending, chain, self.previous)


def _first_form(data: bytes) -> State:
    if data[:1] != bytes([_FIRST_FORM]):
        raise Damaged("the state of a session has another form")
    try:
        value = decode(data, limit=_FIRST_FORM_LIMIT)
    except Malformed as error:
        raise Damaged(f"the state of a session is not readable: {error}") from None
    match value:
        case {
            0: 1,
            1: bytes(own),
            2: bytes(other),
            3: [int(length), bytes(key)],
            4: [int(sent), bytes(sending)],
            5: receiving,
            6: int() | None as previous,
        } if {len(one) for one in (own, other, key, sending)} == {KEY_BYTES}:
            chains = Chain(length, key), Chain(sent, sending), _first_form_chain(receiving)
            return State(own, Exchange(own).public, other, *chains, previous)
    raise Damaged("the state of a session has another form")


def _first_form_chain(value: Value) -> Chain | None:
    match value:
        case None:
            return None
        case [int(length), bytes(key)] if len(key) == KEY_BYTES:
            return Chain(length, key)
    raise Damaged("the state of a session has a chain of another form")
