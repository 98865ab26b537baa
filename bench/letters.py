"""Letters sealed and opened on one core, with all keys saved; and what is checked on the way.

    python -m bench.letters FOLDER COUNT

Letters of 200 characters, written to a person with 1, 3 and 10 devices, sealed for all of them and
opened on one. Each of the devices answers every fifty letters, as it does in life. Beside it stands
a floor: the bare ratchet, three seals of a letter's size and one signature, with nothing stored.
"""

import asyncio
import hmac
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import doubleratchet
import nacl.bindings as sodium
from nacl.signing import SigningKey

from bench.figures import median
from bench.phones import Ends, Household, answer, make_person, meet, next_statement
from bench.processes import figures_of
from wire.card import Card
from wire.kdf import hkdf
from wire.signing import signed_bytes

DEVICES: Final = (1, 3, 10)
TOGETHER: Final = 32
"""Letters in one transaction: what a queue or a frame of parcels brings."""
ANSWERED: Final = 50
"""Letters after which each device answers (docs/protocol.md §8.5)."""
TEXT: Final = "x" * 200
LINKS: Final = 50
LENGTHS: Final = range(100, 3000, 47)
"""Of the letters by which bytes on the wire are counted: a body is padded, so many are needed."""
_PLAIN: Final = 96
_LETTER: Final = 700
_NONCE: Final = 24

Figures = dict[str, float]


