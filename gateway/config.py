"""The gateway's settings: read once, checked whole, never changed while it runs.

Where a value comes from, the first that has one:

    flag          --port 5000
    environment   HOMEPOST_PORT=5000
    file          port = 5000            --config, <data>/gateway.toml or /etc/homepost/gateway.toml
    default       4433

A name that nobody knows is an error with a suggestion, never a silent default. No setting is a
secret: keys live in files of their own in the data folder.
"""

import difflib
import ipaddress
import os
import pwd
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.errors import StartupError
from wire.errors import Malformed
from wire.places import DEFAULT_PORT, Place

ENVIRONMENT: Final = "HOMEPOST_"
PROGRAM: Final = "homepost-gateway"
_NO_SETTINGS: Final = (f"{ENVIRONMENT}CONFIG", f"{ENVIRONMENT}COMMAND", f"{ENVIRONMENT}HOME")
"""Variables that say where the settings are, and how we were called."""
FILE_NAME: Final = "gateway.toml"
SYSTEM_FILE: Final = Path("/etc/homepost") / FILE_NAME
SYSTEM_DATA: Final = Path("/var/lib/homepost")
MAX_HOSTS: Final = 16
"""As many as an answer to a phone carries (docs/protocol.md §3.3)."""
MAX_CONTACT: Final = 200
MAX_FILE: Final = 64 * 1024
"""Bytes of the largest settings file that is read: a longer one is some other file."""
MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB

_UNITS: Final = {
    "": 1, "b": 1,
    "kb": 1000, "mb": 1000**2, "gb": 1000**3, "tb": 1000**4,
    "kib": 1024, "mib": MIB, "gib": GIB, "tib": 1024 * GIB,
}  # fmt: skip
_CONTACT: Final = re.compile(r"mailto:[^@\s\"]+@[^@\s\"]+\.[^@\s\"]+|https://[^\s\"]+", re.ASCII)
_SERVER: Final = re.compile(r"[a-z0-9_.:-]+", re.ASCII)
_HAS_PORT: Final = re.compile(r"(^[^:]+|\]):[0-9]+$")
_SIZE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?)\s*([a-z]*)")


class SettingsError(StartupError):
    """A setting is unknown, of the wrong kind or out of bounds; the sentence names it."""

    code = "settings-wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything an owner can set."""

    data: Path
    """The folder that holds keys, store and control socket."""
    listen: tuple[str, ...] = ("::", "0.0.0.0")  # noqa: S104  # phones come from outside
    """IP addresses to listen on; both kinds of all by default."""
    port: int = DEFAULT_PORT
    """TCP port. 0 takes a free one, which suits tests only: phones remember the port."""
    hosts: tuple[str, ...] = ()
    """Names or addresses at which phones should look for this box, with a port only where it is
    another one; empty: the box's addresses on the home network."""
    seat_limit: int = GIB
    """Bytes that may wait for one seat: some months of letters with photos on an SD card."""
    archive_limit: int = GIB
    """Bytes of one person's archive: a million letters, or some thousand photos."""
    connections: int = 512
    """Connections at a time: below the 1024 files that a process may open by default. An
    idle one costs 50 kB, one that does its worst 200 kB for half a minute."""
    connections_per_address: int = 128
    """Connections from one address: a household behind one address has fewer, and one that wants
    more cannot shut the others out."""
    refusals_per_minute: int = 300
    """Refusals after which an address is not listened to for a while: a phone has some in a day, a
    guesser has nothing else."""
    plain_port: int = 0
    """TCP port of the loopback addresses that speaks HTTP without TLS, for a proxy on this machine
    that ends TLS with the gateway's own certificate; 0: none."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses of proxies that speak for many visitors: no cap for one address holds for them, and
    on the plain port they may say for whom they connect."""
    web_push: str = ""
    """Whom a push service may write to when something is wrong with our pushes, `mailto:…` or
    `https://…`; switches Web Push and UnifiedPush on. Empty: phones are woken by nothing."""
    push_servers: tuple[str, ...] = ()
    """Names or addresses of push services on the home network, where the box asks otherwise for
    nothing."""
    push_trust: str = ""
    """A file with certificates in PEM that these are believed by, where they have none that the
    machine trusts."""
    log_level: str = "info"
    """How much is said on stderr: error, warning, info or debug."""
    log_format: str = "plain"
    """`plain` for people, `json` for machines."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and where each of them came from."""

    config: Config
    origins: Mapping[str, str] = field(repr=False)
    """By name: `default`, or the flag, variable or file in words."""
    file: Path | None = None
    """The settings file that was read."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How one setting is read and what it is for."""

    name: str
    read: Callable[[Any], Any]
    """Takes what TOML gave, or a text; raises ValueError with what is wanted instead."""
    help: str
    metavar: str = "NUMBER"
    """What stands for the value in a help text."""

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return ENVIRONMENT + self.name.upper()

    @property
    def flag(self) -> str:
        """The command-line flag that sets it."""
        return "--" + self.name.replace("_", "-")


