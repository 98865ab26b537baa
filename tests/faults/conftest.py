"""What every case can ask for."""

from collections.abc import Callable
from typing import TypeAlias

import pytest

Amount: TypeAlias = Callable[[str], None]


@pytest.fixture
def amount(record_property: Callable[[str, object], None]) -> Amount:
    """Give a function that notes how much a case did, such as "300 power cuts", for the table."""
    return lambda text: record_property("amount", text)
