"""Taking typed fields out of a decoded message, or saying what is wrong with it.

`Fields` reads a map with integer keys and refuses what is missing, of another type, out of bounds
or not asked for, so that no parser has to repeat those checks.
"""

from wire.codec import Value, decode
from wire.errors import Malformed, UnknownVersion


class Fields:
    """A decoded map whose fields are taken out one by one.

    Args:
        value: what `codec.decode` returned.
        what: the message's name, for the error's sentence.

    Raises:
        Malformed: `value` is no map.
    """

    def __init__(self, value: Value, *, what: str) -> None:
        if not isinstance(value, dict):
            raise Malformed(f"{what} is not a map")
        self._left = dict(value)
        self._what = what

    @classmethod
    def read(cls, data: bytes, *, limit: int, what: str) -> "Fields":
        """Decode `data`, at most `limit` bytes, into fields."""
        return cls(decode(data, limit=limit), what=what)

    def version(self, key: int, *, known: int) -> int:
        """Take the version; anything but `known` is a message for a newer or older program."""
        found = self.integer(key, low=0, high=255)
        if found != known:
            raise UnknownVersion(self._what, version=found)
        return found

    def raw(self, key: int, *, size: int | None = None, limit: int | None = None) -> bytes:
        """Take a byte string of exactly `size`, or of at most `limit` bytes."""
        value = self._take(key)
        if not isinstance(value, bytes):
            raise Malformed(f"{self._what}: field {key} is no byte string")
        if size is not None and len(value) != size:
            raise Malformed(f"{self._what}: field {key} has {len(value)} bytes, not {size}")
        if limit is not None and len(value) > limit:
            raise Malformed(f"{self._what}: field {key} has more than {limit} bytes")
        return value

    def text(self, key: int, *, limit: int) -> str:
        """Take a text of at most `limit` bytes of UTF-8."""
        value = self._take(key)
        if not isinstance(value, str) or len(value.encode("utf-8")) > limit:
            raise Malformed(f"{self._what}: field {key} is no text of at most {limit} bytes")
        return value

    def integer(self, key: int, *, low: int, high: int) -> int:
        """Take an integer with low ≤ it ≤ high."""
        value = self._take(key)
        if type(value) is not int or not low <= value <= high:
            raise Malformed(f"{self._what}: field {key} is no integer from {low} to {high}")
        return value

    def boolean(self, key: int) -> bool:
        """Take true or false."""
        value = self._take(key)
        if not isinstance(value, bool):
            raise Malformed(f"{self._what}: field {key} is neither true nor false")
        return value

    def list(self, key: int, *, limit: int) -> list[Value]:
        """Take a list of at most `limit` elements."""
        value = self._take(key)
        if not isinstance(value, list) or len(value) > limit:
            raise Malformed(f"{self._what}: field {key} is no list of at most {limit}")
        return value

    def map(self, key: int) -> dict[int, Value]:
        """Take a map."""
        value = self._take(key)
        if not isinstance(value, dict):
            raise Malformed(f"{self._what}: field {key} is no map")
        return value

    def value(self, key: int) -> Value:
        """Take whatever stands there."""
        return self._take(key)

    def has(self, key: int) -> bool:
        """Return whether an optional field is there."""
        return key in self._left

    def end(self) -> None:
        """Refuse whatever was not taken.

        Raises:
            Malformed: a field is left that this message does not have.
        """
        if self._left:
            raise Malformed(f"{self._what}: unknown field {min(self._left)}")

    def _take(self, key: int) -> Value:
        if key not in self._left:
            raise Malformed(f"{self._what}: field {key} is missing")
        return self._left.pop(key)
