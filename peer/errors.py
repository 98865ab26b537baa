"""What can go wrong on a phone, each with a sentence that says what to do.

PeerError
├── NoPerson            there is nobody on this phone yet
├── PersonExists        there is somebody already
├── StoreUnusable       the phone's file cannot be opened, written or trusted
├── NewerStore          it was written by a newer program
├── InUse               another command has it open, and this one needs it alone
├── Locked              it is sealed, and nobody gave the PIN
├── WrongPin            it is sealed under another PIN
├── WeakPin             a PIN that a thief would find
├── PinsDiffer          a new PIN that was typed in two ways
├── KeyringAway         the system's keyring is not there, or has no key for it
├── CannotSeal          nothing on this device can seal it
├── NotPaired           no gateway yet
├── GatewayNotThere     nobody answers at any of its places
├── WrongGateway        somebody else answers there; nothing was sent to them
├── GatewayRefused      it answered no; `reason` is its code
├── BadCode             no code, the wrong one, or one that is over
├── NotTheSame          the check codes differ, or nobody said that they are the same
├── NobodyAnswered      the other side did not come in time
├── NoSuchContact       no contact of this name
├── NameTaken           another contact has it
├── EmptyName           a name with nothing to see in it
├── Blocked             somebody whom we have blocked
├── NothingToSend       a letter with nothing in it
├── TooLarge            it does not fit into a letter
├── MistypedWord        a word of a kit that is none, or does not fit the others; it is named
├── WrongKit            the kit of somebody else, or of nobody here
├── KitGone             the recovery seed is not on this phone any more
├── PhoneCopied         another phone goes about as this one, or this one was set back
├── SharesDoNotFit      shares of a seed that are too few, or not of one seed
├── LyingKeeper         somebody handed out another share than he was given; he is named
├── NoKeepers           no friends have been chosen, or too few
├── NothingKept         we keep no share for this contact
├── NotYet              the gateway holds its share back still
├── Cancelled           somebody said no to the request
├── NoSuchFile          a file that cannot be read
├── NoSuchDevice        no device of ours of this name
├── KitFirst            the recovery kit should be made before there is a second device
├── TooManyDevices      a person has at most ten
├── OnlyDevice          the last device cannot be taken off
└── CannotSave          a file that came cannot be written

Exit statuses: 1 for all of these, 2 for a command that was not understood.
"""

from typing import ClassVar

from peer.command import command


class PeerError(Exception):
    """Something did not happen, and the sentence says what to do about it."""

    code: ClassVar[str] = "failed"
    """The stable name of this situation, for `--json`."""


class NoPerson(PeerError):
    """There is nobody on this phone yet."""

    code = "no-person"

    def __init__(self) -> None:
        super().__init__(
            "there is nobody on this phone yet; begin with: " + command("new --name YOUR-NAME")
        )


class PersonExists(PeerError):
    """There is a person on this phone already; a second one would lose the first."""

    code = "person-exists"


class StoreUnusable(PeerError):
    """The phone's file cannot be opened, written or trusted."""

    code = "store-unusable"


class NewerStore(PeerError):
    """The phone's file was written by a newer program; it was left as it is."""

    code = "newer-store"


class InUse(PeerError):
    """Another command of this phone is running, and this one needs the file alone."""

    code = "in-use"

    def __init__(self) -> None:
        super().__init__(
            "another command of this phone is running, such as watch; end it and try again"
        )


class Locked(PeerError):
    """The phone's file is sealed under a PIN, and nobody gave one."""

    code = "locked"

    def __init__(self) -> None:
        super().__init__(
            "this phone is locked, and there is no terminal to ask for its PIN; give the name of a"
            " file that holds it with --pin-file"
        )


class WrongPin(PeerError):
    """The phone's file is sealed under another PIN."""

    code = "wrong-pin"

    def __init__(self) -> None:
        super().__init__(
            "that is not the PIN of this phone, and nothing was opened. Try again as often as you"
            " like: tries are not counted, only slow"
        )


