"""`homepost archive`: what of one's letters lies sealed on the box, and how it comes back."""

import contextlib
from typing import Any, Final

from peer import show
from peer.app import Restoring
from peer.command import command
from peer.commands.call import DONE, FAILED, Call, Commands
from peer.console import Screen
from peer.printing import count, size

WHY: Final = {
    "missing": "it is not there",
    "lost": "the box has lost it",
    "swapped": "another one stands in its place",
    "foreign": "it belongs to somebody else",
    "not-signed": "its signature does not fit",
    "malformed": "it is not what a phone writes",
    "broken": "it was changed, or is not all there",
    "generation-unknown": "this device lacks the key for it",
    "writer-unknown": "no device of yours wrote it",
}
"""What a person reads for the code of a segment that is not used."""


def add_to(commands: Commands) -> None:
    """Put the commands of the archive on the line."""
    group = commands.group("archive", _status, "my letters, sealed on my box")
    group.add("status", _status, "say what is kept there, and what of it cannot be read")
    for name, run, what in (
        ("off", _off, "keep no further letters to and from somebody"),
        ("on", _on, "keep letters to and from somebody again"),
    ):
        group.add(name, run, what).add_argument("name")
    restore = group.add("restore", _restore, "bring back letters that are not on this device")
    restore.add_argument("--again", action="store_true", help="all of it, also what was refused")


async def _status(call: Call) -> int:
    async with call.phone() as peer:
        status = peer.archive_status()
    call.screen.tell("archive", "\n".join(status_lines(status)), **status)
    return DONE


async def _off(call: Call) -> int:
    return await _choose(call, keep=False)


async def _on(call: Call) -> int:
    return await _choose(call, keep=True)


async def _choose(call: Call, *, keep: bool) -> int:
    async with call.phone() as peer:
        contact = peer.archive_letters(call.arguments.name, keep=keep)
    who = show.name(contact.name)
    sentence = (
        f"Letters to and from {who} are kept in the archive, also those of the time between."
        if keep
        else f"No further letters to and from {who} go into the archive. What is in it stays: "
        "nothing can be taken out. If this device is lost, those letters are lost."
    )
    call.screen.tell("archive-choice", sentence, contact=contact.name, kept=keep)
    return DONE


async def _restore(call: Call) -> int:
    async with call.phone() as peer:
        reading = peer.restore_archive(again=call.arguments.again)
        last: Restoring | None = None
        async with contextlib.aclosing(reading) as events:
            async for last in events:
                tell_restoring(call.screen, last)
        status = peer.archive_status()
    for one in status["refused"]:
        call.screen.warn("segment-refused", refused_line(one), **one)
    return DONE if last is not None and last.over and not status["refused"] else FAILED


def tell_restoring(screen: Screen, event: Restoring) -> None:
    """Say how far reading the archive has come."""
    facts = {
        "letters": event.letters,
        "bytes": event.bytes,
        "of_bytes": event.of_bytes,
        "seconds_left": event.seconds_left,
        "over": event.over,
    }
    came = f"{count(event.letters, 'letter')} from the archive"
    if event.over:
        screen.tell("restored", f"{came}; all that is there is here.", **facts)
        return
    left = "" if event.seconds_left is None else f", about {event.seconds_left} s left"
    far = f"{size(event.bytes)} of {size(event.of_bytes)}{left}"
    screen.tell("restoring", f"{came}, the newest first: {far}.", **facts)


def status_lines(status: dict[str, Any]) -> list[str]:
    """Return what `archive status` shows."""
    rows = [
        ("Kept", f"{count(status['kept'], 'letter')} in {count(status['segments'], 'segment')}")
    ]
    if status["waiting"]:
        rows.append(("Waiting", f"{count(status['waiting'], 'letter')} for the next segment"))
    if status["to_read"]:
        more = count(status["to_read"], "segment")
        rows.append(("To read", f"{more}; read on with: {command('archive restore')}"))
    if status["off"]:
        rows.append(("Not kept", ", ".join(show.name(one) for one in status["off"])))
    if status["full"]:
        rows.append(("Full", "the box has no more room for it; its owner can give it more"))
    if status["set_back"]:
        before, after = status["set_back"]
        rows.append(
            (
                "Set back",
                f"the box had {count(before, 'segment')} and then {after}: it was put back from a "
                "copy, or somebody meddles with it. What it lacks and this device has is added.",
            )
        )
    rows += [("Older", older_line(**one)) for one in status["older"]]
    rows += [("Refused", refused_line(one)) for one in status["refused"]]
    return [f"{name:<9} {text}" for name, text in rows]


def older_line(*, contact: str, seen: int, here: int) -> str:
    """Say that a contact saw the archive stand where it does not."""
    who = show.name(contact)
    if seen <= here:
        return f"{who} saw another segment {seen} than the box gives: it is not the same archive"
    return (
        f"{who} saw segment {seen}, and the box has {here}: it was put back from an old copy, or "
        "somebody holds the rest back. What was in it since is not here."
    )


def refused_line(one: dict[str, Any]) -> str:
    """Say that a segment is not used, and why."""
    return f"segment {one['segment']}: {WHY.get(one['why'], one['why'])}"
