"""Persons, devices, thieves and gateways that lie: `world.py` says how."""

from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.attacks.world import World


def play(
    *,
    worlds: int,
    steps: int,
    phases: Sequence[Phase] = tuple(Phase),
    verbosity: Verbosity = Verbosity.normal,
) -> None:
    """Play in so many worlds, up to so many steps in each."""
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=worlds,
            stateful_step_count=steps,
            deadline=None,
            phases=phases,
            verbosity=verbosity,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_gateways_and_thieves_do_the_rules_of_cards_and_letters_hold() -> None:
    """A1, A2, A6, A7, A9, A10, L1, L4: some hundred steps; `python -m tests.attacks` plays more."""
    play(worlds=8, steps=50)
