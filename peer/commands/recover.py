"""`homepost recover`: a person comes back on a new device."""

from peer import show
from peer.app import Peer, open_peer
from peer.command import command
from peer.commands.call import DONE, Call, Commands
from peer.commands.codes import code_given
from peer.errors import BadCode
from peer.keys.words import seed_of
from peer.recovery.back import Back
from wire.codes import KitCode, looks_like_code
from wire.errors import WireError
from wire.places import Place


def add_to(commands: Commands) -> None:
    """Put the group on the line."""
    recover = commands.group("recover", _ways, "come back when every device is gone")
    kit = recover.add("kit", _kit, "come back with my recovery kit")
    kit.add_argument(
        "kit", nargs="*", metavar="KIT", help="its code, a picture of it, or its twenty words"
    )
    kit.add_argument("--name", help="what others see when they add you")
    kit.add_argument("--at", metavar="PLACE", help="where the box is, for a kit that cannot say")
    kit.add_argument(
        "--box-gone", action="store_true", help="there is no box any more: restore only who I am"
    )
    kit.add_argument("--mark", help="what the page says after “Kit”; with --box-gone")


async def _ways(call: Call) -> int:
    call.screen.tell(
        "ways",
        f"With your kit on paper: {command('recover kit')}",
        ways=["kit"],
    )
    return DONE


async def _kit(call: Call) -> int:
    arguments = call.arguments
    said: list[str] = (
        arguments.kit
        or (await call.screen.word("The code of your kit, or its twenty words:")).split()
    )
    kit, words = _read(said)
    place = _place(arguments.at)
    name = arguments.name or await call.screen.word("Your name, as others see it:")
    async with open_peer(call.home, create=True) as peer:
        if arguments.box_gone:
            back = await _alone(call, peer, kit, words, name)
        elif kit is not None:
            back = await peer.come_back(kit, place=place, name=name)
        else:
            typed = place or _place(await call.screen.word("Where is your box? Its address:"))
            if typed is None:
                raise BadCode("words do not say where your box is; give its address with --at")
            back = await peer.come_back_with_words(words, typed, name=name)
    tell_back(call, back, paired=not arguments.box_gone)
    return DONE


async def _alone(call: Call, peer: Peer, kit: KitCode | None, words: list[str], name: str) -> Back:
    if kit is not None:
        return peer.come_back_alone(kit.seed, person=kit.person, name=name)
    mark = call.arguments.mark or await call.screen.word("What stands on the page after “Kit”?")
    return peer.come_back_alone(seed_of(words), mark=mark, name=name)


def tell_back(call: Call, back: Back, *, paired: bool) -> None:
    """Say what came back, and what did not."""
    people = len(back.contacts)
    lines = ["You are back."]
    if paired:
        lines[0] += f" {_count(back.shut_out, 'device')} of before can do nothing here any more."
        if people:
            lines.append(
                f"Your contacts came back: {', '.join(map(show.name, back.contacts))}. They see"
                " that you came back, and should ask whether it is you."
            )
    lines += back.lacking
    if not paired:
        lines.append(f"Show a code on a box, and type: {command('pair CODE')}")
    call.screen.tell(
        "back",
        "\n".join(lines),
        person=back.person.text,
        shut_out=back.shut_out,
        contacts=list(back.contacts),
        lacking=list(back.lacking),
    )


def _count(number: int, what: str) -> str:
    return f"The {what}" if number == 1 else f"The {number} {what}s"


def _read(said: list[str]) -> tuple[KitCode | None, list[str]]:
    """Return the kit whose code was said, or its words."""
    joined = " ".join(said)
    given = code_given(said[0]) if len(said) == 1 else joined
    if len(said) > 1 and not looks_like_code(joined):
        return None, said
    try:
        return KitCode.parse(given), []
    except WireError as error:
        raise BadCode(f"{error}; a kit begins with HPK1, or is twenty words") from None


def _place(text: str | None) -> Place | None:
    if not text:
        return None
    try:
        return Place.parse(text)
    except WireError:
        raise BadCode(f"{text!r} is no address; write for example 192.168.1.20") from None
