"""`homepost recover`: a person comes back on a new device."""

from peer import show
from peer.app import Peer
from peer.command import command
from peer.commands.call import DONE, Call, Commands
from peer.commands.codes import code_given
from peer.commands.lock import add_lock_option, new_phone
from peer.console import check_line, drawn
from peer.errors import BadCode, LyingKeeper, NotYet
from peer.keys.words import seed_of
from peer.recovery.asking import Progress
from peer.recovery.back import Back
from wire.check_code import digits, pictures
from wire.codes import AnswerCode, KitCode, looks_like_code
from wire.errors import WireError
from wire.ids import DeviceId
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
        "--spare", action="store_true", help="the box there is a spare; with --at, its address"
    )
    kit.add_argument(
        "--box-gone", action="store_true", help="there is no box any more: restore only who I am"
    )
    kit.add_argument("--mark", help="what the page says after “Kit”; with --box-gone")
    add_lock_option(kit)

    friends = recover.add("friends", _friends, "come back with friends who keep shares")
    friends.add_argument(
        "answers", nargs="*", metavar="ANSWER", help="what friends’ phones have shown"
    )
    friends.add_argument("--name", help="what others see when they add you")
    friends.add_argument("--at", metavar="PLACE", help="where the box is, if it has moved")
    friends.add_argument(
        "--spare", action="store_true", help="the box at --at is a spare that I had added"
    )
    friends.add_argument(
        "--still-here",
        type=int,
        action="append",
        default=[],
        metavar="N",
        help="a device that is not lost, by its number; all others are named as lost",
    )
    add_lock_option(friends)


async def _ways(call: Call) -> int:
    call.screen.tell(
        "ways",
        f"With your kit on paper: {command('recover kit')}\n"
        f"With friends who keep shares: {command('recover friends')}",
        ways=["kit", "friends"],
    )
    return DONE


async def _friends(call: Call) -> int:
    arguments = call.arguments
    async with new_phone(call) as peer:
        asking = peer.asking()
        progress = asking.begin()
        for given in arguments.answers:
            try:
                progress = asking.take(_answer(given))
            except LyingKeeper as liar:
                call.screen.warn(liar.code, f"{liar}.", keepers=list(liar.keepers))
                progress = asking.begin()
        if not progress.enough:
            _tell_progress(call, progress)
            return DONE
        still_here = _still_here(arguments.still_here, asking.devices())
        name = arguments.name or await call.screen.word("Your name, as others see it:")
        try:
            back = await asking.go_on(
                name=name, still_here=still_here, place=_place(arguments.at), spare=arguments.spare
            )
        except NotYet as not_yet:
            call.screen.tell(
                "waiting",
                f"{', '.join(map(show.name, progress.keepers))} have answered, and your box was"
                f" asked. Your {str(not_yet)[4:]}: {command('recover friends')}",
                keepers=list(progress.keepers),
                seconds_left=not_yet.left,
                check=digits(progress.number),
            )
            return DONE
        await peer.try_outbox()
        tell_back(call, back, paired=True)
    return DONE


def _tell_progress(call: Call, progress: Progress) -> None:
    code, count = progress.code.text(), len(progress.keepers)
    missing = "" if progress.need is None else f" {progress.need - count} more are needed."
    answered = f"{', '.join(map(show.name, progress.keepers))} answered.{missing}\n" * bool(count)
    call.screen.tell(
        "asking",
        f"{answered}Meet a friend who keeps a share of yours, or call. Tell who you are, and let"
        f" them read this code:\n\n{drawn(code)}{code}\n\nBoth screens show\n\n"
        f"    {check_line(progress.number)}\n\nThen type what their phone shows: "
        f"{command('recover friends ANSWER')}",
        code=code,
        check=digits(progress.number),
        pictures=list(pictures(progress.number)),
        keepers=list(progress.keepers),
        need=progress.need,
    )


def _answer(given: str) -> AnswerCode:
    try:
        return AnswerCode.parse(code_given(given))
    except WireError as error:
        raise BadCode(f"{error}; a friend’s answer begins with HPS1") from None


def _still_here(numbers: list[int], devices: tuple[DeviceId, ...]) -> tuple[DeviceId, ...]:
    if any(not 1 <= one <= len(devices) for one in numbers):
        raise BadCode(f"your friends know {len(devices)} devices of yours; name them by number")
    return tuple(devices[one - 1] for one in numbers)


async def _kit(call: Call) -> int:
    arguments = call.arguments
    said: list[str] = (
        arguments.kit
        or (await call.screen.word("The code of your kit, or its twenty words:")).split()
    )
    kit, words = _read(said)
    place = _place(arguments.at)
    name = arguments.name or await call.screen.word("Your name, as others see it:")
    async with new_phone(call) as peer:
        if arguments.box_gone:
            back = await _alone(call, peer, kit, words, name)
        elif kit is not None:
            back = await peer.come_back(kit, place=place, name=name, spare=arguments.spare)
        else:
            typed = place or _place(await call.screen.word("Where is your box? Its address:"))
            if typed is None:
                raise BadCode("words do not say where your box is; give its address with --at")
            back = await peer.come_back_with_words(words, typed, name=name, spare=arguments.spare)
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
