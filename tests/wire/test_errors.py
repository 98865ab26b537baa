"""What can be wrong: each kind has a stable code and a sentence."""

import re

from wire.errors import (
    AckBeyondSent,
    CardRejected,
    Malformed,
    NotSigned,
    UnknownVersion,
    WireError,
    WrongCode,
)

EVERY = {
    "malformed": Malformed("a reason"),
    "unknown-version": UnknownVersion("a parcel", version=9),
    "not-signed": NotSigned("a reason"),
    "wrong-code": WrongCode(wanted="the code of a gateway", found="a recovery kit"),
    "card-rejected": CardRejected("a reason"),
    "ack-beyond-sent": AckBeyondSent(acked=4, sent=3),
}


def test_every_error_has_its_own_code() -> None:
    assert {code: type(error) for code, error in EVERY.items()} == {
        kind.code: kind for kind in WireError.__subclasses__()
    }
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in EVERY)


def test_an_error_says_what_is_wrong() -> None:
    assert "version 9" in str(EVERY["unknown-version"])
    assert (
        str(EVERY["wrong-code"])
        == "this is a recovery kit; what is wanted here is the code of a gateway"
    )
    assert "a reason" in str(EVERY["card-rejected"])
    assert "4" in str(EVERY["ack-beyond-sent"])
    assert "3" in str(EVERY["ack-beyond-sent"])
