"""One step of the double ratchet: state and message in, new state and message out.

    begin   the initiator's first step        seal   a further message
    accept  the responder's first step        open   a message that came

Nothing is kept here. A step gets the state as bytes and returns the next one, and whoever calls
stores it in the transaction that also keeps the message; a step that fails returns nothing, so the
stored state stays byte for byte what it was. Keys of messages that were skipped are handed out to
be stored in rows of their own, for there may be a thousand.

Underneath is the library `doubleratchet`, whose coroutines never wait and are run to their end at
once. Replace it by writing these four methods over another one (docs/protocol.md §6.6).

Source: Perrin, Marlinspike, "The Double Ratchet Algorithm", revision 1, §3, §5.2.
"""

import hmac
import struct
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

import doubleratchet
from doubleratchet.models import SkippedMessageKeyModel

from peer.keys.errors import Broken, Duplicate, TooFarAhead
from peer.keys.primitives import Exchange, Random, seal, system_random, unseal
from peer.keys.ratchet_state import Chain, State
from wire.kdf import framed, hkdf

MAX_SKIPPED: Final = 1000
"""Messages that may be missing before one that came, and keys kept for them in one session.

Letters travel by two ways, so a gap is normal; a thousand keys take 0.2 ms to derive."""

HEADER: Final = struct.Struct(">32sII")
"""Ratchet key (32), length of the chain before (4), number in this chain from 0 (4)."""

_CHAIN_CONSTANT: Final = b"\x02\x01"
"""HMAC of 2 is the next chain key, HMAC of 1 the message key, as the source recommends."""

_MAX_LIVE: Final = 256
"""Sessions whose objects are remembered."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands: its chain, by the ratchet key, and its number there."""

    chain: bytes
    number: int


@dataclass(frozen=True, slots=True)
class SkippedKey:
    """The key of a message that has not come yet."""

    place: Place
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sealed:
    """The state to store before `message` leaves the phone."""

    state: bytes = field(repr=False)
    message: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """The state to store together with `plaintext`, and the keys that were skipped on the way."""

    state: bytes = field(repr=False)
    plaintext: bytes = field(repr=False)
    skipped: tuple[SkippedKey, ...]
    used: Place | None = None
    """Where the key was kept that opened it, which is now to be forgotten."""


def nothing_skipped(_place: Place) -> None:
    """Say that no key is kept for any place."""


class Ratchet(Protocol):
    """The steps of a ratchet; `about` is bound to the message and not included in it."""

    def begin(self, secret: bytes, *, their_key: bytes, plaintext: bytes, about: bytes) -> Sealed:
        """Begin a session towards whoever holds the secret half of `their_key` (X25519).

        Raises:
            WeakKey: `their_key` has a low order.
        """

    def accept(self, secret: bytes, *, own_key: Exchange, message: bytes, about: bytes) -> Opened:
        """Take up a session that the other side began, with any of its first messages.

        Raises:
            Broken, TooFarAhead, WeakKey: as `open`.
        """

    def seal(self, state: bytes, plaintext: bytes, *, about: bytes) -> Sealed:
        """Seal the next message."""

    def open(
        self,
        state: bytes,
        message: bytes,
        *,
        about: bytes,
        skipped: Callable[[Place], SkippedKey | None] = nothing_skipped,
    ) -> Opened:
        """Open a message.

        Args:
            state: as it was stored last.
            message: what came.
            about: what the sender bound to it.
            skipped: finds the key kept for a place; asked only where there can be one.

        Raises:
            Duplicate: the place was passed and its key used.
            TooFarAhead: more than `MAX_SKIPPED` messages are missing before it.
            Broken: the seal does not fit.
            WeakKey: the ratchet key in it has a low order.
        """


@dataclass(slots=True)
class _Live:
    """The library's own object for a state; a step changes it."""

    state: State
    ratchet: "_Library" = field(repr=False)


