"""`homepost friends`: those who keep shares of my recovery seed, and those whose shares I keep."""

import time

from peer import show
from peer.command import command
from peer.commands.call import DONE, FAILED, Call, Commands
from peer.commands.codes import code_given
from peer.console import check_line
from peer.errors import BadCode, KitGone
from peer.keys.words import seed_of
from peer.people.keepers import Keeper
from peer.recovery.friends import PRICE
from peer.recovery.guarding import Alarmed
from wire.check_code import digits
from wire.codes import HelpCode, KitCode
from wire.errors import WireError
from wire.ids import RecoveryId
from wire.recovery import Stage


def add_to(commands: Commands) -> None:
    """Put the group on the line."""
    friends = commands.group("friends", _list, "friends who help me come back, and whom I help")
    friends.add("list", _list, "list who keeps my shares, and whose I keep")
    choose = friends.add("choose", _choose, "give friends shares of my recovery seed")
    choose.add_argument("names", nargs="+", metavar="NAME", help="contacts who keep a share each")
    choose.add_argument("--need", type=int, metavar="K", help="how many of them are needed")
    choose.add_argument("--kit", metavar="CODE", help="my kit, if the seed was wiped from here")
    choose.add_argument("--yes", action="store_true", help="do not ask")
    friends.add("rehearse", _rehearse, "see whether the shares are still there")
    helps = friends.add("help", _help, "hand my share to a friend who has lost everything")
    helps.add_argument("name", help="who asks")
    helps.add_argument("code", help="the code that the new device shows, or a picture of it")
    cancel = friends.add("cancel", _cancel, "say no: it was not I who asked friends for help")
    cancel.add_argument("request", help="from the list")
    cancel.add_argument("--kit", metavar="CODE", help="my kit, if this device was named as lost")


async def _choose(call: Call) -> int:
    arguments = call.arguments
    async with call.phone() as peer:
        chosen, need = peer.friends.look_up(arguments.names, arguments.need)
        price = [one.format(need=need, count=len(chosen)) for one in PRICE]
        call.screen.tell("price", "\n\n".join(price), sentences=price)
        names = ", ".join(show.name(one.name) for one in chosen)
        if not arguments.yes and not await call.screen.sure(f"Give shares to {names}?"):
            call.screen.warn("not-sure", "Nothing was given. Say y, or give --yes.")
            return FAILED
        seed = await _seed(call, needed=not peer.kit.seed_is_here)
        await peer.friends.choose(chosen, need=need, seed=seed)
        await peer.try_outbox()
        call.screen.tell(
            "chosen",
            f"{names} get a share each; any {need} of them and your box bring you back."
            f" See who has it with: {command('friends list')}",
            names=[one.name for one in chosen],
            need=need,
        )
    return DONE


async def _seed(call: Call, *, needed: bool) -> bytes | None:
    """Return the seed of the kit that was given, or that is asked for where it is needed."""
    said = call.arguments.kit
    if said is None and needed:
        said = await call.screen.word("The code of your kit, or its twenty words:")
        if not said:
            raise KitGone
    return None if said is None else seed_said(said)


def seed_said(said: str) -> bytes:
    """Return the seed of a kit that was typed as a code, a picture's name or words.

    Raises:
        BadCode, MistypedWord, WrongKit
    """
    if len(words := said.split()) > 1:
        return seed_of(words)
    try:
        return KitCode.parse(code_given(said)).seed
    except WireError as error:
        raise BadCode(f"{error}; a kit begins with HPK1, or is twenty words") from None


async def _list(call: Call) -> int:
    async with call.phone() as peer:
        await peer.read_quietly()
        alarms = await peer.alarms()
        circle, kept = peer.friends.circle(), peer.friends.kept()
        now = time.time()
        lines = [alarm_line(one) for one in alarms]
        if circle is None:
            lines.append(f"Nobody keeps shares of yours. {command('friends choose NAME …')}")
        else:
            lines.append(f"Any {circle.need} of these and your box bring you back:")
            lines += [f"  {show.name(name)}: {_state(one, now)}" for name, one in circle.keepers]
        for contact, one in kept:
            asks = "; asks you to rehearse" if one.nonce is not None else ""
            lines.append(f"You keep a share for {show.name(contact.name)}{asks}.")
        call.screen.tell(
            "friends",
            "\n".join(lines),
            need=None if circle is None else circle.need,
            keepers=[
                {
                    "name": name,
                    "confirmed": one.confirmed is not None,
                    "rehearsed": one.rehearsed,
                    "given_up": one.given_up is not None,
                    "rehearsal_due": one.rehearsal_due(now),
                }
                for name, one in ([] if circle is None else circle.keepers)
            ],
            kept_for=[contact.name for contact, _ in kept],
            rehearsals=[contact.name for contact, one in kept if one.nonce is not None],
            alarms=[alarm_facts(one) for one in alarms],
        )
    return DONE


