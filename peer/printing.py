"""Letters and the state of a phone, as lines for people and as facts for programs."""

import time
from pathlib import Path
from typing import Any, Final

from peer import show
from peer.command import command
from peer.errors import CannotSave
from peer.items.kinds import File
from peer.letterbox import Shown
from peer.people.news import Noticed

_INDENT: Final = "  "
_UNSAFE: Final = frozenset('/\\<>:"|?*')
MAX_FILE_NAME: Final = 100
MAX_COPIES: Final = 1000


def letter_lines(letter: Shown, *, saved: Path | None) -> str:
    """Return a letter as it is read on a terminal."""
    who = show.name(letter.contact)
    head = f"{'To ' if letter.outgoing else ''}{who}, {when(letter.written)}"
    lines = [head]
    if letter.unknown:
        lines.append(f"{_INDENT}(something that only a newer Homepost can show; it is kept)")
    if letter.text:
        lines.append(_INDENT + show.text(letter.text, indent=_INDENT))
    if letter.file is not None:
        lines.append(_INDENT + _file_line(letter.file, saved, ours=letter.outgoing))
    if letter.late:
        lines.append(f"{_INDENT}— came late: it was written before others that you have seen")
    if letter.outgoing and letter.state:
        lines.append(f"{_INDENT}— {show.text(letter.state)}")
    return "\n".join([*lines, ""])


def letter_facts(letter: Shown, *, saved: Path | None = None) -> dict[str, Any]:
    """Return a letter for a program."""
    facts: dict[str, Any] = {
        "number": letter.number,
        "to" if letter.outgoing else "from": letter.contact,
        "text": letter.text,
        "written": letter.written,
    }
    if letter.outgoing:
        facts["state"] = letter.state
    if letter.unknown:
        facts["unknown"] = True
    if letter.late:
        facts["late"] = True
    if (file := letter.file) is not None:
        facts["file"] = {"name": file.name, "type": file.type, "size": len(file.data)}
        if saved is not None:
            facts["file"]["saved"] = str(saved)
    return facts


def status_lines(status: dict[str, Any]) -> list[str]:
    """Return what `status` shows."""
    gateway, places = status["gateway"], ", ".join(status["places"])
    match gateway:
        case "none":
            box = f"none yet; show a code on the box and type: {command('pair CODE')}"
        case "answers":
            box = f"answers at {places}"
        case why:
            box = why
    waiting = status["letters_waiting"]
    rows = [
        ("You", f"{show.name(status['name'])} ({status['person'][:8]}…)"),
        ("Lock", lock_line(status["lock"])),
        ("Box", box),
        ("Contacts", str(status["contacts"])),
        ("Waiting", f"{count(waiting, 'letter')} to be sent" if waiting else "nothing to be sent"),
    ]
    if (mailbox := status["mailbox"]) is not None:
        used, limit = size(mailbox["bytes"]), size(mailbox["limit_bytes"])
        rows.append(("Mailbox", f"{count(mailbox['waiting'], 'parcel')}, {used} of {limit}"))
    if status.get("seed_on_phone") and not status.get("kit_checked"):
        rows.append(("Kit", f"not on paper yet: {command('kit print FILE.pdf')}"))
    if status.get("copied"):
        rows.append(("Copied", "this phone was copied or set back; take it off and add it anew"))
    for name, missing in status["missing"].items():
        rows.append(("Missing", f"{count(missing, 'letter')} from {show.name(name)}; asked again"))
    for name in status["cards_behind"]:
        rows.append(("Card", f"{show.name(name)} has a newer card that did not come; asked for it"))
    for name in status["cards_stale"]:
        rows.append(("Card", f"{show.name(name)}’s card is out of date; meet again to be sure"))
    for one in status["given_up"]:
        rows.append(("Given up", f"a letter to {show.name(one['to'])}: {show.text(one['why'])}"))
    return [f"{name:<9} {text}" for name, text in rows]


def lock_line(lock: str) -> str:
    """Return how the phone's file lies on the disk."""
    match lock:
        case "pin":
            return "on; your PIN opens this phone"
        case "keyring":
            return "on; this phone opens when you log in to the system"
        case _:
            return f"off; whoever gets this disk can read all. Turn it on: {command('lock pin')}"


def notice_line(one: Noticed) -> str:
    """Return what a card says, as a sentence."""
    day = time.strftime("%Y-%m-%d", time.localtime(one.since))
    whose = f"{show.name(one.contact)} has" if one.contact else "You have"
    card = f"{show.name(one.contact)}’s card" if one.contact else "Your card"
    what = show.name(one.device) if one.device else "device"
    match one.what:
        case "added":
            return f"{whose} a new device since {day}: {what}."
        case "revoked":
            return f"{whose} taken a device off on {day}: {what}."
        case "root":
            return f"{card} was begun anew with the recovery key on {day}; ask whether that is so."
        case "disputed":
            return f"{card} is disputed since {day}: only devices that nobody disputes get letters."
    return f"{card} has changed on {day}."


def notice_facts(one: Noticed) -> dict[str, Any]:
    """Return what a card says, for a program."""
    return {"card": one.contact, "what": one.what, "device": one.device, "since": one.since}


def save_file(file: File, folder: Path) -> Path:
    """Write a file that came with a letter into `folder`; nothing that is there is touched.

    The name is the sender's suggestion: it leads nowhere else and hides nothing.

    Raises:
        CannotSave: no such folder, no permission, no space.
    """
    name = safe_name(file.name)
    stem, suffix = Path(name).stem, Path(name).suffix
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, MAX_COPIES):
            path = folder / (name if number == 1 else f"{stem} {number}{suffix}")
            try:
                with path.open("xb") as out:
                    out.write(file.data)
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise CannotSave(
            f"the folder {folder} takes no files ({error.strerror}); choose another with --save"
        ) from None
    raise CannotSave(
        f"the folder {folder} holds too many files of one name; choose another with --save"
    )


def safe_name(suggested: str) -> str:
    """Return a file name that is safe to make, close to the one that was suggested."""
    name = "".join("_" if one in _UNSAFE else one for one in show.name(suggested))
    name = name.strip(". ")[-MAX_FILE_NAME:]
    return name or "file"


def when(written: float) -> str:
    """Return a time, with its day where that is not today."""
    moment, today = time.localtime(written), time.localtime()
    if moment[:3] == today[:3]:
        return time.strftime("%H:%M", moment)
    return time.strftime("%Y-%m-%d %H:%M", moment)


def day(moment: float) -> str:
    """Return a day."""
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def count(number: int, what: str) -> str:
    """Return `1 letter`, `2 letters`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def size(number: float) -> str:
    """Return an amount of bytes."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def _file_line(file: File, saved: Path | None, *, ours: bool) -> str:
    what = f"[{show.name(file.name)}, {size(len(file.data))}]"
    if ours:
        return what
    if saved is not None:
        return f"{what} saved as {show.text(str(saved))}"
    return f"{what} keep it with: {command('read --all --save FOLDER')}"
