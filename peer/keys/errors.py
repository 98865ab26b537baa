"""What can go wrong when something is sealed or opened.

KeysError
├── WeakKey               a public key that makes every shared secret the same
├── NotForUs              no pair key opens it, or it holds no packet for this device
├── Duplicate             opened before, on this way or another
├── NumberRepeated        a number used twice for two letters: a copied or restored phone
├── Broken                a seal that does not fit its session
├── TooFarAhead           more letters missing before it than a session bridges
├── SessionUnknown        it goes on with a session that this device does not have
├── PrekeyGone            it begins a session with a prekey that is used up or too old
├── FirstLetterReplayed   it begins a session that was begun before
├── Downgraded            it begins a session without all that our sessions are made of
├── WrongAuthor           inside stands somebody else than outside
├── DeviceUnknown         from a device that is not on the card we hold
├── BodySwapped           the key packet belongs to another body
├── NeedsBundles          a session must be begun first, and the prekeys for it are missing
├── TooLarge              more than one parcel holds
├── CommitmentBroken      the other side is not who showed the code
├── OtherPerson           the card belongs to somebody else than the code
├── OutOfTurn             another message where the same one was to be repeated
├── GenerationUnknown     sealed under a person key that this device does not have
├── WriterUnknown         a segment by a device that no card of its person lists
├── WrongPin              the key of the phone's file is sealed under another one
└── Damaged               a record in our own key store that we cannot have written

Each has a code that never changes and a row in docs/protocol.md §12.
"""

from typing import ClassVar

from wire.ids import DeviceId


class KeysError(Exception):
    """Something could not be sealed or opened; nothing was changed by the attempt."""

    code: ClassVar[str] = "keys"


class WeakKey(KeysError):
    """A public key of low order, or no public key at all."""

    code = "weak-key"


class NotForUs(KeysError):
    """Nobody whose key we hold sealed this for us."""

    code = "not-for-us"


class Duplicate(KeysError):
    """This was opened before; there is nothing to do."""

    code = "duplicate"


class NumberRepeated(KeysError):
    """A device used one number for two letters: it was copied, or set back to an older state."""

    code = "number-repeated"


class Broken(KeysError):
    """The seal does not fit: altered on the way, or made for another session."""

    code = "broken"


class TooFarAhead(KeysError):
    """So many letters are missing before this one that the session cannot bridge them."""

    code = "too-far-ahead"


class SessionUnknown(KeysError):
    """It belongs to a session that this device does not hold."""

    code = "session-unknown"


class PrekeyGone(KeysError):
    """It was begun with a prekey that this device no longer has."""

    code = "prekey-gone"


class FirstLetterReplayed(KeysError):
    """A session was begun with this key before."""

    code = "first-letter-replayed"


class Downgraded(KeysError):
    """It begins a session without the post-quantum half."""

    code = "downgraded"


class WrongAuthor(KeysError):
    """The envelope, the packet and the item do not name the same author."""

    code = "wrong-author"


class DeviceUnknown(KeysError):
    """The author's device is not on the card that we hold of this person."""

    code = "device-unknown"


class BodySwapped(KeysError):
    """The packet's key belongs to another body than the one beside it."""

    code = "body-swapped"


class NeedsBundles(KeysError):
    """A session must be begun with `devices` first; fetch their prekeys and try again."""

    code = "needs-bundles"

    def __init__(self, devices: tuple[DeviceId, ...]) -> None:
        super().__init__("the prekeys of a device are needed before anything can be sealed for it")
        self.devices = devices


class TooLarge(KeysError):
    """It has `size` bytes where `limit` fit."""

    code = "too-large"

    def __init__(self, *, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes do not fit in one parcel; at most {limit} do")
        self.size = size
        self.limit = limit


class CommitmentBroken(KeysError):
    """What answered is not what the code promised: somebody stands between. Start again."""

    code = "commitment-broken"


class OtherPerson(KeysError):
    """The card that came belongs to another person than the code named."""

    code = "other-person"


class OutOfTurn(KeysError):
    """A message of the exchange came again with other bytes, or before its turn."""

    code = "out-of-turn"


class GenerationUnknown(KeysError):
    """It is sealed under a person key that this device does not have, or not yet."""

    code = "generation-unknown"


class WriterUnknown(KeysError):
    """A segment of our archive was written by a device that no card of ours lists."""

    code = "writer-unknown"


class WrongPin(KeysError):
    """The key of the phone's file is sealed under another PIN, or another key of a keyring."""

    code = "wrong-pin"


class Damaged(KeysError):
    """A record of the key store is not what this program writes."""

    code = "damaged"
