"""Waiting for what other tasks and processes do, without a guess at how long it takes."""

import asyncio
from collections.abc import Callable


async def eventually(true: Callable[[], bool], *, within: float = 10.0) -> None:
    """Return as soon as `true` is; fail after `within` seconds."""
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110  # there is no event for what happens elsewhere
            await asyncio.sleep(0.01)
