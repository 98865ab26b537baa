"""homepost: a person's phone on the command line, thin over `peer.app`.

Sentences for people; with `--json` one object a line, each with its "event", the last one the
result. Exit statuses: 0 done, 1 not done, 2 wrong usage, 130 interrupted. A letter that was stored
and could not be sent yet is done: it waits here and is tried again.
"""

import argparse
import asyncio
import contextlib
import json
import mimetypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from peer import show, sqlite
from peer.app import (
    Alarmed,
    ArchiveOlder,
    Arrived,
    Away,
    Event,
    Here,
    Missing,
    Moved,
    Noticed,
    Peer,
    Restoring,
    Trouble,
)
from peer.codes.errors import CodesError
from peer.codes.qr import write
from peer.command import command, program
from peer.commands import (
    archive,
    device,
    drafts,
    friends,
    kit,
    lock,
    notifications,
    recover,
    spare,
)
from peer.commands.archive import older_line, tell_restoring
from peer.commands.call import DONE, FAILED, INTERRUPTED, Call, Commands
from peer.commands.codes import code_given
from peer.commands.lock import add_lock_option, new_phone
from peer.console import Screen, screen
from peer.errors import NoSuchFile, PeerError, TooLarge
from peer.items.kinds import MAX_FILE, File
from peer.keys.errors import KeysError
from peer.printing import (
    day,
    letter_facts,
    letter_lines,
    notice_facts,
    notice_line,
    save_file,
    status_lines,
)
from peer.store import FILE_NAME, sentence
from peer.unlocking import lock_name
from wire.codes import ContactCode
from wire.errors import WireError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0 done, 1 not done, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    speaks = screen(json_lines=arguments.json)
    call = Call(_home(arguments.home), arguments, speaks)
    try:
        return asyncio.run(_interruptible(arguments.run(call)))
    except (PeerError, CodesError) as error:
        speaks.warn(error.code, _sentence(str(error)))
    except KeysError as error:
        speaks.warn(error.code, _sentence(f"this could not be sealed or opened: {error}"))
    except WireError as error:
        speaks.warn(error.code, _sentence(f"something here is not as it should be: {error}"))
    except sqlite.Error as error:
        speaks.warn("store-unusable", _sentence(sentence(error, call.home / FILE_NAME)))
    except KeyboardInterrupt:
        return DONE if arguments.run is _watch else INTERRUPTED  # how else should watching end?
    except BrokenPipeError:  # whoever read us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


