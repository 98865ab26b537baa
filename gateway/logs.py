"""What is written on stderr, and what never is.

The program logs no secret to begin with. This is the second lock on that door: every line, whoever
wrote it (asyncio and hypercorn write too), passes here on its way out.

    control characters   shown as \\x1b and the like: nobody can forge a line or colour a terminal
    codes, keys, bearers hidden, and so are ids: long runs of base32, base64url or hex
    addresses            cut to a network: IPv4 to /24, IPv6 to /48
    floods               asyncio's complaints about one cause at most `BURST` in `PERIOD` seconds,
                         and all of one library at most `LINES_A_MINUTE` while strangers can come
"""

import ipaddress
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

HIDDEN: Final = "[hidden]"
LINES_A_MINUTE: Final = 20
"""What one library may say in the log: at some hundred bytes a line, a megabyte in an hour."""
BURST: Final = 10
PERIOD: Final = 60.0
"""Seconds. A loop that complains at each failed accept wrote 1 GB in seven minutes (measured)."""

_MADE_TO_SPEAK: Final = (
    "asyncio", "hypercorn.error", "gateway.listener", "gateway.answers", "gateway.door",
)  # fmt: skip

_CODE: Final = re.compile(r"\bHP[A-Z]1:[A-Z2-7]+", re.IGNORECASE)
_RUN: Final = re.compile(r"[A-Za-z0-9_-]{22,}={0,2}")
_BASE32: Final = re.compile(r"[a-z2-7]{26,}|[A-Z2-7]{26,}")
_HEX: Final = re.compile(r"[0-9a-f]{32,}", re.IGNORECASE)
_IPV4: Final = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w.]*\w)")
_IPV6: Final = re.compile(
    r"(?<![\w:.])(?=[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:)[0-9A-Fa-f:]{2,39}(?![\w:]|\.\d)"
)
_SPARED: Final = ("0.0.0.0", "::", "127.0.0.1", "::1")  # noqa: S104  # say nothing about anybody


def set_up_logging(*, level: str, style: str, stream: TextIO | None = None) -> None:
    """Send everything this process logs to `stream`, in one style.

    Args:
        level: error, warning, info or debug.
        style: `plain` or `json`.
        stream: stderr by default.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else PlainLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    limited = logging.getLogger("asyncio")
    limited.filters[:] = [Dam(time.monotonic)]
    limited.setLevel(logging.WARNING)
    # At debug it writes down every value that goes into the store: ids of seats and lanes.
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    logging.raiseExceptions = False  # a closed stderr must not become a second trouble
    logging.captureWarnings(True)


class PlainLines(logging.Formatter):
    """`info  pairing: a phone was paired`; the journal has the time already."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with a trace indented below it."""
        lines = [f"{record.levelname.lower():<8}{short_name(record.name)}: {message(record)}"]
        lines += [f"        | {line}" for line in trace(record)]
        return "\n".join(lines)


class JsonLines(logging.Formatter):
    """One JSON object a line: time (Unix seconds), level, from, message, trace if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        line: dict[str, object] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "from": short_name(record.name),
            "message": message(record),
        }
        if below := trace(record):
            line["trace"] = below
        return json.dumps(line)


class Dam(logging.Filter):
    """Lets at most `BURST` records of one kind through in `PERIOD` seconds.

    The next one that passes says how many were held back.

    Args:
        monotonic: seconds on a clock that never goes back.
    """

    MAX_KINDS = 64

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._kinds: dict[str, _Count] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether `record` passes."""
        now = self._monotonic()
        kind = str(record.msg)[:80]
        if kind not in self._kinds and len(self._kinds) >= self.MAX_KINDS:
            kind = ""
        count = self._kinds.setdefault(kind, _Count(now))
        if now - count.since >= PERIOD:
            if count.passed > BURST:
                record.msg = f"{record.msg} ({count.passed - BURST} like this were not logged)"
            self._kinds[kind] = count = _Count(now)
        count.passed += 1
        return count.passed <= BURST


class Sparing(logging.Filter):
    """Passes a few records a minute, and tells how many it has kept back.

    Args:
        lines: how many in a minute.
        now: returns seconds that never go back.
    """

    def __init__(self, lines: int, *, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._lines = lines
        self._now = now
        self._since = now()
        self._passed = 0
        self._kept_back = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is written."""
        if self._now() - self._since >= 60.0:
            self._since, self._passed = self._now(), 0
        if self._passed >= self._lines:
            self._kept_back += 1
            return False
        self._passed += 1
        if self._kept_back:
            record.msg = f"{record.getMessage()} (and {self._kept_back} more that were not written)"
            record.args = None
            self._kept_back = 0
        return True


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep what strangers can make others say within bounds, until the block ends."""
    spoken = [(logging.getLogger(name), Sparing(LINES_A_MINUTE)) for name in _MADE_TO_SPEAK]
    for logger, sparing in spoken:
        logger.addFilter(sparing)
    try:
        yield
    finally:
        for logger, sparing in spoken:
            logger.removeFilter(sparing)


class _Count:
    __slots__ = ("passed", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.passed = 0


def short_name(name: str) -> str:
    """Return who speaks, without the package's name."""
    return name.removeprefix("gateway.")


def message(record: logging.LogRecord) -> str:
    """Return what the record says, made fit to be read by anybody."""
    try:
        text = record.getMessage()
    except (TypeError, ValueError):
        text = f"{record.msg} (with arguments that do not fit)"
    return harmless(text)


def trace(record: logging.LogRecord) -> list[str]:
    """Return the lines of the record's exception, made fit to be read by anybody."""
    if not record.exc_info:
        return []
    return [
        harmless(line) for line in logging.Formatter().formatException(record.exc_info).split("\n")
    ]


def harmless(text: str) -> str:
    """Return `text` without secrets, ids, full addresses and control characters."""
    return escape(_cut_addresses(_RUN.sub(_hide, _CODE.sub(HIDDEN, text))))


def escape(text: str) -> str:
    """Return `text` with everything that is not printable written as an escape."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def short_address(address: str) -> str:
    """Return the network that `address` is in: enough to find a trouble, not to find a person."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return HIDDEN
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return str(ipaddress.ip_network((found, 24 if found.version == 4 else 48), strict=False))


def _escaped(one: str) -> str:
    return one.encode("unicode_escape", "backslashreplace").decode("ascii")


def _hide(found: re.Match[str]) -> str:
    run = found[0]
    mixed = (
        any(one.isupper() for one in run)
        and any(one.islower() for one in run)
        and any(one.isdigit() for one in run)
    )
    return HIDDEN if mixed or _BASE32.search(run) or _HEX.search(run) else run


def _cut_addresses(text: str) -> str:
    return _IPV6.sub(_cut, _IPV4.sub(_cut, text))


def _cut(found: re.Match[str]) -> str:
    address = found[0]
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if address in _SPARED else short_address(address)