class WeakPin(PeerError):
    """A PIN that a thief would find."""

    code = "weak-pin"


class PinsDiffer(PeerError):
    """A new PIN was not typed the same way twice."""

    code = "pins-differ"


class KeyringAway(PeerError):
    """The system's keyring is not there, does not open, or has no key for this file."""

    code = "keyring-away"


class CannotSeal(PeerError):
    """There is no package of SQLCipher for this device."""

    code = "cannot-seal"

    def __init__(self) -> None:
        super().__init__(
            "nothing on this device can seal the phone’s file: there is no package of SQLCipher for"
            " it. Encrypt its disk instead"
        )


class NotPaired(PeerError):
    """This phone is not paired with a gateway."""

    code = "not-paired"

    def __init__(self) -> None:
        super().__init__(
            "this phone has no gateway yet; show a code on the box and type: "
            + command("pair CODE")
        )


class GatewayNotThere(PeerError):
    """Nobody answers at any place of the gateway."""

    code = "gateway-not-there"


class WrongGateway(PeerError):
    """Somebody else answers where the gateway should be; nothing was sent to them."""

    code = "wrong-gateway"


class GatewayRefused(PeerError):
    """The gateway understood and said no.

    Attributes:
        reason: its code (docs/protocol.md §12).
        facts: what it said besides.
    """

    code = "gateway-refused"

    def __init__(self, reason: str, facts: dict[str, object]) -> None:
        super().__init__(SENTENCES.get(reason, f"the gateway says no: {reason}"))
        self.reason = reason
        self.facts = facts


class BadCode(PeerError):
    """No code, one for another screen, or one that is over."""

    code = "bad-code"


class NotTheSame(PeerError):
    """The check codes were not confirmed to be the same."""

    code = "not-the-same"


class NobodyAnswered(PeerError):
    """The other side did not come in time."""

    code = "nobody-answered"


class NoSuchContact(PeerError):
    """There is no contact of this name."""

    code = "no-such-contact"


class NameTaken(PeerError):
    """Another contact goes by this name."""

    code = "name-taken"


class EmptyName(PeerError):
    """A name has at least one character that can be seen."""

    code = "empty-name"


class Blocked(PeerError):
    """Nobody writes to somebody whom he has blocked."""

    code = "blocked"


class NothingToSend(PeerError):
    """A letter without a text and without a file."""

    code = "nothing-to-send"


class TooLarge(PeerError):
    """It does not fit into a letter."""

    code = "too-large"


class MistypedWord(PeerError):
    """A word of a kit is none of the list, or the words do not fit together.

    Attributes:
        number: which word, counted from 1; None if it cannot be told.
        nearest: words that may have been meant.
    """

    code = "mistyped-word"

    def __init__(
        self, sentence: str, *, number: int | None = None, nearest: tuple[str, ...] = ()
    ) -> None:
        super().__init__(sentence)
        self.number = number
        self.nearest = nearest


class WrongKit(PeerError):
    """A whole kit, and not that of the person it is used for; nothing was made of it."""

    code = "wrong-kit"


class KitGone(PeerError):
    """The recovery seed is not on this phone any more: only the kit has it."""

    code = "kit-gone"

    def __init__(self) -> None:
        super().__init__(
            "the recovery seed was wiped from this phone, or never was on it; only your kit has"
            " it now. If the kit is lost too, choose friends who help while you still have a device"
        )


class PhoneCopied(PeerError):
    """Changes are there that this device signed and does not know.

    Its file was copied to another device, or put back from an older copy. Nothing is mended here:
    what one of the two has done would be lost.
    """

    code = "phone-copied"

    def __init__(self) -> None:
        super().__init__(
            "this phone was copied or set back to an older state: there are changes that it made "
            "and does not know. Take it off your card from another device and add it anew; "
            "letters come all the same"
        )


