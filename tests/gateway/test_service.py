"""The gateway as a process: start, second start, stop, kill, and what it leaves behind."""

import asyncio
import gc
import json
import os
import pty
import re
import resource
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.config import Config
from gateway.control_client import ControlClient, ControlError
from gateway.service import SPARE_FILES, caps, names, notify, settle_memory
from gateway.tls_certificate import signed_parts
from tests.gateway.eventually import eventually
from tests.gateway.phones import asks
from tests.gateway.processes import (
    COMMAND,
    Process,
    call,
    environment,
    pair_phone,
    run,
    started,
)
from wire.auth import Channel
from wire.certificate import check_extension
from wire.codes import GatewayCode
from wire.ids import GatewayId
from wire.pairing import PairingState


async def test_a_second_start_reuses_everything(tmp_path: Path) -> None:
    async with started(tmp_path) as gateway:
        await pair_phone(gateway)
        before = await gateway.json("status")
        keys = [(gateway.data / name).read_bytes() for name in ("identity.key", "tls.pem")]
    async with started(tmp_path) as gateway:
        after = await gateway.json("status")
        assert keys == [(gateway.data / name).read_bytes() for name in ("identity.key", "tls.pem")]

    assert (after["gateway"], after["seats"]) == (before["gateway"], 1)


async def test_a_phone_can_check_the_certificate_against_the_code(tmp_path: Path) -> None:
    async with started(tmp_path) as gateway:
        shown = await ControlClient(gateway.data).ask("POST", "/pair", body={})
        async with call(gateway) as phone:
            spki, value = signed_parts(phone.certificate)
            assert await phone.get("/healthz") == (200, {"ok": True})

    check_extension(value, spki=spki, gateway=GatewayCode.parse(shown["code"]).gateway)