def _state(keeper: Keeper, now: float) -> str:
    if keeper.given_up is not None:
        return "keeps it no more; choose somebody else"
    if keeper.confirmed is None:
        return "not there yet"
    if keeper.rehearsing:
        return "asked to show it, not answered yet"
    return "has it; rehearse again" if keeper.rehearsal_due(now) else "has it"


async def _rehearse(call: Call) -> int:
    async with call.phone() as peer:
        await peer.read_quietly()
        asked, answered = peer.friends.rehearse()
        await peer.try_outbox()
        lines = []
        if asked:
            lines.append(f"Asked: {', '.join(map(show.name, asked))}. Each says yes once.")
        if answered:
            lines.append(f"You showed that you keep it to {', '.join(map(show.name, answered))}.")
        call.screen.tell(
            "rehearsed",
            "\n".join(lines) or "Nobody keeps a share of yours, and nobody asks you for one.",
            asked=list(asked),
            answered=list(answered),
        )
    return DONE


async def _help(call: Call) -> int:
    code = _help_code(call.arguments.code)
    async with call.phone() as peer:
        contact, number = peer.friends.may_help(call.arguments.name, code)
        name = show.name(contact.name)
        call.screen.tell(
            "asks",
            f"Somebody asks for the share that you keep for {name}, from a new device.\n"
            f"Do this only with {name} before you, or on a call that you began yourself. A letter"
            f" from {name}’s phone proves nothing: it may be who has taken it.",
            name=contact.name,
        )
        if not await call.screen.same(number, other=f"{name}’s new device"):
            call.screen.warn("not-the-same", "Nothing was handed out.")
            return FAILED
        answer = peer.friends.help(contact, code).text()
        call.screen.tell(
            "answer",
            f"Read this to the new device, or send it in any way; only it can open it:\n\n{answer}",
            code=answer,
        )
    return DONE


def _help_code(given: str) -> HelpCode:
    try:
        return HelpCode.parse(code_given(given))
    except WireError as error:
        raise BadCode(f"{error}; read the code that the new device shows") from None


async def _cancel(call: Call) -> int:
    try:
        request = RecoveryId.from_text(call.arguments.request)
    except WireError:
        raise BadCode("this names no request; take its name from the list") from None
    async with call.phone() as peer:
        seed = await _seed(call, needed=False)
        await peer.friends.cancel(request, seed=seed)
        await peer.read_quietly()
        call.screen.tell("cancelled", "It is stopped. Nobody gets the share of your box by it.")
    return DONE


def alarm_line(alarm: Alarmed) -> str:
    """Return what a person is told of a request."""
    whose = "your" if alarm.contact is None else f"{show.name(alarm.contact)}’s"
    match alarm.stage:
        case Stage.CANCELLED:
            return f"A request for {whose} recovery share was stopped."
        case Stage.RELEASED:
            return f"The box has handed out {whose} recovery share to a new device."
    hours = -(-alarm.left // 3600)
    said = (
        f"SOMEBODY ASKS FOR {whose.upper()} RECOVERY SHARE, and gets it in {hours} hours. The"
        f" device that asks shows {check_line(alarm.number)}."
    )
    if alarm.contact is not None:
        return f"{said} Ask {show.name(alarm.contact)} in person whether that is right."
    kit = " --kit CODE" if alarm.named else ""
    no = command(f"friends cancel {alarm.request.text}{kit}")
    lost = " This device was named as lost." if alarm.named else ""
    return f"{said}{lost} If that is not you: {no}"


def alarm_facts(alarm: Alarmed) -> dict[str, object]:
    """Return what a program is told of a request."""
    return {
        "contact": alarm.contact,
        "request": alarm.request.text,
        "stage": alarm.stage.name.lower(),
        "seconds_left": alarm.left,
        "check": digits(alarm.number),
        "named_lost": alarm.named,
    }
