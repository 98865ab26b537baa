"""`python -m tests.attacks`: plays persons, thieves and lying gateways for a long time.

python -m tests.attacks                     100 worlds of 200 steps each: some minutes
python -m tests.attacks --worlds 1000       more of them, before a release
python -m tests.attacks --steps 500         longer ones

What fails is made as small as it can be and printed as the calls that lead there. The short form
runs with all other tests (tests/attacks/test_world.py).
"""

import argparse
import sys
import time
from collections.abc import Sequence

from hypothesis import Phase, Verbosity

from tests.attacks.test_world import play


def main(arguments: Sequence[str]) -> int:
    """Play; return 0 if everything held."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.attacks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--worlds", type=int, default=100)
    parser.add_argument("--steps", type=int, default=200)
    wanted = parser.parse_args(arguments)
    began = time.monotonic()
    play(
        worlds=wanted.worlds,
        steps=wanted.steps,
        phases=(Phase.generate, Phase.shrink),
        verbosity=Verbosity.normal,
    )
    took = time.monotonic() - began
    print(f"held: {wanted.worlds} worlds of up to {wanted.steps} steps in {took:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
