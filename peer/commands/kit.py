"""`homepost kit`: the paper with which somebody comes back when every device is gone."""

from pathlib import Path
from typing import Final

from peer.codes.page import kit_page, write_page
from peer.command import command
from peer.commands.call import DONE, FAILED, Call, Commands
from peer.console import drawn

COLUMNS: Final = 4


def add_to(commands: Commands) -> None:
    """Put the group on the line."""
    kit = commands.group("kit", _show, "the paper with which I come back")
    kit.add("show", _show, "show my recovery kit here")
    printed = kit.add("print", _print, "write my recovery kit to a file for the printer")
    printed.add_argument("file", type=Path, metavar="FILE.pdf")
    check = kit.add("check", _check, "ask three words back, then wipe the seed from this device")
    check.add_argument("--keep", action="store_true", help="leave the seed on this device")


async def _show(call: Call) -> int:
    async with call.phone() as peer:
        kit = peer.kit.make()
        call.screen.tell(
            "kit",
            "\n".join(
                [
                    f"RECOVERY KIT {kit.mark}",
                    "Whoever has it is you. Keep it on paper only.",
                    "",
                    drawn(kit.code.text()) + "\n".join(word_lines(kit.words)),
                    "",
                    kit.code.text(),
                    "",
                    _NEXT,
                ]
            ),
            code=kit.code.text(),
            words=list(kit.words),
            mark=kit.mark,
        )
    return DONE


async def _print(call: Call) -> int:
    path: Path = call.arguments.file
    async with call.phone() as peer:
        kit = peer.kit.make()
        write_page(path, kit_page(kit.code.text(), kit.words, mark=kit.mark))
        call.screen.tell(
            "printed",
            f"The kit {kit.mark} is in {path}. Print it on paper, delete the file, and type:"
            f" {command('kit check')}",
            file=str(path),
            mark=kit.mark,
        )
    return DONE


async def _check(call: Call) -> int:
    async with call.phone() as peer:
        asked = peer.kit.choose()
        call.screen.tell("asked", f"Take your kit {peer.kit.make().mark}.", words=list(asked))
        typed = [await call.screen.word(f"Word {number}?") for number in asked]
        peer.kit.answer(asked, typed)
        wiped = not call.arguments.keep and await call.screen.sure(_WIPE)
        if wiped:
            peer.kit.wipe()
        call.screen.tell(
            "checked",
            "Your kit reads. " + (_WIPED if wiped else _KEPT),
            wiped=wiped,
        )
        return DONE if wiped or call.arguments.keep else FAILED


def word_lines(words: tuple[str, ...]) -> list[str]:
    """Return twenty words in columns, each with its number; they are read downwards."""
    rows = -(-len(words) // COLUMNS)
    return [
        "".join(
            f"{number + 1:4} {words[number]:<12}" for number in range(row, len(words), rows)
        ).rstrip()
        for row in range(rows)
    ]


_NEXT: Final = "Have it on paper first, then type: " + command("kit check")
_WIPE: Final = (
    "Wipe the seed from this device now? From then on only the paper has it: with it you shut out a"
    " thief, and he has no more than a device. Choosing friends who help later needs the paper."
)
_WIPED: Final = "The seed is gone from this device; keep the paper well."
_KEPT: Final = "The seed stays on this device: whoever takes and opens it can become you for good."