async def _interruptible(work: Awaitable[int]) -> int:
    """Run `work` so that SIGTERM ends it as Ctrl-C does: tidily, with what was stored stored."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _home(chosen: Path | None) -> Path:
    if chosen is not None:
        return chosen.expanduser().absolute()
    if named := os.environ.get("HOMEPOST_HOME"):
        return Path(named).absolute()
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "homepost-peer"


def _sentence(text: str) -> str:
    text = show.text(text)
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def _parser() -> argparse.ArgumentParser:
    common = _common(argparse.SUPPRESS)
    parser = argparse.ArgumentParser(
        prog=program(),
        parents=[_common(None)],
        description="Letters between people. What somebody sends while you are away waits, sealed, "
        "on a box at home.",
        epilog=f"Begin with: {command('new --name YOUR-NAME')}, then pair with your box, then "
        "add somebody.",
    )
    commands = Commands(
        parser.add_subparsers(title="commands", metavar="COMMAND", required=True), common
    )
    add = commands.add
    new = add("new", _new, "make a new person on this device")
    new.add_argument("--name", required=True, help="what others see when they add you")
    add_lock_option(new)
    pair = add("pair", _pair, "pair this device with a box, by the code that the box shows")
    pair.add_argument("code", help="the code, or a picture of it")
    card = add("card", _card, "show my code to somebody who adds me")
    card.add_argument("--png", type=Path, metavar="FILE", help="write the QR to this file too")
    card.add_argument("--svg", type=Path, metavar="FILE", help="write the QR to this file too")
    reads = add("add", _add, "add somebody by the code that they show")
    reads.add_argument("code", help="the code, or a picture of it")
    for one in (card, reads):
        one.add_argument(
            "--unverified", action="store_true", help="compare nothing; both sides must say so"
        )
    _contact_commands(commands.group("contacts", _contacts, "the people you know"))
    drafts.add_to(commands)
    friends.add_to(commands)
    device.add_to(commands)
    kit.add_to(commands)
    notifications.add_to(commands)
    recover.add_to(commands)
    archive.add_to(commands)
    lock.add_to(commands)
    spare.add_to(commands)
    send = add("send", _send, "send a letter")
    send.add_argument("name", help="to whom")
    send.add_argument("text", nargs="*", help="what to say; without it, standard input is read")
    send.add_argument("--file", type=Path, metavar="PATH", help="send this file too, up to 900 kB")
    read = add("read", _read, "collect and read letters")
    read.add_argument("name", nargs="?", help="only of this contact")
    read.add_argument("--all", action="store_true", help="those read before and my own as well")
    read.add_argument("--save", type=Path, metavar="FOLDER", help="save files that came with them")
    watch = add("watch", _watch, "stay here: show letters as they come, send what waits")
    watch.add_argument("--once", action="store_true", help="end after the first letter")
    watch.add_argument("--until-idle", action="store_true", help="end when all is done")
    add("status", _status, "say how things are")
    gateway = add("gateway", _gateway, "correct where my box is")
    gateway.add_argument(
        "--host", required=True, metavar="PLACE", help="its address, such as 192.168.1.20"
    )
    return parser


def _contact_commands(contacts: Commands) -> None:
    contacts.add("list", _contacts, "list the people you know")
    rename = contacts.add("rename", _rename, "call somebody something else")
    rename.add_argument("name")
    rename.add_argument("new_name")
    block = contacts.add("block", _block, "take nothing more from somebody")
    block.add_argument("name")
    forget = contacts.add("forget", _forget, "delete somebody, and all that was exchanged")
    forget.add_argument("name")
    forget.add_argument("--yes", action="store_true", help="do not ask")


def _common(default: Any) -> argparse.ArgumentParser:
    """Return what is understood before a command as well as after it.

    Args:
        default: None before the command; SUPPRESS after it, so that silence there changes nothing.
    """
    common = argparse.ArgumentParser(add_help=False, argument_default=default)
    common.add_argument(
        "--json", action="store_true", help="answer in JSON", default=default or False
    )
    common.add_argument(
        "--home",
        type=Path,
        metavar="DIR",
        help="where this device keeps everything",
        default=default,
    )
    common.add_argument(
        "--pin-file",
        type=Path,
        metavar="FILE",
        help="do not ask for the PIN: it is the first line of this file",
        default=default,
    )
    return common


# The person and the gateway


async def _new(call: Call) -> int:
    async with new_phone(call) as peer:
        peer.begin(call.arguments.name)
        kept = lock_name(call.home)
        call.screen.tell(
            "new",
            f"Hello, {show.name(peer.name)}. Your keys are in {call.home}. {_kept(kept)}\n"
            f"Next, show a code on your box, and type: {command('pair CODE')}",
            name=peer.name,
            person=peer.person.text,
            home=str(call.home),
            lock=kept,
        )
    return DONE


def _kept(lock: str) -> str:
    match lock:
        case "pin":
            return "They are sealed under your PIN."
        case "keyring":
            return "They are sealed under the system’s keyring."
        case _:
            return f"Whoever gets this disk can read them; seal them with: {command('lock pin')}"


async def _pair(call: Call) -> int:
    code = code_given(call.arguments.code)

    async def same(number: int) -> bool:
        return await call.screen.same(number, other="the box")

    async with call.phone() as peer:
        places = await peer.pair(code, same)
        where = ", ".join(map(str, places))
        call.screen.tell(
            "paired",
            f"Paired. Your letters wait at {where} from now on.\n"
            "Next, add somebody. One of you shows a code, the other reads it:\n"
            f"    {command('card')}\n    {command('add CODE')}",
            places=[str(one) for one in places],
        )
    return DONE


async def _gateway(call: Call) -> int:
    async with call.phone() as peer:
        place = await peer.move_gateway(call.arguments.host)
        call.screen.tell(
            "moved",
            f"Your box is at {place}. It is the same one, so nothing has to be paired again.",
            place=str(place),
        )
    return DONE


async def _status(call: Call) -> int:
    async with call.phone() as peer:
        status = await peer.status()
        call.screen.tell("status", "\n".join(status_lines(status)), **status)
    return DONE


# Contacts


async def _card(call: Call) -> int:
    arguments = call.arguments

    async def shown(code: ContactCode) -> None:
        for path in (arguments.png, arguments.svg):
            if path is not None:
                write(code.text(), path)
        call.screen.code(code.text(), expires=code.expires)

    async with call.phone() as peer:
        contact = await peer.show_card(shown, _comparing(call))
        _tell_added(call, contact.name, verified=contact.verified)
    return DONE


async def _add(call: Call) -> int:
    code = code_given(call.arguments.code)
    async with call.phone() as peer:
        contact = await peer.add(code, _comparing(call))
        _tell_added(call, contact.name, verified=contact.verified)
    return DONE


def _comparing(call: Call) -> Callable[[int], Awaitable[bool]] | None:
    if call.arguments.unverified:
        return None

    async def same(number: int) -> bool:
        return await call.screen.same(number, other="the other screen")

    return same


def _tell_added(call: Call, name: str, *, verified: bool) -> None:
    shown = show.name(name)
    doubt = "" if verified else " Nobody compared the check codes, so it may be somebody else."
    call.screen.tell(
        "added",
        f"{shown} is your contact now.{doubt}\nWrite with: {command('send')} {_word(shown)} TEXT",
        name=name,
        verified=verified,
    )


async def _contacts(call: Call) -> int:
    async with call.phone() as peer:
        await peer.try_outbox()
        found = peer.contacts.all()
        back = {one.name: peer.contacts.recovered(one.person) for one in found}
        lines = [
            _contact_line(one.name, one.verified, one.blocked, back[one.name]) for one in found
        ]
        call.screen.tell(
            "contacts",
            "\n".join(lines) or f"You have no contacts yet. Add somebody with: {command('card')}",
            contacts=[
                {
                    "name": one.name,
                    "introduced": one.introduced,
                    "person": one.person.text,
                    "verified": one.verified,
                    "blocked": one.blocked,
                    "recovered": back[one.name],
                }
                for one in found
            ],
        )
    return DONE


def _contact_line(name: str, verified: bool, blocked: bool, back: float | None) -> str:
    marks = ["blocked"] * blocked + ["unverified"] * (not verified)
    if back is not None:
        marks.append(f"recovered on {day(back)}, check with them")
    return f"{show.name(name)}  ({', '.join(marks)})" if marks else show.name(name)


async def _rename(call: Call) -> int:
    old, new = call.arguments.name, call.arguments.new_name
    async with call.phone() as peer:
        contact = peer.rename(old, new)
        await peer.try_outbox()
        call.screen.tell(
            "renamed",
            f"You call them {show.name(contact.name)} now. They do not hear of it.",
            name=contact.name,
        )
    return DONE


async def _block(call: Call) -> int:
    async with call.phone() as peer:
        name = peer.contacts.named(call.arguments.name).name
        known = await peer.block(name)
        call.screen.tell(
            "blocked",
            f"Nothing more comes from {show.name(name)}.{_LATER if not known else ''}",
            name=name,
            gateway_knows=known,
        )
    return DONE


async def _forget(call: Call) -> int:
    async with call.phone() as peer:
        name = peer.contacts.named(call.arguments.name).name
        question = f"Forget {show.name(name)}, with all letters that were exchanged?"
        if not call.arguments.yes and not await call.screen.sure(question):
            call.screen.warn("not-sure", "Nothing was deleted. Say y, or give --yes.")
            return FAILED
        known = await peer.forget(name)
        call.screen.tell(
            "forgotten",
            f"{show.name(name)} is forgotten.{_LATER if not known else ''}",
            name=name,
            gateway_knows=known,
        )
    return DONE


_LATER: Final = " Your box does not answer just now; it is told as soon as it does."


# Letters


async def _send(call: Call) -> int:
    arguments = call.arguments
    file = _file(arguments.file) if arguments.file is not None else None
    text = " ".join(arguments.text)
    async with call.phone() as peer:
        peer.contacts.named(arguments.name)  # before somebody types a letter to nobody
        if not arguments.text and file is None:
            text = await asyncio.to_thread(sys.stdin.read)
        state = await peer.send(arguments.name, text.rstrip("\n"), file)
        sent = state.text[0].upper() + state.text[1:]
        later = f" It is tried again with every command, and by {command('watch')}."
        call.screen.tell(
            "sent",
            show.text(f"{sent}.{later if state.waiting else ''}"),
            to=state.contact,
            state=state.text,
            waiting=state.waiting,
            trouble=state.trouble or None,
        )
    return DONE


async def _read(call: Call) -> int:
    arguments = call.arguments
    async with call.phone() as peer:
        reading = await peer.read(arguments.name, everything=arguments.all)
        saved = {
            one.number: save_file(one.file, arguments.save)
            for one in reading.letters
            if one.file is not None and arguments.save is not None and not one.outgoing
        }
        said = [letter_lines(one, saved=saved.get(one.number)) for one in reading.letters]
        authors = {one.contact for one in reading.letters if not one.outgoing}
        known = [one for one in peer.contacts.all() if one.name in authors]  # some are forgotten
        back = {one.name: peer.contacts.recovered(one.person) for one in known}
        said += [_back_line(name, when) for name, when in back.items() if when is not None]
        said += [_missing_line(one) for one in reading.missing]
        said += [_trouble_line(one) for one in reading.troubles]
        said += [notice_line(one) for one in reading.noticed]
        call.screen.tell(
            "letters",
            "\n".join(said).rstrip() or ("No letters." if arguments.all else "No new letters."),
            letters=[letter_facts(one, saved=saved.get(one.number)) for one in reading.letters],
            missing={one.contact: one.count for one in reading.missing},
            recovered={name: when for name, when in back.items() if when is not None},
            unreadable=[{"from": one.contact, "code": one.code} for one in reading.troubles],
            cards=[notice_facts(one) for one in reading.noticed],
            away=reading.away,
        )
    if reading.away is not None:
        if not arguments.json:
            call.screen.warn("away", _sentence(reading.away))
        return FAILED
    return DONE


async def _watch(call: Call) -> int:
    away = False
    async with call.phone() as peer:
        watching = peer.watch(once=call.arguments.once, until_idle=call.arguments.until_idle)
        async with contextlib.aclosing(watching) as events:
            async for event in events:
                away = isinstance(event, Away)
                _tell_event(call.screen, event)
    return FAILED if away else DONE


def _tell_event(speaks: Screen, event: Event) -> None:
    match event:
        case Arrived(letter):
            speaks.tell("letter", letter_lines(letter, saved=None), **letter_facts(letter))
        case Missing(contact, count):
            speaks.tell("missing", _missing_line(event), **{"from": contact}, count=count)
        case Trouble(contact, code):
            speaks.tell("unreadable", _trouble_line(event), **{"from": contact}, code=code)
        case Moved(state):
            text = f"Your letter to {show.name(state.contact)} is {show.text(state.text)}."
            speaks.tell("sent", text, to=state.contact, state=state.text, waiting=state.waiting)
        case Away(why):
            speaks.tell("away", _sentence(why), why=why)
        case Alarmed():
            speaks.tell("alarm", friends.alarm_line(event), **friends.alarm_facts(event))
        case ArchiveOlder(contact, seen, here):
            text = _sentence(older_line(contact=contact, seen=seen, here=here))
            speaks.tell("archive-older", text, contact=contact, seen=seen, here=here)
        case Restoring():
            tell_restoring(speaks, event)
        case Noticed() as noticed:
            speaks.tell("card", notice_line(noticed), **notice_facts(noticed))
        case Here():
            speaks.tell("here", "Your box is here. Letters are shown as they come.")


def _back_line(name: str, when: float) -> str:
    shown = show.name(name)
    return (
        f"{shown} recovered on {day(when)}: all devices are new. Check with {shown} that it is"
        " really them, and compare codes when you meet."
    )


def _missing_line(one: Missing) -> str:
    letters = "1 letter" if one.count == 1 else f"{one.count} letters"
    verb = "is" if one.count == 1 else "are"
    return f"{letters} from {show.name(one.contact)} {verb} missing; asked again."


def _trouble_line(one: Trouble) -> str:
    return (
        f"Something came from {show.name(one.contact)} that cannot be opened ({one.code}), and "
        "nothing of it is shown. It is asked for again."
    )


# Files and codes


def _file(path: Path) -> File:
    """Read a file that is to be sent.

    Raises:
        NoSuchFile: there is none, or it cannot be read.
        TooLarge: it fits into no letter.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE:
                raise TooLarge(
                    f"the file {path.name} has {size} bytes; at most {MAX_FILE} fit in a letter."
                    " Larger things cannot be sent yet; make a picture smaller"
                )
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise NoSuchFile(
            f"the file {path} cannot be read ({error.strerror}); check its name, and whether it"
            " is yours"
        ) from None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return File(path.name, kind, data)


def _word(name: str) -> str:
    return json.dumps(name, ensure_ascii=False) if " " in name else name


__all__ = ["Peer", "main"]

if __name__ == "__main__":
    sys.exit(main())
