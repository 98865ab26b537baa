"""What is missing is named."""

import pytest

from bench.absent import Absent, need_program


def test_the_first_program_that_is_there_is_found() -> None:
    assert need_program("no-such-program", "sh").endswith("/sh")


def test_who_lacks_a_program_is_told_which() -> None:
    with pytest.raises(Absent, match="nor-this or no-such-program is not installed"):
        need_program("nor-this", "no-such-program")
