"""What can go wrong between a code and a picture: each a sentence that says what to do.

CodesError
├── CannotWrite          the picture was not written
├── UnknownFormat        a file name that names no kind of picture we write
├── NoSuchPicture        there is no such file
├── CannotRead           there is, but it cannot be read
├── NotAPicture          no PNG or JPEG, or a damaged one
├── PictureTooLarge      more bytes or pixels than are looked at
├── NoCode               a picture without a QR that can be read
├── ForeignCode          a QR, but none of ours
└── SeveralCodes         several of ours: choosing is left to a person

No sentence repeats what a code says: a code may hold a secret.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar


class CodesError(Exception):
    """A code was not written to a picture, or not read from one."""

    code: ClassVar[str]
    """The stable name of this situation, for `--json`."""


class CannotWrite(CodesError):
    """The operating system refused; `reason` is its own word for it."""

    code = "cannot-write"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the file {path} cannot be written ({reason}); choose another place")
        self.path = path
        self.reason = reason


class UnknownFormat(CodesError):
    """The ending of the file's name says what is written, and this one says nothing."""

    code = "unknown-format"

    def __init__(self, path: Path, *, known: Sequence[str]) -> None:
        *others, last = known
        ending = f"{', '.join(others)} or {last}" if others else last
        super().__init__(f"the name {path} should end in {ending}")
        self.path = path


class NoSuchPicture(CodesError):
    """There is no file of that name."""

    code = "no-such-picture"

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is no file {path}; check the name")
        self.path = path


class CannotRead(CodesError):
    """There is something of that name, but it is no file, or not ours to read."""

    code = "cannot-read"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"the file {path} cannot be read ({reason}); copy the picture to a place of yours"
        )
        self.path = path
        self.reason = reason


class NotAPicture(CodesError):
    """The bytes are no PNG or JPEG, or end too early."""

    code = "not-a-picture"

    def __init__(self) -> None:
        super().__init__("this is no picture, or a damaged one; save it as PNG or JPEG")


class PictureTooLarge(CodesError):
    """The picture is beyond what is looked at; `limit` says in words what that is."""

    code = "picture-too-large"

    def __init__(self, limit: str) -> None:
        super().__init__(f"the picture is larger than {limit}; cut it down to the QR")
        self.limit = limit


class NoCode(CodesError):
    """The picture shows no QR, or none that can be read."""

    code = "no-code"

    def __init__(self) -> None:
        super().__init__(
            "no QR can be read in this picture; take it from closer, straight on and in focus, "
            "or copy the text of the code instead"
        )


class ForeignCode(CodesError):
    """The picture shows a QR, but not one of Homepost."""

    code = "foreign-code"

    def __init__(self) -> None:
        super().__init__(
            "the QR in this picture is not a Homepost code; "
            "take a picture of the one that Homepost shows"
        )


class SeveralCodes(CodesError):
    """The picture shows several codes of ours; `kinds` names them."""

    code = "several-codes"

    def __init__(self, kinds: Sequence[str]) -> None:
        super().__init__(
            f"this picture shows {len(kinds)} Homepost codes: {'; '.join(kinds)}. "
            "Take a picture of the wanted one alone"
        )
        self.kinds = tuple(kinds)