async def test_what_it_keeps_is_closed_to_everybody_else(tmp_path: Path) -> None:
    async with started(tmp_path) as gateway:
        await pair_phone(gateway)
        limits = Path(f"/proc/{gateway.process.pid}/limits").read_text()
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in gateway.data.iterdir()}
        folder = stat.S_IMODE(gateway.data.stat().st_mode)

    assert folder == 0o700
    assert set(modes.values()) == {0o600}
    assert {"identity.key", "tls.pem", "gateway.sqlite", "control.sock"} <= set(modes)
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_it_ends_in_order_although_somebody_waits(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with started(tmp_path) as gateway:
        owner = ControlClient(gateway.data)
        shown = await owner.ask("POST", "/pair", body={})
        code = GatewayCode.parse(shown["code"])
        async with call(gateway) as phone:
            channel = Channel.over(code.gateway, certificate=phone.certificate)
            waiting = asyncio.create_task(phone.ask(asks(code, channel=channel), wait=25))
            await owner.ask("GET", f"/pair/{shown['id']}?wait=20", wait=20)
            async with asyncio.timeout(10):
                assert await gateway.stop(number) == 0
            assert (await waiting).state is PairingState.REFUSED

        assert not (gateway.data / "control.sock").exists()
        assert "Traceback" not in gateway.logged()


async def test_a_phone_that_was_paired_before_the_plug_was_pulled_is_paired(tmp_path: Path) -> None:
    async with started(tmp_path) as gateway:
        request = await pair_phone(gateway)
        await gateway.stop(signal.SIGKILL)
    async with started(tmp_path) as gateway, call(gateway) as phone:
        answer = await phone.ask(request)

        assert answer.state is PairingState.PAIRED
        assert answer.places == (f"127.0.0.1:{gateway.port}",)


async def test_a_second_gateway_on_one_folder_is_told_who_holds_it(tmp_path: Path) -> None:
    async with started(tmp_path) as gateway:
        second = await gateway.command("serve", "--port", "0")

        assert second.status == 1
        assert f"in use by the gateway with process id {gateway.process.pid}." in second.err


async def test_a_second_gateway_on_one_port_is_told_who_has_it(tmp_path: Path) -> None:
    async with started(tmp_path) as gateway:
        words = ("--data", str(tmp_path / "other"), "--listen", "127.0.0.1")
        second = await run("serve", *words, "--port", str(gateway.port))

        assert second.status == 1
        assert f"Port {gateway.port} is in use by" in second.err
        assert f"(process {gateway.process.pid})" in second.err


@pytest.mark.parametrize("name", ["identity.key", "gateway.sqlite"])
async def test_a_start_that_fails_says_why_in_one_line(tmp_path: Path, name: str) -> None:
    async with started(tmp_path) as gateway:
        await gateway.stop()
    (gateway.data / name).write_bytes(b"damaged" * 1000)
    done = await gateway.command("serve", "--port", "0")

    assert (done.status, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert f"{gateway.data / name}" in done.err


async def test_a_data_folder_that_is_a_file_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = await run("serve", "--data", str(tmp_path / "file"), "--port", "0")

    assert done.status == 1
    assert "is not a folder: choose another data folder" in done.err


async def test_the_log_of_a_pairing_holds_no_secret(tmp_path: Path) -> None:
    async with started(tmp_path, "--log-level", "debug") as gateway:
        request = await pair_phone(gateway)
        [seat] = (await gateway.json("seats", "list"))["seats"]
        async with call(gateway) as phone:
            status, _ = await phone.get("/v1/nothing")
            assert status == 404
        await gateway.json("seats", "remove", seat["seat"], "--yes")
        await gateway.stop()
        logged = gateway.logged()

    assert "no phone is paired yet; run: homepost-gateway pair --data" in logged
    for secret in ("HPG1:", seat["seat"], request.device.text, request.mac.hex(), "127.0.0.1:"):
        assert secret not in logged
    assert re.search(r"[0-9]+\.[0-9]+\.[0-9]+\.[1-9][0-9]*", logged) is None


async def test_a_log_for_machines_is_json_to_its_last_line(tmp_path: Path) -> None:
    async with started(tmp_path, "--log-format", "json", "--log-level", "debug") as gateway:
        await gateway.stop()

        for line in gateway.logged().splitlines():
            assert json.loads(line)["message"]


async def test_a_disk_that_fails_ends_the_process_and_nothing_is_lost(tmp_path: Path) -> None:
    async with started(tmp_path) as gateway:
        first = await pair_phone(gateway)
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (4096, 4096))
        owner = ControlClient(gateway.data)
        shown = await owner.ask("POST", "/pair", body={})
        code = GatewayCode.parse(shown["code"])
        async with call(gateway) as phone:
            channel = Channel.over(code.gateway, certificate=phone.certificate)
            second = asks(code, channel=channel, confirmed=True)
            await phone.ask(second)
            done = await gateway.command("status")
            assert done.status == 0
            with pytest.raises(ControlError, match=r"disk failed|stopped meanwhile"):
                await owner.ask("POST", f"/pair/{shown['id']}", body={"same": True})
        async with asyncio.timeout(10):
            assert await gateway.process.wait() == 1
        assert "the disk failed" in gateway.logged()
    async with started(tmp_path) as gateway, call(gateway) as phone:
        assert (await phone.ask(first)).state is PairingState.PAIRED
        assert (await gateway.json("status"))["seats"] == 1


@contextmanager
def systemd(folder: Path) -> Iterator[tuple[str, socket.socket]]:
    """Listen as systemd does; yield the address and the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        address = str(folder / "notify")
        listening.bind(address)
        listening.setblocking(False)
        yield address, listening


async def test_systemd_is_told_that_it_is_ready_alive_and_stopping(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    with systemd(tmp_path) as (address, listening):
        async with started(tmp_path, NOTIFY_SOCKET=address, WATCHDOG_USEC="100000") as gateway:
            async with asyncio.timeout(10):
                told = [await loop.sock_recv(listening, 100) for _ in range(4)]
                await gateway.stop()
                while told[-1] != b"STOPPING=1":
                    told.append(await loop.sock_recv(listening, 100))

    assert told[0] == b"READY=1"
    assert told[1:4] == [b"WATCHDOG=1"] * 3


def test_garbage_is_collected_once_all_is_there_and_not_among_that() -> None:
    gc.disable()
    try:
        settle_memory()

        assert gc.isenabled()
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.enable()
        gc.unfreeze()


def test_without_systemd_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/notify")
    notify("READY=1")


def test_there_are_never_more_connections_than_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 256))
    found = caps(Config(data=tmp_path))

    assert found.connections == 256 - SPARE_FILES
    assert found.per_address == 128
    assert "this process may open 256 files" in caplog.text


def test_the_names_that_the_owner_set_count_without_their_ports(tmp_path: Path) -> None:
    hosts = ("Box.Example:8443", "home.example", "192.168.1.20", "[fd00::7]:1")

    found = names(Config(data=tmp_path, hosts=hosts))

    assert found == {"box.example", "home.example", "192.168.1.20", "fd00::7"}


def test_proxies_that_the_owner_trusts_are_told_to_the_door(tmp_path: Path) -> None:
    found = caps(Config(data=tmp_path, trusted_proxies=("127.0.0.1",), refusals_per_minute=10))

    assert found.trusted == {"127.0.0.1"}
    assert found.refusals == 10


async def test_the_plain_port_is_at_this_machine_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        plain = found.getsockname()[1]
    async with started(tmp_path, "--plain-port", str(plain)):
        reader, writer = await asyncio.open_connection("127.0.0.1", plain)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
        rows = [
            line.split()
            for table in ("tcp", "tcp6")
            for line in Path("/proc/net", table).read_text().splitlines()[1:]
        ]
        places = {row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{plain:04X}")}
        assert f"0100007F:{plain:04X}" in places
        assert places <= {f"0100007F:{plain:04X}", f"{'0' * 24}01000000:{plain:04X}"}

        second = await run(
            *("serve", "--data", str(tmp_path / "other"), "--listen", "127.0.0.1"),
            *("--port", "0", "--plain-port", str(plain)),
        )
        assert second.status == 1
        assert f"Port {plain} is in use by" in second.err


class Screen:
    """A terminal of 80 x 24 with a gateway in it."""

    def __init__(self, master: int, process: asyncio.subprocess.Process) -> None:
        self.shown = ""
        self.master = master
        self.process = process
        os.set_blocking(master, False)
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            self.shown += os.read(self.master, 65_536).decode("utf-8", "replace")
        except OSError:  # the other end is closed
            asyncio.get_running_loop().remove_reader(self.master)

    async def until(self, text: str) -> None:
        await eventually(lambda: text in self.shown, within=30)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    async def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            status = await self.process.wait()
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        return status


async def on_a_terminal(data: Path) -> Screen:
    """Start `serve` as somebody does who sits before it."""
    master, slave = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("serve", "--data", str(data), "--listen", "127.0.0.1", "--port", "0"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(COLUMNS="80", LINES="24", PYTHONIOENCODING="utf-8"),
        start_new_session=True,
    )
    os.close(slave)
    return Screen(master, process)


async def test_a_first_start_on_a_terminal_pairs_a_phone_there(tmp_path: Path) -> None:
    data = tmp_path / "data"
    screen = await on_a_terminal(data)
    await screen.until("HPG1:")
    await screen.until("\n")
    status = await ControlClient(data).ask("GET", "/status")
    text = re.findall(r"HPG1:[A-Z2-7]+", screen.shown)[-1]
    code = GatewayCode.parse(text)
    assert "▀" in screen.shown
    assert str(data) in screen.shown
    assert code.gateway == GatewayId.from_text(status["gateway"])

    gateway = Process(data, screen.process, tmp_path / "none", status["port"])
    async with call(gateway) as phone:
        channel = Channel.over(code.gateway, certificate=phone.certificate)
        request = asks(code, channel=channel, confirmed=True)
        await phone.ask(request)
        await screen.until("[y/N]")
        screen.type("y\r")
        assert (await phone.ask(request, wait=20)).state is PairingState.PAIRED
    await screen.until("Paired.")
    await screen.until("pair --data")
    assert await screen.end() == 0

    again = await on_a_terminal(data)
    await again.until("To pair another phone")
    assert "HPG1:" not in again.shown
    assert await again.end() == 0
