import re
from pathlib import Path

import pytest

from peer.codes import errors
from peer.codes.errors import CodesError

EXAMPLES = (
    errors.CannotWrite(Path("code.png"), "No space left on device"),
    errors.UnknownFormat(Path("code.pdf"), known=(".png", ".svg")),
    errors.NoSuchPicture(Path("code.png")),
    errors.CannotRead(Path("code.png"), "Permission denied"),
    errors.NotAPicture(),
    errors.PictureTooLarge("32 MiB"),
    errors.NoCode(),
    errors.ForeignCode(),
    errors.SeveralCodes(["a recovery kit", "the code of a gateway"]),
)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: error.code)
def test_every_refusal_says_what_to_do(error: CodesError) -> None:
    advice = r"(choose|should end|check the name|copy|save|cut|take|Take)"

    assert re.search(advice, str(error))


def test_every_refusal_has_a_name_of_its_own() -> None:
    assert {type(error) for error in EXAMPLES} == set(CodesError.__subclasses__())
    assert len({error.code for error in EXAMPLES}) == len(EXAMPLES)
