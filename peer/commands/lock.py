"""`homepost lock`: what keeps somebody who has this device's disk from reading it."""

import argparse
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from peer.app import Peer, open_peer
from peer.command import command
from peer.commands.call import DONE, FAILED, Call, Commands, read_pin
from peer.errors import Locked, PinsDiffer
from peer.locking import Locking, check_pin, search_seconds
from peer.printing import count, lock_line
from peer.unlocking import lock_name

SOON: Final = 366 * 86_400.0
"""Seconds. A PIN that a hired thief finds within a year is called short."""


def add_to(commands: Commands) -> None:
    """Put the group on the line."""
    lock = commands.group("lock", _status, "what a thief of this device can read")
    lock.add("status", _status, "say what opens this phone")
    pin = lock.add("pin", _pin, "seal this phone under a PIN, or change it")
    pin.add_argument(
        "--new-pin-file", type=Path, metavar="FILE", help="do not ask: the new PIN is in this file"
    )
    lock.add("keyring", _keyring, "seal this phone under a key in the system’s keyring")
    off = lock.add("off", _off, "leave this phone readable for whoever has its disk")
    off.add_argument("--yes", action="store_true", help="do not ask")


def add_lock_option(parser: argparse.ArgumentParser) -> None:
    """Let a command that makes a phone seal it from the first."""
    parser.add_argument(
        "--lock",
        choices=("pin", "keyring"),
        help="seal all on this device from the first: under a PIN, or the system’s keyring",
    )


@asynccontextmanager
async def new_phone(call: Call) -> AsyncIterator[Peer]:
    """Open the phone, or make it; sealed from the first, if that is wanted.

    Raises:
        PersonExists: it was to be sealed, and is there.
        KeyringAway, CannotSeal, WeakPin, PinsDiffer, Locked, StoreUnusable
    """
    ask = call.pin
    if lock_name(call.home) == call.arguments.lock:
        pass  # tried before: it was made, and nobody is on it yet
    elif call.arguments.lock == "pin":
        pin = await new_pin(call, call.arguments.pin_file)
        Locking(call.home).prepare(pin)
        ask = partial(_again, pin)
    elif call.arguments.lock == "keyring":
        Locking(call.home).prepare(None)
    async with open_peer(call.home, create=True, ask_pin=ask) as peer:
        yield peer


async def _again(pin: str) -> str:
    return pin


async def new_pin(call: Call, file: Path | None) -> str:
    """Return a PIN that is new: from a file, or typed twice.

    Raises:
        Locked: there is no file and no terminal.
        PinsDiffer: it was typed in two ways.
        NoSuchFile
    """
    if file is not None:
        return read_pin(file)
    first = await call.screen.pin("New PIN: ")
    if first is None:
        raise Locked
    check_pin(first)
    if await call.screen.pin("The same once more: ") != first:
        raise PinsDiffer("you typed two different PINs, and nothing was changed; try again")
    return first


async def _status(call: Call) -> int:
    locking = Locking(call.home)
    state, lock = locking.state(), lock_name(call.home)
    lines = [f"The lock is {lock_line(lock)}."]
    if not state.can_seal:
        lines.append("Nothing on this device can seal it: encrypt its disk instead.")
    elif state.keyring is not None and lock != "keyring":
        lines.append(
            f"The keyring of this system ({state.keyring}) could: {command('lock keyring')}"
        )
    call.screen.tell(
        "lock", "\n".join(lines), lock=lock, can_seal=state.can_seal, keyring=state.keyring
    )
    return DONE


async def _pin(call: Call) -> int:
    locking = Locking(call.home)
    key = await locking.key(call.pin)
    pin = await new_pin(call, call.arguments.new_pin_file)
    locking.lock_with_pin(pin, key)
    seconds = search_seconds(pin)
    call.screen.tell(
        "locked",
        f"This phone opens with your PIN only.{_how_long(seconds)}\n"
        "Nobody can give it back to you: write it down where no thief of this device looks.",
        lock="pin",
        found_in=seconds,
    )
    return DONE


async def _keyring(call: Call) -> int:
    locking = Locking(call.home)
    name = locking.lock_with_keyring(await locking.key(call.pin))
    call.screen.tell(
        "locked",
        f"This phone opens when you log in to the system: its key is in {name}.",
        lock="keyring",
        keyring=name,
    )
    return DONE


async def _off(call: Call) -> int:
    locking = Locking(call.home)
    key = await locking.key(call.pin)
    if key is None:
        call.screen.tell("unlocked", "The lock is off already.", lock="none")
        return DONE
    question = "Leave all letters and keys readable for whoever gets this disk?"
    if not call.arguments.yes and not await call.screen.sure(question):
        call.screen.warn("not-sure", "Nothing was changed. Say y, or give --yes.")
        return FAILED
    locking.take_off(key)
    call.screen.tell("unlocked", "The lock is off.", lock="none")
    return DONE


def _how_long(seconds: float | None) -> str:
    if seconds is None or seconds >= SOON:
        return ""
    hours = seconds / 3600
    span = count(math.ceil(hours), "hour") if hours < 48 else count(round(hours / 24), "day")
    return (
        f" It is short: a thief who copies the disk and hires 100 processors has tried all such "
        f"numbers in {span}. A few words hold for good."
    )
