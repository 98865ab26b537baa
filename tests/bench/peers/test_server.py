"""A peer's process is ended by its id."""

from pathlib import Path

import pytest

from bench.peers.server import Server
from bench.processes import start


async def test_a_peer_is_killed(tmp_path: Path) -> None:
    server = Server(tmp_path / "peer", processor=None)
    with pytest.raises(RuntimeError, match="not started"):
        assert server.pid
    server.process = start(["sleep", "100"], folder=server.folder, processor=None)
    pid = server.pid

    await server.kill()

    assert not Path(f"/proc/{pid}").exists()
    await server.kill()
