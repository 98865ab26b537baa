"""`homepost device`: one's own devices, how one is added, named and taken off."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from socket import gethostname
from typing import Final

from peer import show
from peer.codes.qr import write
from peer.command import command
from peer.commands.call import DONE, FAILED, Call, Commands
from peer.commands.codes import code_given
from peer.commands.lock import add_lock_option, new_phone
from peer.devices.names import ROLES
from peer.errors import BadCode
from peer.keys.grant import Offer
from wire.check_code import digits
from wire.codes import DeviceCode
from wire.errors import WireError
from wire.places import Place

_ROLES: Final = {name: role for role, name in ROLES.items()}


def add_to(commands: Commands) -> None:
    """Put the group on the line."""
    device = commands.group("device", _list, "my own devices")
    device.add("list", _list, "list my devices")
    add = device.add("add", _add, "let a new device in: it shows a code, or this one does")
    add.add_argument("code", nargs="?", help="the code that the new device shows, or a picture")
    add.add_argument("--name", help="what to call it")
    add.add_argument("--without-kit", action="store_true", help="go on without a recovery kit")
    join = device.add("join", _join, "make this a device of mine, by one that I have")
    join.add_argument("code", nargs="?", help="the code that the other device shows, or a picture")
    join.add_argument("--at", metavar="PLACE", help="where my box is, to show a code here")
    join.add_argument("--name", default=gethostname(), help="what to call this device")
    join.add_argument("--role", choices=sorted(_ROLES), default="computer", help="what it is")
    for one in (add, join):
        one.add_argument("--png", type=Path, metavar="FILE", help="write the QR to this file too")
    add_lock_option(join)
    rename = device.add("rename", _rename, "call a device something else")
    rename.add_argument("name")
    rename.add_argument("new_name")
    revoke = device.add("revoke", _revoke, "take a device off that is lost or not mine any more")
    revoke.add_argument("name")
    revoke.add_argument("--yes", action="store_true", help="do not ask")


async def _list(call: Call) -> int:
    async with call.phone() as peer:
        found = peer.devices
        call.screen.tell(
            "devices",
            "\n".join(
                f"{show.name(one.name)}  ({ROLES[one.role]}{', this one' if one.this else ''})"
                for one in found
            ),
            devices=[
                {
                    "name": one.name,
                    "role": ROLES[one.role],
                    "device": one.id.text,
                    "this": one.this,
                }
                for one in found
            ],
        )
    return DONE


async def _add(call: Call) -> int:
    arguments = call.arguments

    async def ask(offer: Offer, left: int) -> str | None:
        what = f"{show.name(offer.name)} ({ROLES[offer.entry.role]})"
        call.screen.tell(
            "offer",
            f"\nA new device wants to read and write as you: {what}.\n"
            "Go on only if you hold it in your hand and have just begun this on it.",
            name=offer.name,
            role=ROLES[offer.entry.role],
            device=offer.entry.id.text,
            tries=left + 1,
        )
        return await call.screen.word("The six digits on its screen, or nothing to stop:") or None

    async with call.phone() as peer:
        name = await peer.add_device(
            None if arguments.code is None else code_given(arguments.code),
            on_code=_showing(call, "new", "device join CODE"),
            ask=ask,
            name=arguments.name,
            without_kit=arguments.without_kit,
        )
        call.screen.tell(
            "device-added",
            f"{show.name(name)} is your device now. Your contacts see that you have a new one.",
            name=name,
        )
    return DONE


async def _join(call: Call) -> int:
    arguments = call.arguments

    async def shows(number: int) -> None:
        call.screen.tell(
            "digits",
            f"\nType these digits into the device that you have:\n\n    {digits(number)}\n",
            digits=digits(number),
        )

    async with new_phone(call) as peer:
        me = await peer.join(
            None if arguments.code is None else code_given(arguments.code),
            place=None if arguments.at is None else _place(arguments.at),
            on_code=_showing(call, "other", "device add CODE"),
            show=shows,
            name=arguments.name,
            role=_ROLES[arguments.role],
        )
        call.screen.tell(
            "joined",
            f"This is a device of {show.name(me.name)} now.",
            name=me.name,
            person=me.person.text,
            device=me.identity.device.id.text,
        )
    return DONE


async def _rename(call: Call) -> int:
    async with call.phone() as peer:
        name = peer.rename_device(call.arguments.name, call.arguments.new_name)
        call.screen.tell("device-renamed", f"It is called {show.name(name)} now.", name=name)
    return DONE


async def _revoke(call: Call) -> int:
    arguments = call.arguments
    question = (
        f"Take {show.name(arguments.name)} off? It can read and write nothing from then on, and"
        " never comes back."
    )
    async with call.phone() as peer:
        if not arguments.yes and not await call.screen.sure(question):
            call.screen.warn("not-sure", "Nothing was changed. Say y, or give --yes.")
            return FAILED
        name = await peer.revoke_device(arguments.name)
        call.screen.tell(
            "device-revoked",
            f"{show.name(name)} is off. Your contacts hear of it, and get new lanes to you.",
            name=name,
        )
    return DONE


def _showing(call: Call, reader: str, typed: str) -> Callable[[DeviceCode], Awaitable[None]]:
    notes = (
        "A DEVICE OF MINE",
        "",
        f"1  The {reader} device reads it:",
        f"   {command(typed)}",
        "2  The new one shows digits: type",
        "   them into the one you have.",
    )

    async def shown(code: DeviceCode) -> None:
        if call.arguments.png is not None:
            write(code.text(), call.arguments.png)
        call.screen.code(code.text(), expires=code.expires, notes=notes)

    return shown


def _place(text: str) -> Place:
    try:
        return Place.parse(text)
    except WireError:
        raise BadCode(
            f"{text!r} is no address; write for example 192.168.1.20 or box.example:4433"
        ) from None