class DoubleRatchet:
    """The ratchet over the library `doubleratchet`.

    The object that a step has left behind is remembered beside the state that was handed out: where
    exactly that state comes back for the next step, it need not be read into a new object. One step
    uses it up, so that a step that fails, or whose transaction is undone, leaves nothing of it.

    Args:
        random: where new ratchet keys and nonces come from.
    """

    def __init__(self, random: Random = system_random) -> None:
        self._parts = _parts(random)
        self._live: dict[bytes, _Live] = {}

    def begin(self, secret: bytes, *, their_key: bytes, plaintext: bytes, about: bytes) -> Sealed:
        """See `Ratchet.begin`."""
        ratchet, message = _run(
            _Library.encrypt_initial_message(
                **self._parts,
                shared_secret=secret,
                recipient_ratchet_pub=their_key,
                message=plaintext,
                associated_data=about,
            )
        )
        return Sealed(self._kept(ratchet, ratchet.model), _written(message))

    def accept(self, secret: bytes, *, own_key: Exchange, message: bytes, about: bytes) -> Opened:
        """See `Ratchet.accept`."""
        ratchet, plaintext = _guarded(
            _Library.decrypt_initial_message(
                **self._parts,
                shared_secret=secret,
                own_ratchet_priv=own_key.secret,
                message=_read(message),
                associated_data=about,
            )
        )
        return self._opened(ratchet, plaintext)

    def seal(self, state: bytes, plaintext: bytes, *, about: bytes) -> Sealed:
        """See `Ratchet.seal`."""
        ratchet = self._take(state).ratchet
        message = _run(ratchet.encrypt_message(plaintext, about))
        return Sealed(self._kept(ratchet, ratchet.model), _written(message))

    def open(
        self,
        state: bytes,
        message: bytes,
        *,
        about: bytes,
        skipped: Callable[[Place], SkippedKey | None] = nothing_skipped,
    ) -> Opened:
        """See `Ratchet.open`."""
        read = _read(message)
        place = Place(read.header.ratchet_pub, read.header.sending_chain_length)
        live = self._take(state)
        kept = skipped(place) if _passed(live.state, place) else None
        if kept is not None:
            live.ratchet = _Library.from_model(_model(live.state, skipped=kept), **self._parts)
        else:
            _refuse_leap(live.state, read.header)
        plaintext = _guarded(live.ratchet.decrypt_message(read, about))
        return self._opened(live.ratchet, plaintext, used=place if kept is not None else None)

    def _take(self, state: bytes) -> _Live:
        live = self._live.pop(state, None)
        if live is not None:
            return live
        loaded = State.load(state)
        return _Live(loaded, _Library.from_model(_model(loaded, skipped=None), **self._parts))

    def _opened(
        self, ratchet: "_Library", plaintext: bytes, *, used: Place | None = None
    ) -> Opened:
        model = ratchet.model
        skipped = tuple(
            SkippedKey(Place(one.ratchet_pub, one.index), one.message_key)
            for one in model.skipped_message_keys
        )
        return Opened(self._kept(ratchet, model), plaintext, skipped, used)

    def _kept(self, ratchet: "_Library", model: doubleratchet.DoubleRatchetModel) -> bytes:
        """Return the state after a step."""
        state = _state(model)
        saved = state.save()
        if not model.skipped_message_keys:  # those are kept in rows, and by no object
            if len(self._live) >= _MAX_LIVE:
                self._live.clear()
            self._live[saved] = _Live(state, ratchet)
        return saved


def _passed(state: State, place: Place) -> bool:
    """Return whether the key of a place may lie among those that were skipped."""
    receiving = state.receiving
    return receiving is None or place.chain != state.other or place.number < receiving.length


class _Library(doubleratchet.DoubleRatchet):
    @staticmethod
    def _build_associated_data(associated_data: bytes, header: doubleratchet.Header) -> bytes:
        return framed("ratchet-message", associated_data, HEADER.pack(*header))


class _RootKdf(doubleratchet.KDF):
    @staticmethod
    async def derive(key: bytes, data: bytes, length: int) -> bytes:
        return hkdf(data, salt=key, info=b"homepost/ratchet-root/1", length=length)


class _ChainKdf(doubleratchet.KDF):
    @staticmethod
    async def derive(key: bytes, data: bytes, length: int) -> bytes:
        blocks = [hmac.digest(key, bytes([one]), "sha256") for one in data]
        return b"".join(blocks)[:length]


@lru_cache(maxsize=256)
def _public(secret: bytes) -> bytes:
    """Return the public half of a ratchet key; the library asks for it at each step."""
    return Exchange(secret).public


