"""Letters that are begun: `homepost draft NAME TEXT` keeps one, on all devices."""

from peer import show
from peer.commands.call import DONE, Call, Commands
from peer.devices.drafts import Draft


def add_to(commands: Commands) -> None:
    """Put the command on the line."""
    draft = commands.add("draft", _draft, "keep a letter that is begun, or show it")
    draft.add_argument("name", help="for whom it is")
    draft.add_argument("text", nargs="?", help="what is written so far")
    draft.add_argument("--drop", action="store_true", help="throw away what was begun")


async def _draft(call: Call) -> int:
    said = call.arguments
    async with call.phone() as peer:
        if said.drop:
            peer.drop_draft(said.name)
        elif said.text is not None:
            peer.keep_draft(said.name, said.text)
        if said.drop or said.text is not None:
            await peer.try_state()
        drafts = peer.drafts(said.name)
    lines = [_line(one, alone=len(drafts) == 1) for one in drafts]
    call.screen.tell(
        "drafts",
        "\n".join(lines) or "Nothing is begun.",
        drafts=[{"text": one.text, "here": one.here} for one in drafts],
    )
    return DONE


def _line(draft: Draft, *, alone: bool) -> str:
    where = "" if draft.here or alone else " (also on another device)"
    return f"Begun{where}: {show.text(draft.text, indent='  ')}"