def parse_size(value: Any) -> int:
    """Return a number of bytes, written as a number or as a text such as `1 GiB` or `500 MB`.

    Raises:
        ValueError: no such size.
    """
    if type(value) is int and value >= 0:
        return value
    found = _SIZE.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if found is None or found[2] not in _UNITS:
        raise ValueError("a size such as 500 MiB or 2 GiB")
    return int(float(found[1]) * _UNITS[found[2]])


def _folder(value: Any) -> Path:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("the path of a folder")
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError:  # ~name, where nobody is called so
        raise ValueError("the path of a folder") from None


def _file_named(value: Any) -> str:
    if isinstance(value, str) and not value.strip():
        return ""
    try:
        return str(_folder(value))
    except ValueError:
        raise ValueError("the path of a file") from None


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()):
            value = int(value)
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return read


def _one_of(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return str(value)

    return read


def _texts(value: Any, *, wanted: str) -> list[str]:
    """Take a list of texts, or one text with commas."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(one, str) for one in parts):
        raise ValueError(wanted)
    return [one.strip() for one in parts if one.strip()]


def _addresses(value: Any) -> tuple[str, ...]:
    wanted = 'a list of IP addresses of this machine, such as ["192.168.1.2"]'
    if not (found := _ips(value, wanted=wanted)):
        raise ValueError(wanted)
    return found


def _proxies(value: Any) -> tuple[str, ...]:
    return _ips(value, wanted='a list of IP addresses of proxies, such as ["127.0.0.1"]')


def _ips(value: Any, *, wanted: str) -> tuple[str, ...]:
    try:
        found = tuple(str(ipaddress.ip_address(one)) for one in _texts(value, wanted=wanted))
    except ValueError:
        raise ValueError(wanted) from None
    return tuple(dict.fromkeys(found))


def _hosts(value: Any) -> tuple[str, ...]:
    wanted = f'a list of at most {MAX_HOSTS} names or addresses, such as ["box.example"]'
    found = _texts(value, wanted=wanted)
    try:
        for one in found:
            place_of(one, port=DEFAULT_PORT)
    except Malformed as error:
        raise ValueError(f"{wanted} ({error})") from None
    if len(found) > MAX_HOSTS:
        raise ValueError(wanted)
    return tuple(dict.fromkeys(found))


def _contact(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else None
    if text == "" or (text and len(text) <= MAX_CONTACT and _CONTACT.fullmatch(text)):
        return text
    raise ValueError('"mailto:you@example.org", "https://example.org/me" or nothing')


def _servers(value: Any) -> tuple[str, ...]:
    wanted = f'a list of at most {MAX_HOSTS} names or addresses, such as ["push.home.arpa"]'
    found = [one.lower() for one in _texts(value, wanted=wanted)]
    if len(found) > MAX_HOSTS or not all(_SERVER.fullmatch(one) for one in found):
        raise ValueError(wanted)
    return tuple(dict.fromkeys(found))


def place_of(host: str, *, port: int) -> Place:
    """Return the place that a host of the settings names; without a port of its own, at `port`.

    Raises:
        Malformed: no host.
    """
    place = Place.parse(host)
    return place if _HAS_PORT.search(host.strip()) else Place(place.host, port)


def _seat_limit(value: Any) -> int:
    size = parse_size(value)
    if not MIB <= size <= 1024 * GIB:
        raise ValueError("a size from 1 MiB to 1 TiB")
    return size


_LEVELS: Final = ("error", "warning", "info", "debug")
_FORMATS: Final = ("plain", "json")

SETTINGS: Final = (
    Setting("data", _folder, "folder for keys and waiting parcels", "FOLDER"),
    Setting("listen", _addresses, "IP addresses to listen on (all)", "LIST"),
    Setting("port", _whole(0, 65_535), f"TCP port ({DEFAULT_PORT})"),
    Setting("hosts", _hosts, "where phones find this box (its addresses)", "LIST"),
    Setting("seat_limit", _seat_limit, "room for one person's parcels (1 GiB)", "SIZE"),
    Setting("archive_limit", _seat_limit, "room for one person's archive (1 GiB)", "SIZE"),
    Setting("connections", _whole(8, 65_536), "connections at a time (512)"),
    Setting("connections_per_address", _whole(4, 65_536), "of them from one address (128)"),
    Setting("refusals_per_minute", _whole(10, 1_000_000), "then an address has to wait (300)"),
    Setting("plain_port", _whole(0, 65_535), "loopback port without TLS, for a proxy (none)"),
    Setting("trusted_proxies", _proxies, "addresses that speak for many visitors (none)", "LIST"),
    Setting("web_push", _contact, "wakes phones; whom push services may write to (off)", "CONTACT"),
    Setting("push_servers", _servers, "push services on the home network (none)", "LIST"),
    Setting("push_trust", _file_named, "certificates of those push services (none)", "FILE"),
    Setting("log_level", _one_of(*_LEVELS), f"{', '.join(_LEVELS)} (info)", "LEVEL"),
    Setting("log_format", _one_of(*_FORMATS), f"{' or '.join(_FORMATS)} (plain)", "FORMAT"),
)
_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}


def load_config(
    flags: Mapping[str, str | None] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Loaded:
    """Read all settings.

    Args:
        flags: what the command line gave, by name; None where it gave nothing.
        environ: the environment; that of the process by default.
        file: the settings file to use instead of the usual ones; it must exist.

    Raises:
        SettingsError: one of them is wrong.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, Any] = {}
    origins: dict[str, str] = {}

    def take(name: str, value: Any, origin: str) -> None:
        if name not in given:
            given[name], origins[name] = _read(_BY_NAME[name], value, origin=origin), origin

    for name, text in (flags or {}).items():
        if text is not None:
            take(name, text, f"flag {_BY_NAME[name].flag}")
    for name, text in _from_environment(environ).items():
        take(name, text, f"environment variable {_BY_NAME[name].variable}")
    path = _file(file, environ=environ, data=given.get("data"))
    for name, value in (_from_file(path) if path else {}).items():
        take(name, value, f"file {path}")
    if "data" not in given:
        given["data"] = default_data(environ)
    config = Config(**given)
    if config.connections_per_address > config.connections:
        raise SettingsError(
            f"connections_per_address ({config.connections_per_address}) is more than connections "
            f"({config.connections}): lower the first or raise the second."
        )
    if config.plain_port and config.plain_port == config.port:
        raise SettingsError(
            f"plain_port and port are both {config.port}: give each a port of its own."
        )
    return Loaded(config, {name: origins.get(name, "default") for name in _BY_NAME}, path)