@lru_cache(maxsize=4)
def _parts(random: Random) -> dict[str, Any]:
    """Return the library's settings; it wants classes, so the randomness is closed over."""

    class Steps(doubleratchet.DiffieHellmanRatchet):
        @staticmethod
        def _generate_priv() -> bytes:
            return random(32)

        @staticmethod
        def _derive_pub(priv: bytes) -> bytes:
            return _public(priv)

        def __deepcopy__(self, _memo: dict[int, Any]) -> "Steps":
            return self  # the library's copy for undoing: a step that fails is thrown away here

        @staticmethod
        def _perform_diffie_hellman(own_priv: bytes, other_pub: bytes) -> bytes:
            return Exchange(own_priv).agree(other_pub)

    class Aead(doubleratchet.AEAD):
        @staticmethod
        async def encrypt(plaintext: bytes, key: bytes, associated_data: bytes) -> bytes:
            return seal(key, plaintext, about=associated_data, random=random)

        @staticmethod
        async def decrypt(ciphertext: bytes, key: bytes, associated_data: bytes) -> bytes:
            return unseal(key, ciphertext, about=associated_data)

    return {
        "diffie_hellman_ratchet_class": Steps,
        "root_chain_kdf": _RootKdf,
        "message_chain_kdf": _ChainKdf,
        "message_chain_constant": _CHAIN_CONSTANT,
        "dos_protection_threshold": MAX_SKIPPED,
        "max_num_skipped_message_keys": 2 * MAX_SKIPPED,
        "aead": Aead,
    }


def _run(step: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, so that a step fits into a database transaction."""
    try:
        step.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    step.close()
    raise RuntimeError("the ratchet library waited for something")


def _guarded(step: Coroutine[Any, Any, T]) -> T:
    try:
        return _run(step)
    except doubleratchet.DuplicateMessageException:
        raise Duplicate("this message was opened before") from None
    except doubleratchet.DoSProtectionException:
        raise TooFarAhead(f"more than {MAX_SKIPPED} messages are missing before it") from None


def _refuse_leap(before: State, header: doubleratchet.Header) -> None:
    """Bound the work of both chains together, before any of it is done.

    The library would give up the rest of an old chain with a warning and go on.
    """
    here = 0 if before.receiving is None else before.receiving.length
    if header.ratchet_pub == before.other:
        gap = header.sending_chain_length - here
    else:
        left = before.receiving is not None
        left_behind = header.previous_sending_chain_length - here if left else 0
        gap = header.sending_chain_length + max(left_behind, 0)
    if gap > MAX_SKIPPED:
        raise TooFarAhead(f"more than {MAX_SKIPPED} messages are missing before it")


def _written(message: doubleratchet.EncryptedMessage) -> bytes:
    return HEADER.pack(*message.header) + message.ciphertext


def _read(message: bytes) -> doubleratchet.EncryptedMessage:
    if len(message) < HEADER.size:
        raise Broken("shorter than any message of a session")
    chain, previous, number = HEADER.unpack_from(message)
    header = doubleratchet.Header(chain, previous, number)
    return doubleratchet.EncryptedMessage(header, message[HEADER.size :])


def _state(model: doubleratchet.DoubleRatchetModel) -> State:
    """Return the state without skipped keys, in a form of our own: it outlives the library."""
    steps = model.diffie_hellman_ratchet
    chains = steps.symmetric_key_ratchet
    sending = _chain(chains.sending_chain)
    if sending is None:
        raise RuntimeError("the ratchet library began no chain to send in")
    return State(
        steps.own_ratchet_priv,
        steps.other_ratchet_pub,
        Chain(steps.root_chain.length, steps.root_chain.key),
        sending,
        _chain(chains.receiving_chain),
        chains.previous_sending_chain_length,
    )


def _chain(model: doubleratchet.KDFChainModel | None) -> Chain | None:
    return None if model is None else Chain(model.length, model.key)


def _model(state: State, *, skipped: SkippedKey | None) -> doubleratchet.DoubleRatchetModel:
    """Return the state as the library reads it."""
    chains = doubleratchet.SymmetricKeyRatchetModel(
        sending_chain=_chain_model(state.sending),
        receiving_chain=_chain_model(state.receiving),
        previous_sending_chain_length=state.previous,
    )
    steps = doubleratchet.DiffieHellmanRatchetModel(
        own_ratchet_priv=state.own,
        other_ratchet_pub=state.other,
        root_chain=doubleratchet.KDFChainModel(length=state.root.length, key=state.root.key),
        symmetric_key_ratchet=chains,
    )
    keys = [] if skipped is None else [_skipped_model(skipped)]
    return doubleratchet.DoubleRatchetModel(diffie_hellman_ratchet=steps, skipped_message_keys=keys)


def _skipped_model(skipped: SkippedKey) -> SkippedMessageKeyModel:
    return SkippedMessageKeyModel(
        ratchet_pub=skipped.place.chain, index=skipped.place.number, message_key=skipped.key
    )


def _chain_model(chain: Chain | None) -> doubleratchet.KDFChainModel | None:
    if chain is None:
        return None
    return doubleratchet.KDFChainModel(length=chain.length, key=chain.key)
