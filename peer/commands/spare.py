"""`homepost spare`: a second box that keeps copies, so that losing the first one loses nothing."""

from typing import Any

from peer import show
from peer.command import command
from peer.commands.call import DONE, FAILED, Call, Commands
from peer.commands.codes import code_given
from peer.printing import count, when


def add_to(commands: Commands) -> None:
    """Put the group on the line."""
    group = commands.group("spare", _list, "a second box that keeps copies")
    add = group.add("add", _add, "let a second box keep copies, by the code that it shows")
    add.add_argument("code", help="the code, or a picture of it")
    group.add("list", _list, "bring the spares up to date, and say how they are")
    remove = group.add("remove", _remove, "copy nothing more to a spare")
    remove.add_argument("place", help="where it is, as the list says")


async def _add(call: Call) -> int:
    code = code_given(call.arguments.code)

    async def same(number: int) -> bool:
        return await call.screen.same(number, other="the box")

    async with call.phone() as peer:
        spare = await peer.add_spare(code, same)
    at = ", ".join(spare["places"])
    call.screen.tell(
        "spare-added",
        f"The box at {at} keeps copies from now on: card, keys, state and archive, all sealed. "
        f"Should your box be destroyed, come back there with your kit:\n"
        f"    {command('recover kit --spare --at ' + spare['places'][0])}\n"
        "Letters that waited in your box and reached no device are lost with it.",
        **spare,
    )
    return DONE


async def _list(call: Call) -> int:
    async with call.phone() as peer:
        spares = await peer.spares()
    lines = [spare_line(one) for one in spares]
    call.screen.tell(
        "spares",
        "\n".join(lines) or f"No spare yet. Add one: {command('spare add CODE')}",
        spares=spares,
    )
    return FAILED if any(one["trouble"] for one in spares) else DONE


async def _remove(call: Call) -> int:
    async with call.phone() as peer:
        spare = peer.remove_spare(call.arguments.place)
    call.screen.tell(
        "spare-removed",
        f"Nothing more is copied to {', '.join(spare['places'])}. What is there is deleted when "
        "its owner removes your seat.",
        **spare,
    )
    return DONE


def spare_line(one: dict[str, Any]) -> str:
    """Say how a spare is."""
    at = show.text(", ".join(one["places"]))
    if one["trouble"]:
        return f"{at}: could not be brought up to date ({one['trouble']}); it is tried again"
    copied = "never brought up to date" if one["copied"] is None else when(one["copied"])
    share = "" if one["share"] else "; friends alone cannot bring you back there"
    return f"{at}: {count(one['segments'], 'segment')} of the archive, {copied}{share}"
