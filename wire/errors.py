"""What can be wrong with what the other side sent.

WireError
├── Malformed         the bytes are not what this place of the protocol allows
├── UnknownVersion    a newer form than we know: the answer is an update, not a repair
├── NotSigned         a signature, proof or seal does not fit
├── WrongCode         a code of another kind than was asked for
├── CardRejected      a statement that does not continue the chain we hold
└── AckBeyondSent     an acknowledgement for something never sent

Our own misuse is a plain ValueError or TypeError; a WireError is always the other side's doing.
"""

from typing import ClassVar


class WireError(Exception):
    """The other side broke the protocol."""

    code: ClassVar[str] = "malformed"
    """The stable code of `docs/protocol.md §12`, as a vector of a failure names it."""


class Malformed(WireError):
    """The bytes are not a message of this protocol."""

    code = "malformed"


class UnknownVersion(WireError):
    """The message is of a version that this program does not know."""

    code = "unknown-version"

    def __init__(self, what: str, *, version: int) -> None:
        super().__init__(f"{what} of version {version}; this program is too old to read it")
        self.version = version


class NotSigned(WireError):
    """A signature or proof does not fit what it stands under."""

    code = "not-signed"


class WrongCode(WireError):
    """A code was read that belongs to another screen."""

    code = "wrong-code"

    def __init__(self, *, wanted: str, found: str) -> None:
        super().__init__(f"this is {found}; what is wanted here is {wanted}")
        self.wanted = wanted
        self.found = found


class CardRejected(WireError):
    """A card statement cannot stand where it claims to stand; `reason` says why."""

    code = "card-rejected"

    def __init__(self, reason: str) -> None:
        super().__init__(f"card statement refused: {reason}")
        self.reason = reason


class AckBeyondSent(WireError):
    """The device acknowledged more than it was sent."""

    code = "ack-beyond-sent"

    def __init__(self, *, acked: int, sent: int) -> None:
        super().__init__(f"acknowledged up to {acked}, but only {sent} was sent")
        self.acked = acked
        self.sent = sent
