"""Asks a gateway everything that its owner can ask, and keeps what it answers.

The control socket is asked each operation of docs/openapi.json, the commands are run as they are
typed, with `--json` and without.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from demo.stage import Box, StepFailed, start
from gateway.control_socket import SOCKET_NAME

OPENAPI: Final = Path(__file__).parents[2] / "docs" / "openapi.json"
NOBODY: Final = "a" * 26
"""A seat that nobody has: sixteen zero bytes."""
SHOWS: Final = (
    ("status",),
    ("status", "--json"),
    ("seats", "list"),
    ("seats", "list", "--json"),
    ("config", "show"),
    ("config", "show", "--json"),
    ("config", "check"),
)
"""Commands that only look."""
_KINDS: Final = {
    "GET /healthz": "health",
    "GET /status": "status",
    "GET /seats": "seats",
    "POST /pair": "pair",
    "GET /pair/{id}": "pairing",
    "POST /pair/{id}": "pairing",
    "POST /backup": "backup",
    "DELETE /backup": "backup",
}


def operations() -> set[str]:
    """Return all that docs/openapi.json says one can ask, as method and path."""
    paths = json.loads(OPENAPI.read_text(encoding="utf-8"))["paths"]
    verbs = ("get", "post", "put", "patch", "delete")
    return {
        f"{verb.upper()} {path}" for path, has in paths.items() for verb in has if verb in verbs
    }


def fields_of(kind: str, value: Any) -> Iterator[str]:
    """Yield the name of each field in an answer, as the data dictionary writes it."""
    for path in _leaves(value):
        yield f"{kind}: {path}"


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _leaves(one, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        for one in value:
            yield from _leaves(one, path)
    elif path:  # else it is an empty list of rows
        yield path


@dataclass
class Owner:
    """Somebody who has the box in his hands, with the tools that came with it."""

    box: Box
    asked: set[str] = field(default_factory=set)
    """Operations of the control socket."""
    fields: set[str] = field(default_factory=set)
    """That answers had."""
    said: list[str] = field(default_factory=list)
    """Everything that was answered or printed, word for word."""

    async def ask_everything(self) -> None:
        """Ask each operation, rightly and wrongly, and run each command."""
        connector = aiohttp.UnixConnector(str(self.box.data / SOCKET_NAME))
        async with aiohttp.ClientSession("http://localhost", connector=connector) as socket:
            for path in ("/healthz", "/status", "/seats"):
                await self._ask(socket, f"GET {path}")
            code = await self._ask(socket, "POST /pair")
            await self._ask(socket, "GET /pair/{id}", id=code["id"])
            await self._ask(socket, "POST /pair/{id}", {"same": False}, id=code["id"])
            await self._ask(socket, "PATCH /seats/{seat}", {"limit_bytes": 1}, seat=NOBODY)
            await self._ask(socket, "DELETE /seats/{seat}", seat=NOBODY)
            await self._ask(socket, "POST /backup")
            await self._ask(socket, "DELETE /backup")
        for words in SHOWS:
            await self._run(*words)
        await self._pair()

    async def _ask(
        self,
        socket: aiohttp.ClientSession,
        operation: str,
        body: dict[str, Any] | None = None,
        **places: str,
    ) -> Any:
        method, _, path = operation.partition(" ")
        async with socket.request(method, path.format(**places), json=body) as answer:
            text = await answer.text()
        self.asked.add(operation)
        self.said.append(text)
        value = json.loads(text) if text else {}
        kind = _KINDS[operation] if answer.status < 400 else "refusal"
        shown = value["seats"] if kind == "seats" else value
        self.fields |= set(fields_of(kind, shown))
        return value

    async def _run(self, *words: str) -> None:
        """Run a command that only looks."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", *words, "--data", str(self.box.data)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        if process.returncode != 0:
            raise StepFailed(f"{' '.join(words)} ended with {process.returncode}: {out.decode()}")
        self.said.append(out.decode())
        match words:
            case ("status", "--json"):
                self.fields |= set(fields_of("status", json.loads(out)))
            case ("seats", "list", "--json"):
                self.fields |= set(fields_of("seats", json.loads(out)["seats"]))
            case ("config", "show", "--json"):
                parts = {name for row in json.loads(out).values() for name in row}
                known = parts == {"value", "origin"}
                self.fields.add("config: (each setting)" if known else f"config: {parts}")

    async def _pair(self) -> None:
        """Show a code, and do not wait for anybody."""
        words = ("gateway.cli", "pair", "--data", self.box.data, "--json")
        process = await start("the owner’s pair", *words)
        shown = await process.event("open")
        self.fields |= {"pairing: state"} | set(
            fields_of("pair", {name: one for name, one in shown.items() if name != "state"})
        )
        self.said.append(json.dumps(shown))
        await process.stop()
        self.said.append(process.errors)