def cpu() -> float:
    """Return the CPU seconds of this process until now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@dataclass(slots=True)
class Taken:
    """What something took."""

    seconds: float = 0.0
    cpu: float = 0.0


@contextmanager
def timed(taken: Taken) -> Iterator[None]:
    """Add what the block takes."""
    began, used = time.perf_counter(), cpu()
    yield
    taken.seconds += time.perf_counter() - began
    taken.cpu += cpu() - used


def letters(folder: Path, *, devices: int, count: int, together: int = TOGETHER) -> Figures:
    """Measure letters to a person with some devices."""
    writer = make_person(folder / f"writer-{devices}-{together}", devices=1)
    reader = make_person(folder / f"reader-{devices}-{together}", devices=devices)
    try:
        meet(writer, reader)
        return _letters(writer, reader, count=count, together=together)
    finally:
        writer.close()
        reader.close()


def _letters(writer: Household, reader: Household, *, count: int, together: int) -> Figures:
    author, phone, ends = writer.phones[0], reader.phones[0], Ends(writer.card, reader.card)
    sealing, opening, answering = Taken(), Taken(), Taken()
    done = unanswered = 0
    while done < count:
        with timed(sealing):
            items = [author.write(TEXT) for _ in range(together)]
            sealed = author.seal(items, ends)
        with timed(opening):
            phone.open(sealed, ends)
        for other in reader.phones[1:]:
            other.open(sealed, ends)
        done += together
        unanswered += together
        if unanswered >= ANSWERED:
            unanswered = 0
            with timed(answering):
                answer(phone, author, ends)
            for other in reader.phones[1:]:
                answer(other, author, ends)
    seconds = sealing.seconds + opening.seconds + answering.seconds
    return {
        "rate": done / seconds,
        "cpu": (sealing.cpu + opening.cpu + answering.cpu) / done,
        "seal_cpu": sealing.cpu / done,
        "open_cpu": opening.cpu / done,
    }


def bytes_for_a_device(folder: Path) -> float:
    """Return by how much a parcel grows with each further device of its recipient."""
    total = {devices: _sizes(folder, devices=devices) for devices in (1, 10)}
    return (total[10] - total[1]) / (9 * len(LENGTHS))


def _sizes(folder: Path, *, devices: int) -> int:
    writer = make_person(folder / f"sized-writer-{devices}", devices=1)
    reader = make_person(folder / f"sized-reader-{devices}", devices=devices)
    try:
        meet(writer, reader)
        author, ends = writer.phones[0], Ends(writer.card, reader.card)
        sealed = author.seal([author.write("x" * length) for length in LENGTHS], ends)
        return sum(len(one.body) for one in sealed)
    finally:
        writer.close()
        reader.close()


def cards(folder: Path, *, tries: int) -> Figures:
    """Measure the verification of a card of fifty links, and fifty bare signatures beside it."""
    household = make_person(folder / "card", devices=1)
    card, device = household.card, household.phones[0].identity.device
    while len(card.chain) < LINKS:
        card, _ = card.take(next_statement(card, device, devices=card.devices))
    household.close()
    chain, person = card.chain, card.person
    parts = [
        (one.statement.signer, one.signature + signed_bytes(one.statement.kind.domain, one.body))
        for one in card.known
    ]
    return {
        "cpu": _least(lambda: Card.follow(person, chain), tries),
        "floor_cpu": _least(lambda: _bare_signatures(parts), tries),
    }


def _bare_signatures(parts: Sequence[tuple[bytes, bytes]]) -> None:
    for signer, signed in parts:
        sodium.crypto_sign_open(signed, signer)


def _least(step: Callable[[], object], tries: int) -> float:
    """Return the CPU seconds of a step in the middle of some."""
    found = []
    for _ in range(tries):
        began = cpu()
        step()
        found.append(cpu() - began)
    return median(found)


def floor(*, count: int) -> Figures:
    """Measure what no letter can do without: ratchet steps, three seals, a signature."""
    return asyncio.run(_floor(count))


async def _floor(count: int) -> Figures:
    secret, own = os.urandom(32), os.urandom(32)
    public = sodium.crypto_scalarmult_base(own)
    there, first = await _Bare.encrypt_initial_message(
        **_PARTS,
        shared_secret=secret,
        recipient_ratchet_pub=public,
        message=b"",
        associated_data=b"",
    )
    here, _ = await _Bare.decrypt_initial_message(
        **_PARTS, shared_secret=secret, own_ratchet_priv=own, message=first, associated_data=b""
    )
    signing, taken, text = SigningKey.generate(), Taken(), os.urandom(_LETTER)
    plain, about = os.urandom(_PLAIN), bytes(64)
    with timed(taken):
        for _ in range(count):
            signed = signing.sign(text)
            outer = _seal(secret, _seal(secret, signed, about), about)
            message = await there.encrypt_message(plain, about)
            await here.decrypt_message(message, about)
            signing.verify_key.verify(_unseal(secret, _unseal(secret, outer, about), about))
    return {"rate": count / taken.seconds, "cpu": taken.cpu / count}


def _seal(key: bytes, text: bytes, about: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(text, about, nonce, key)


def _unseal(key: bytes, text: bytes, about: bytes) -> bytes:
    return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
        text[_NONCE:], about, text[:_NONCE], key
    )


class _Bare(doubleratchet.DoubleRatchet):
    @staticmethod
    def _build_associated_data(associated_data: bytes, header: doubleratchet.Header) -> bytes:
        return associated_data + header.ratchet_pub


class _Steps(doubleratchet.DiffieHellmanRatchet):
    @staticmethod
    def _generate_priv() -> bytes:
        return os.urandom(32)

    @staticmethod
    def _derive_pub(priv: bytes) -> bytes:
        return sodium.crypto_scalarmult_base(priv)

    @staticmethod
    def _perform_diffie_hellman(own_priv: bytes, other_pub: bytes) -> bytes:
        return sodium.crypto_scalarmult(own_priv, other_pub)


class _Root(doubleratchet.KDF):
    @staticmethod
    async def derive(key: bytes, data: bytes, length: int) -> bytes:
        return hkdf(data, salt=key, info=b"bench", length=length)


class _Chain(doubleratchet.KDF):
    @staticmethod
    async def derive(key: bytes, data: bytes, length: int) -> bytes:
        return b"".join(hmac.digest(key, bytes([one]), "sha256") for one in data)[:length]


class _Aead(doubleratchet.AEAD):
    @staticmethod
    async def encrypt(plaintext: bytes, key: bytes, associated_data: bytes) -> bytes:
        return _seal(key, plaintext, associated_data)

    @staticmethod
    async def decrypt(ciphertext: bytes, key: bytes, associated_data: bytes) -> bytes:
        return _unseal(key, ciphertext, associated_data)


_PARTS: Final[dict[str, Any]] = {
    "diffie_hellman_ratchet_class": _Steps,
    "root_chain_kdf": _Root,
    "message_chain_kdf": _Chain,
    "message_chain_constant": b"\x02\x01",
    "dos_protection_threshold": 1000,
    "max_num_skipped_message_keys": 2000,
    "aead": _Aead,
}


def measure(folder: Path, *, count: int) -> Figures:
    """Measure all of it in files below `folder`."""
    before = floor(count=count)
    found: Figures = {}
    for devices in DEVICES:
        some = max(TOGETHER, count // devices)
        for name, value in letters(folder, devices=devices, count=some).items():
            found[f"to{devices}.{name}"] = value
    for name, value in letters(folder, devices=1, count=max(1, count // 2), together=1).items():
        found[f"single.{name}"] = value
    after = floor(count=count)
    for name, value in before.items():
        found[f"floor.{name}"] = (value + after[name]) / 2
    found["device.bytes"] = bytes_for_a_device(folder)
    for name, value in cards(folder, tries=max(3, count // 200)).items():
        found[f"card.{name}"] = value
    return found


def letter_figures(folder: Path, *, count: int, processor: int) -> Figures:
    """Measure in a process of its own on one core."""
    return figures_of("bench.letters", folder, count, processor=processor)


def main(arguments: list[str]) -> int:
    """Measure and print the figures as JSON."""
    match arguments:
        case [folder, count]:
            print(json.dumps(measure(Path(folder), count=int(count)), indent=1))
            return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
