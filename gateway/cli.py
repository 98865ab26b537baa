"""homepost-gateway: the box in the hall.

Runs the gateway and asks a running one, always through its control socket and never through its
file. Only `restore` writes files, where no gateway runs.
"""

import argparse
import asyncio
import gc
import getpass
import hmac
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NoReturn

from gateway.config import PROGRAM, SETTINGS, Loaded, command, load_config, parse_size
from gateway.console import ForPeople, ForPrograms, Lines, pair_once
from gateway.control_client import ControlClient, ControlError
from gateway.errors import StartupError
from gateway.status import version

DONE: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130

Command = Callable[[Loaded, argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0 done, 1 not done, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except (StartupError, ControlError) as error:
        if arguments.json:
            print(json.dumps({"error": error.code, "sentence": str(error)}))
        else:
            print(f"{PROGRAM}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run(arguments: argparse.Namespace) -> int:
    flags = {setting.name: getattr(arguments, setting.name) for setting in SETTINGS}
    loaded = load_config(flags, file=arguments.config)
    command: Command = arguments.run
    return command(loaded, arguments)


class _Parser(argparse.ArgumentParser):
    """A parser that knows what a misspelt flag was meant to be."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, with a suggestion, and end with 2."""
        known = [one for one in self._option_string_actions if one.startswith("--")]
        flags = [one.partition("=")[0] for one in message.split() if one.startswith("--")]
        guesses = " or ".join(one for flag in flags for one in get_close_matches(flag, known, n=1))
        super().error(f"{message}. Did you mean {guesses}?" if guesses else message)


def _parser() -> argparse.ArgumentParser:
    common = _common(argparse.SUPPRESS)
    parser = _Parser(
        prog=os.environ.get("HOMEPOST_COMMAND") or PROGRAM,
        parents=[_common(None)],
        usage="%(prog)s COMMAND [--help]",
        description="The always-on mailbox of a household. It keeps sealed parcels for people who "
        "are away, and can open none of them.",
        epilog=f"Begin with: {command('serve')}",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, prog=parser.prog)

    def add(name: str, run: Command, help: str, of: Any = commands) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = of.add_parser(
            name, help=help, description=help[0].upper() + help[1:] + ".", parents=[common]
        )
        command.set_defaults(run=run)
        return command

    add("serve", _serve, "run the gateway until Ctrl-C or SIGTERM")
    pair = add("pair", _pair, "show a code for one phone and compare the check code")
    pair.add_argument("--seconds", type=int, metavar="N", help="how long the code is good (120)")
    add("status", _status, "say how the running gateway is")

    backup = add("backup", _backup, "write everything into one sealed file, while it runs")
    backup.add_argument("file", type=Path, help="to be written; it must not be there")
    backup.add_argument(
        "--passphrase", action="store_true", help="seal it with one of yours, which is asked for"
    )
    _secret_argument(backup)
    restore = add("restore", _restore, "put a backup back where no gateway is")
    restore.add_argument("file", type=Path, help="a backup")
    restore.add_argument("--verify", action="store_true", help="check all of it, and write nothing")
    _secret_argument(restore)

    group = commands.add_parser("seats", help="who has a place here, and how much room")
    seats = group.add_subparsers(metavar="COMMAND", required=True)
    add("list", _seats_list, "list the seats", of=seats)
    remove = add("remove", _seats_remove, "remove a seat and all that waits there", of=seats)
    remove.add_argument("seat", help="its name, or the beginning of it")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    quota = add("quota", _seats_quota, "give a seat another amount of room", of=seats)
    quota.add_argument("seat", help="its name, or the beginning of it")
    quota.add_argument("size", help="such as 500 MiB or 2 GiB")
    quota.add_argument("--archive", action="store_true", help="the room of its archive instead")

    group = commands.add_parser("config", help="what is set, and whether it is right")
    config = group.add_subparsers(metavar="COMMAND", required=True)
    add("check", _config_check, "read the settings and say what is wrong with them", of=config)
    add("show", _config_show, "show every setting and where it comes from", of=config)
    return parser


def _secret_argument(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--secret-file", type=Path, metavar="FILE", help="read the secret or passphrase from a file"
    )


def _common(default: str | None) -> argparse.ArgumentParser:
    """Return what is understood before a command as well as after it.

    Args:
        default: None before the command; SUPPRESS after it, so that silence there changes nothing.
    """
    common = argparse.ArgumentParser(add_help=False, argument_default=default)
    common.add_argument(
        "--json", action="store_true", help="answer in JSON", default=default or False
    )
    common.add_argument("--config", type=Path, metavar="FILE", help="settings file to use")
    settings = common.add_argument_group("settings")
    for setting in SETTINGS:
        what = setting.help if default else argparse.SUPPRESS  # the help of a command shows them
        settings.add_argument(setting.flag, metavar=setting.metavar, help=what)
    return common


def _serve(loaded: Loaded, arguments: argparse.Namespace) -> int:
    gc.disable()  # until all is there: looking for garbage meanwhile takes a sixth of a start
    try:
        from gateway.service import serve  # the other commands start without a web server

        return serve(loaded.config)
    finally:
        gc.enable()


def _pair(loaded: Loaded, arguments: argparse.Namespace) -> int:
    if arguments.seconds is not None and not 1 <= arguments.seconds <= 600:
        print(f"{PROGRAM}: --seconds is a number from 1 to 600.", file=sys.stderr)
        return WRONG_USAGE
    manner = ForPrograms if arguments.json else ForPeople
    screen = manner(lines=Lines(sys.stdin), out=sys.stdout)
    client = ControlClient(loaded.config.data)
    state = asyncio.run(_interruptible(pair_once(client, screen, seconds=arguments.seconds)))
    screen.ended(state)
    return DONE if state == "paired" else FAILED


async def _interruptible(work: Any) -> Any:
    """Run `work` so that SIGTERM ends it as Ctrl-C does: with its last words."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _status(loaded: Loaded, arguments: argparse.Namespace) -> int:
    status = _ask(loaded, "GET", "/status")
    if arguments.json:
        print(json.dumps(status))
        return DONE
    disk, clock = status["disk"], status["clock"]
    again = command("pair", data=loaded.config.data)
    rows = {
        "Running": f"version {status['version']}, for {_duration(status['uptime_seconds'])}",
        "Data": status["data"],
        "Phones": ", ".join(status["places"]),
        "Seats": status["seats"],
        "Waiting": f"{_count(status['waiting'], 'parcel')}, {_size(status['waiting_bytes'])}",
        "Disk": f"{_size(disk['free_bytes'])} free of {_size(disk['total_bytes'])}, "
        f"{_size(disk['used_bytes'])} used here",
        "Clock": clock["now"]
        if clock["state"] == "plausible"
        else f"{clock['now']}: not set. Letters are kept all the same; check the network time.",
    }
    if status["unconfirmed"]:
        waiting = _count(status["unconfirmed"], "device")
        rows["To pair"] = f"{waiting} must be paired again, since this was restored: {again}"
    for name, value in rows.items():
        print(f"{name:<8} {value}")
    for sentence in status["damage"]:
        print(f"\n{sentence}")
    return DONE


def _backup(loaded: Loaded, arguments: argparse.Namespace) -> int:
    from gateway.archive import back_up
    from gateway.backup import MIN_PASSPHRASE, new_secret

    secret, made = _given_secret(arguments), False
    if secret is None and arguments.passphrase:
        secret = _ask_secret("Passphrase for this backup: ")
        again = _ask_secret("Once more: ") if sys.stdin.isatty() else secret
        if not hmac.compare_digest(again.encode(), secret.encode()):
            raise ControlError("The two are not the same. Nothing was written.")
    if secret is None:
        secret, made = new_secret(), True
    elif len(secret) < MIN_PASSPHRASE:
        raise ControlError(
            f"A passphrase has {MIN_PASSPHRASE} characters or more: who has the file can try at "
            "leisure. Nothing was written."
        )
    target = arguments.file.absolute()
    data = loaded.config.data
    about = back_up(data, target, secret=secret, settings=loaded.file)
    size = target.stat().st_size
    answer = {
        "file": str(target),
        "bytes": size,
        "seats": about.seats,
        "parcels": about.parcels,
        **({"secret": secret} if made else {}),
    }
    sentence = f"Wrote {target}: {_held(about.seats, about.parcels)}, {_size(size)}."
    if made:
        sentence += (
            f"\n\n    {secret}\n\nThis secret opens it, and is shown this once. Write it down, and "
            "keep it elsewhere than the file:\nwithout it the file is of no use, and who has both "
            "can stand in for this gateway."
        )
    _report(arguments, answer, sentence)
    return DONE


def _restore(loaded: Loaded, arguments: argparse.Namespace) -> int:
    from gateway.archive import restore, verify

    secret = _given_secret(arguments) or _ask_secret("Secret or passphrase of the backup: ")
    data, source = loaded.config.data, arguments.file
    if arguments.verify:
        about = verify(source, secret=secret)
        sentence = "It is whole and opens with this secret."
    else:
        about = restore(source, data, secret=secret)
        sentence = (
            f"It was put back into {data}. The gateway it was made of must not run any more.\n"
            f"Start this one: {command('serve', data=data)}\n"
            f"Then pair every phone again: {command('pair', data=data)}\n"
            "Letters are taken from the start on; a phone gets its own once it is paired."
        )
    answer = {
        "file": str(source),
        "verified": arguments.verify,
        "gateway": about.gateway,
        "made": about.made,
        "program": about.program,
        "seats": about.seats,
        "parcels": about.parcels,
    }
    made = f"{source} was made on {about.day} UTC by version {about.program}"
    _report(arguments, answer, f"{made}: {_held(about.seats, about.parcels)}.\n{sentence}")
    return DONE


def _given_secret(arguments: argparse.Namespace) -> str | None:
    """Return the secret in the file that was named, if one was."""
    if arguments.secret_file is None:
        return None
    try:
        secret: str = arguments.secret_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ControlError(f"{arguments.secret_file} cannot be read: {reason}.") from None
    if not secret:
        raise ControlError(f"{arguments.secret_file} is empty.")
    return secret


def _ask_secret(question: str) -> str:
    """Ask for a secret without showing it; from a pipe, take its first line."""
    secret = getpass.getpass(question) if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not secret:
        raise ControlError("There is no secret. Nothing was done.")
    return secret


def _held(seats: int, parcels: int) -> str:
    return f"{_count(seats, 'seat')}, {_count(parcels, 'parcel')}"


def _seats_list(loaded: Loaded, arguments: argparse.Namespace) -> int:
    seats = _ask(loaded, "GET", "/seats")
    if arguments.json:
        print(json.dumps(seats))
        return DONE
    if not seats["seats"]:
        pair = command("pair", data=loaded.config.data)
        print(f"Nobody has a seat here yet. Pair a phone: {pair}")
        return DONE
    print(
        f"{'SEAT':<10} {'DEVICES':>7} {'WAITING':>8} {'USED':>10} {'ROOM':>10}"
        f" {'ARCHIVE':>10} {'ITS ROOM':>10}"
    )
    for seat in seats["seats"]:
        print(
            f"{seat['seat'][:8]:<10} {seat['devices']:>7} {seat['waiting']:>8}"
            f" {_size(seat['used_bytes']):>10} {_size(seat['limit_bytes']):>10}"
            f" {_size(seat['archive_used_bytes']):>10} {_size(seat['archive_limit_bytes']):>10}"
        )
    return DONE


def _seats_remove(loaded: Loaded, arguments: argparse.Namespace) -> int:
    seat = _find_seat(loaded, arguments.seat)
    waiting = _count(seat["waiting"], "parcel")
    if not arguments.yes and not _sure(
        f"Remove seat {seat['seat'][:8]} with {_count(seat['devices'], 'device')} and {waiting} "
        "waiting? Its phones must be paired again. [y/N] "
    ):
        raise ControlError("Nothing was removed. Say y, or give --yes, to remove the seat.")
    _ask(loaded, "DELETE", f"/seats/{seat['seat']}")
    _report(arguments, {"removed": seat["seat"]}, f"Removed, with {waiting}.")
    return DONE


def _seats_quota(loaded: Loaded, arguments: argparse.Namespace) -> int:
    try:
        limit = parse_size(arguments.size)
    except ValueError as error:
        raise ControlError(f"The room of a seat is {error}, not {arguments.size!r}.") from None
    seat = _find_seat(loaded, arguments.seat)
    which = "archive_limit_bytes" if arguments.archive else "limit_bytes"
    _ask(loaded, "PATCH", f"/seats/{seat['seat']}", {which: limit})
    answer = {"seat": seat["seat"], which: limit}
    what = "The archive of seat" if arguments.archive else "Seat"
    _report(arguments, answer, f"{what} {seat['seat'][:8]} has room for {_size(limit)} now.")
    return DONE


def _config_check(loaded: Loaded, arguments: argparse.Namespace) -> int:
    changed = sorted({origin for origin in loaded.origins.values() if origin != "default"})
    what = f"Everything is right. Read: {', '.join(changed) or 'nothing, all is default'}."
    _report(arguments, {"ok": True, "read": changed}, what)
    return DONE


def _config_show(loaded: Loaded, arguments: argparse.Namespace) -> int:
    shown = {}
    for field in fields(loaded.config):
        value = getattr(loaded.config, field.name)
        plain = str(value) if isinstance(value, Path) else value
        shown[field.name] = {"value": plain, "origin": loaded.origins[field.name]}
    if arguments.json:
        print(json.dumps(shown))
        return DONE
    for name, row in shown.items():
        print(f"{name:<24} {_shown(name, row['value']):<34} {row['origin']}")
    return DONE


def _shown(name: str, value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "(the addresses of this machine)"
    return _size(value) if name in ("seat_limit", "archive_limit") else str(value)


def _ask(loaded: Loaded, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    return asyncio.run(ControlClient(loaded.config.data).ask(method, path, body=body))


def _find_seat(loaded: Loaded, name: str) -> dict[str, Any]:
    """Return the one seat whose name begins with `name`.

    Raises:
        ControlError: none does, or several.
    """
    wanted = name.lower().rstrip("…")
    seats: list[dict[str, Any]] = _ask(loaded, "GET", "/seats")["seats"]
    found = [seat for seat in seats if wanted and seat["seat"].startswith(wanted)]
    if len(found) != 1:
        what = f"{len(found)} seats begin" if found else "No seat begins"
        raise ControlError(f"{what} with {name!r}. See `{command('seats list')}`.")
    return found[0]


def _sure(question: str) -> bool:
    """Ask the owner; no answer is no."""
    print(question, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        print(file=sys.stderr)
    return line.strip().lower() in ("y", "yes")


def _report(arguments: argparse.Namespace, answer: dict[str, Any], sentence: str) -> None:
    print(json.dumps(answer) if arguments.json else sentence)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _size(number: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return (
                f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
            )
        number /= 1024
    return f"{number:.1f} TiB"


def _duration(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{_count(days, 'day')} {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{left} s"


if __name__ == "__main__":
    sys.exit(main())