def default_data(environ: Mapping[str, str]) -> Path:
    """Return the folder for a gateway that was not told one.

    systemd's StateDirectory, else $XDG_DATA_HOME/homepost, else /var/lib/homepost for root, else
    ~/.local/share/homepost. An unset or empty HOME is looked up in the user database.

    Raises:
        SettingsError: there is no home folder.
    """
    if state := environ.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(state)
    shared = environ.get("XDG_DATA_HOME", "")
    if shared.startswith("/"):  # a relative one is to be ignored, says the XDG specification
        return Path(shared) / "homepost"
    if os.geteuid() == 0:
        return SYSTEM_DATA
    return _home(environ) / ".local" / "share" / "homepost"


def command(name: str, *, data: Path | None = None) -> str:
    """Return a command line that can be copied: what to type to reach this gateway.

    Args:
        name: the command.
        data: the gateway's folder; it is named where it is not the usual one.
    """
    program = os.environ.get(f"{ENVIRONMENT}COMMAND") or PROGRAM
    if data is None or data == default_data(os.environ):
        return f"{program} {name}"
    return f"{program} {name} --data {shlex.quote(str(data))}"


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME", "")
    if not home:
        try:
            home = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            home = ""
    if not home.startswith("/"):
        raise SettingsError(
            "This user has no home folder, so say where to keep the data: "
            f"--data FOLDER or {ENVIRONMENT}DATA=FOLDER."
        )
    return Path(home)


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for variable, text in environ.items():
        if not variable.startswith(ENVIRONMENT) or variable in _NO_SETTINGS:
            continue
        name = variable.removeprefix(ENVIRONMENT).lower()
        if name not in _BY_NAME:
            known = [setting.variable for setting in SETTINGS]
            raise SettingsError(_unknown("environment variable", variable, known=known))
        found[name] = text
    return found


def _file(file: Path | None, *, environ: Mapping[str, str], data: Path | None) -> Path | None:
    if file is None and (named := environ.get(f"{ENVIRONMENT}CONFIG")):
        file = Path(named)
    if file is not None:
        return file
    for usual in ((data or default_data(environ)) / FILE_NAME, SYSTEM_FILE):
        try:
            if usual.is_file():
                return usual
        except PermissionError:  # whoever may not look into the folder is told when he opens it
            continue
    return None


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as handle:
            content = handle.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise SettingsError(f"{path} is too long to be a settings file.")
        table = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(f"The settings file {path} cannot be read: {reason}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}.") from None
    except RecursionError:
        raise SettingsError(f"{path} is not a settings file: it is nested too deep.") from None
    for name in table:
        if name not in _BY_NAME:
            raise SettingsError(_unknown(f"setting in {path}:", name, known=list(_BY_NAME)))
    return table


def _read(setting: Setting, value: Any, *, origin: str) -> Any:
    try:
        return setting.read(value)
    except ValueError as error:
        raise SettingsError(f"{setting.name} must be {error}, not {value!r} ({origin}).") from None


def _unknown(what: str, name: str, *, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}."
    return f"Unknown {what} {name}. {hint}"
