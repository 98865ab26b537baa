"""`./run demo [CHAPTER]`: tells the story, checks each step, ends with 0 or with what failed."""

import asyncio
import sys
import time

from demo.chapters import CHAPTERS, Story, tell
from demo.stage import StepFailed, stage


def main(arguments: list[str]) -> int:
    """Tell the chapters that `arguments` name, or all of them; return the exit status."""
    names = [name for name in arguments if not name.startswith("-")]
    unknown = [name for name in names if name not in CHAPTERS]
    if unknown or len(names) != len(arguments):
        print("Chapters: " + " · ".join(CHAPTERS) + "\nUse: ./run demo [CHAPTER …]")
        return 0 if arguments in (["--help"], ["-h"]) else 2
    try:
        asyncio.run(_tell(names or list(CHAPTERS)))
    except StepFailed as failure:
        print(f"\n  ✗ {failure}\n\nThe story ended here.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 0


async def _tell(names: list[str]) -> None:
    begun = time.monotonic()
    async with stage() as theatre:
        story = Story(theatre)
        for number, name in enumerate(names, start=1):
            await tell(story, name, number=number)
    seconds = time.monotonic() - begun
    print(f"\nThe end. {story.checks} things were checked in {seconds:.0f} seconds; all held.")
    print("Nothing of it is left on this machine. Your own box: ./run")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