class SharesDoNotFit(PeerError):
    """Shares are too few, or not of one seed."""

    code = "shares-do-not-fit"


class LyingKeeper(PeerError):
    """Somebody handed out another share than he was given.

    Attributes:
        keepers: who, by the names that they were given.
    """

    code = "lying-keeper"

    def __init__(self, keepers: tuple[str, ...]) -> None:
        names = " and ".join(keepers)
        super().__init__(
            f"{names} gave another share than the one that was left there, so it was put aside; ask"
            " another friend"
        )
        self.keepers = keepers


class NoKeepers(PeerError):
    """There are no friends who keep shares, or too few."""

    code = "no-keepers"


class NothingKept(PeerError):
    """We keep no share for this contact."""

    code = "nothing-kept"


class NotYet(PeerError):
    """The gateway holds its share back still.

    Attributes:
        left: seconds.
    """

    code = "not-yet"

    def __init__(self, left: int) -> None:
        hours = -(-left // 3600)
        super().__init__(
            f"the box gives its share in {hours} hours, unless a device that was not named as lost"
            " says no before; come again then"
        )
        self.left = left


class Cancelled(PeerError):
    """Somebody said no to the request for the gateway's share."""

    code = "cancelled"


class NoSuchFile(PeerError):
    """A file that is not there or cannot be read."""

    code = "no-such-file"


class NoSuchDevice(PeerError):
    """There is no device of this name on our card."""

    code = "no-such-device"


class KitFirst(PeerError):
    """The recovery seed is still on this phone: whoever steals it is the person."""

    code = "kit-first"

    def __init__(self) -> None:
        super().__init__(
            "the seed that stands for you is still on this device: whoever steals it could take all"
            " your devices from you. Make the recovery kit first: "
            + command("kit")
            + ". To go on without one, add --without-kit"
        )


class TooManyDevices(PeerError):
    """There are as many devices as a card may list."""

    code = "too-many-devices"


class OnlyDevice(PeerError):
    """A card lists at least one device."""

    code = "only-device"


class CannotSave(PeerError):
    """A file that came with a letter cannot be written where it was wanted."""

    code = "cannot-save"


SENTENCES = {
    "code-wrong": "the gateway does not know this code; show a new one on the box and use that",
    "code-expired": "this code is over; show a new one on the box and use that",
    "code-used": "this code was used by another phone; show a new one on the box and look who did",
    "too-many-tries": "this code was tried too often; show a new one on the box",
    "replaced": "another watch runs on this phone and has taken over; one at a time is enough",
    "malformed": "the gateway answers in a way that is not understood; is one side too old?",
    "too-large": "the gateway answers with more than it may; nothing was taken",
    "revoked": "this phone was taken off its person’s card and may not use the gateway any more",
    "login-refused": "the gateway does not know this phone; pair with it again",
    "pair-again": "the box was restored and asks who is who; show a code on it and pair with it"
    " again: letters for you wait there meanwhile",
    "mailbox-full": "the mailbox is full; the letter waits here and is tried again",
    "disk-full": "the box’s disk is full; the letter waits here and is tried again",
    "slot-gone": "this code is over; ask for a new one",
    "slot-taken": "somebody else has answered this code; ask for a new one",
    "slots-full": "too many codes are open at this gateway; try again in ten minutes",
    "push-off": "this box pushes to nobody; letters come while a phone is connected. Its owner can"
    " switch pushes on (web_push in its settings)",
    "push-not-taken": "the push service did not take it; ask it for a new address, or try later",
    "no-push-address": "no push address of this device is confirmed; register one first",
    "confirmation-wrong": "this is not what came with the push, or it is too old; register again",
    "address-refused": "the box does not push to this address; its owner can allow a push service"
    " at home (push_servers in its settings)",
    "zone-unknown": "the box does not know this time zone; write it as in Europe/Berlin",
    "busy": "the gateway has more to do than it can; try again in a minute",
}
