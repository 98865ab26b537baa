"""What the gateway says no to, and why it may be unable to start.

Refusal                    understood, and the answer is no: code, status, facts to act on
├── Busy                   too much is waiting for the disk
├── DiskFull               the disk has no room
├── StorageFailed          the disk failed; nothing more is acknowledged by this process
├── LaneRefused            no such lane, or a proof that does not fit: nobody learns which
├── IdTaken                another parcel came on this lane under this id
├── MailboxFull            the mailbox, or the lane's part of it, has no room
├── TooManyRequests        more than is allowed in this time
├── SyncFirst              a lane change that rests on an old state
├── TooManyLanes           a seat has all the lanes it can have
├── NoSuchSeat             the seat was removed
├── SeatTaken              the device or person is enrolled already, at another place
├── DeviceRevoked          the device was taken off its person's card
├── DeviceUnknown          no seat knows this device
├── PairAgain              the store was restored: the device has to be confirmed as at pairing
├── CardRefused            the card does not continue the one that is here
├── CardTaken              another statement stands at this place of the card
├── NoPrekeys              the seat has left no prekeys
├── ArchiveMoved           another device has put a segment at this place of the archive
├── ArchiveFull            the archive has no room
├── NoSegment              there is no segment of this number
├── OtherCard              a record of a person key that was made on another card
├── RecoveryRefused        no such person here, or no proof of her root or of her friends' secret
├── RecoveryUnderWay       somebody asks for the share that is to be replaced
├── NoSuchRequest          no such request for a share waits
├── NamedLost              the device was named as lost, and may not stop the request
├── StateRefused           a batch or snapshot that no device of the person has signed, or an older
├── StateTaken             another batch stands under this number of its device
└── StateFull              the state log has no room

StartupError               for the owner of the box: a sentence that says what to do
├── AlreadyRunning         another process holds the data folder
├── FolderUnusable         no permission, no space, or no folder
├── ForeignFile            the store's file belongs to another program
├── NewerSchema            the store was written by a newer gateway
└── DamagedStore           the store's file is broken

A refusal goes to a phone and leaves the item with the sender (docs/protocol.md §12). A startup
error goes to a terminal.
"""

from pathlib import Path
from typing import ClassVar


class Refusal(Exception):
    """The gateway understood and says no."""

    code: ClassVar[str]
    """What programs tell it by. It never changes."""

    status: ClassVar[int]
    """The HTTP status that goes with it."""

    def facts(self) -> dict[str, int | str]:
        """Return what the other side is told beside the code, ready for JSON."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


class Busy(Refusal):
    """More is waiting for the disk than the gateway will hold; nothing was stored."""

    code = "busy"
    status = 503

    def __init__(self, *, retry_after: int = 2) -> None:
        super().__init__(f"too much is waiting for the disk; try again in {retry_after} s")
        self.retry_after = retry_after
        """Seconds to wait before the next try; the same for everybody."""


class DiskFull(Refusal):
    """The disk has no room; nothing was stored, and collecting still works."""

    code = "disk-full"
    status = 507

    def __init__(self, *, retry_after: int = 600) -> None:
        super().__init__(f"the gateway's disk is full; try again in {retry_after} s")
        self.retry_after = retry_after
        """Seconds to wait before the next try; the same for everybody."""


class StorageFailed(Refusal):
    """The disk failed. This process acknowledges nothing more; it ends and is started again."""

    code = "storage-failed"
    status = 503

    def __init__(self) -> None:
        super().__init__("the gateway's disk failed; nothing was stored")


class LaneRefused(Refusal):
    """There is no such lane, it is another's, it is over, or the proof does not fit."""

    code = "lane-refused"
    status = 403

    def __init__(self) -> None:
        super().__init__("the lane is unknown or the proof does not fit")


class IdTaken(Refusal):
    """Another parcel came on this lane under this id; trying again is no use."""

    code = "id-taken"
    status = 409

    def __init__(self) -> None:
        super().__init__("another parcel came under this id: choose a new one")


class MailboxFull(Refusal):
    """There is no room; the sender keeps the item and tries later.

    The time to wait is the same for everybody: one that told how full the mailbox is would tell a
    sender when its owner collects.
    """

    code = "mailbox-full"
    status = 507

    def __init__(self, *, retry_after: int = 3600) -> None:
        super().__init__(f"the mailbox has no room; try again in {retry_after} s")
        self.retry_after = retry_after
        """Seconds to wait before the next try; the same for everybody."""


class TooManyRequests(Refusal):
    """More was asked for than is allowed in this time."""

    code = "too-many-requests"
    status = 429

    def __init__(self, *, retry_after: int) -> None:
        super().__init__(f"too many requests; try again in {retry_after} s")
        self.retry_after = retry_after
        """Seconds to wait before the next try."""


class SyncFirst(Refusal):
    """A lane change rests on an older state than an earlier one; learn the newer state first."""

    code = "sync-first"
    status = 409

    def __init__(self, *, position: int) -> None:
        super().__init__(f"this change rests on an old state; the newest is {position}")
        self.position = position
        """The state-log position that the newest change rested on."""


class TooManyLanes(Refusal):
    """A seat has all the lanes it can have."""

    code = "too-many-lanes"
    status = 409

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"a seat has at most {limit} lanes; revoke some first")
        self.limit = limit


class NoSuchSeat(Refusal):
    """The seat is not there, or not any more."""

    code = "no-such-seat"
    status = 404

    def __init__(self) -> None:
        super().__init__("there is no such seat")


class SeatTaken(Refusal):
    """The device or the person has a seat here already, and this is not the same one."""

    code = "seat-taken"
    status = 409

    def __init__(self) -> None:
        super().__init__("this device or person has a seat here already; remove that one first")


class DeviceRevoked(Refusal):
    """The device was taken off its person's card; it never comes back."""

    code = "revoked"
    status = 401

    def __init__(self) -> None:
        super().__init__("this device was revoked: pair it again as a new one")


class DeviceUnknown(Refusal):
    """No seat knows this device."""

    code = "unauthorized"
    status = 401

    def __init__(self) -> None:
        super().__init__("this gateway does not know the device: pair it first")


class PairAgain(Refusal):
    """The store was put back from a copy or mended: each device has to be confirmed once more.

    Who was taken off a card since that copy was made is not known here.
    """

    code = "pair-again"
    status = 401

    def __init__(self) -> None:
        super().__init__("the gateway was restored: pair this device with it again")


class CardRefused(Refusal):
    """The card is no chain of this person, or does not continue the one that is here."""

    code = "card-rejected"
    status = 409

    def __init__(self, reason: str) -> None:
        super().__init__(f"the card was refused: {reason}")
        self.reason = reason


class CardTaken(Refusal):
    """Another statement stands at this place of the card; make yours again on top of it."""

    code = "card-taken"
    status = 409

    def __init__(self, *, epoch: int, seq: int) -> None:
        super().__init__(f"another statement stands at {epoch}.{seq} of this card")
        self.epoch = epoch
        self.seq = seq


class OtherCard(Refusal):
    """The record of a person key was not made on the card that is here; make it again on that."""

    code = "other-card"
    status = 409

    def __init__(self) -> None:
        super().__init__("the record was made on another card than the one that is here")


class NoPrekeys(Refusal):
    """The seat has left no prekeys; its owner's phone has to come online once."""

    code = "no-prekeys"
    status = 409

    def __init__(self, *, retry_after: int = 3600) -> None:
        super().__init__(f"there are no prekeys; try again in {retry_after} s")
        self.retry_after = retry_after
        """Seconds to wait before the next try; the same for everybody."""


class ArchiveMoved(Refusal):
    """The segment does not stand on the newest one: another device was quicker."""

    code = "archive-moved"
    status = 409

    def __init__(self, *, seq: int, hash: str) -> None:
        super().__init__(f"the archive stands at {seq}: read that, and write on top of it")
        self.seq = seq
        """The number of the newest segment; 0 in an empty archive."""
        self.hash = hash
        """The hash of its head, in hexadecimal digits."""


class ArchiveFull(Refusal):
    """The archive has no room; the owner of the box can give it more."""

    code = "archive-full"
    status = 507

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"the archive has its {limit} bytes in use")
        self.limit = limit


class NoSegment(Refusal):
    """The archive has no segment of this number."""

    code = "no-segment"
    status = 404

    def __init__(self) -> None:
        super().__init__("there is no segment of this number")


class RecoveryRefused(Refusal):
    """The person has no seat or no share here, or the proof does not fit: nobody learns which."""

    code = "recovery-refused"
    status = 403

    def __init__(self) -> None:
        super().__init__("nobody comes back to this gateway with that")


class RecoveryUnderWay(Refusal):
    """Somebody asks for the share; until that is cancelled or over it stays as it is."""

    code = "recovery-under-way"
    status = 409

    def __init__(self) -> None:
        super().__init__("somebody asks for the recovery share just now: cancel that first")


class NoSuchRequest(Refusal):
    """There is no such request, or its share has gone out."""

    code = "no-such-request"
    status = 404

    def __init__(self) -> None:
        super().__init__("no such request waits")


class NamedLost(Refusal):
    """The device was named as lost by those who ask; another one, or the kit, can say no."""

    code = "named-lost"
    status = 403

    def __init__(self) -> None:
        super().__init__("this device was named as lost: only another one, or the kit, can cancel")


class StateRefused(Refusal):
    """The batch or snapshot has no place in this state log."""

    code = "state-refused"
    status = 409

    def __init__(self, reason: str) -> None:
        super().__init__(f"the state was refused: {reason}")
        self.reason = reason


class StateTaken(Refusal):
    """Another batch of the device stands under this number: two phones go about as one device."""

    code = "state-taken"
    status = 409

    def __init__(self, *, device: str, seq: int) -> None:
        super().__init__(f"another batch {seq} of this device is here")
        self.device = device
        self.seq = seq


class StateFull(Refusal):
    """The state log of this seat has no room."""

    code = "state-full"
    status = 507

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"a state log has at most {limit} bytes; leave a snapshot")
        self.limit = limit


class StartupError(Exception):
    """The gateway cannot start; the sentence says what the owner can do."""

    code: ClassVar[str]
    """What scripts tell it by (`--json`, deploy/README.md). It never changes."""


class AlreadyRunning(StartupError):
    """Another process holds the data folder."""

    code = "already-running"

    def __init__(self, folder: Path, *, pid: int | None) -> None:
        holder = f"the gateway with process id {pid}" if pid else "another process"
        super().__init__(
            f"{folder} is in use by {holder}. Stop that one first, or use its commands."
        )
        self.pid = pid


class FolderUnusable(StartupError):
    """The data folder cannot be used as one."""

    code = "folder-unusable"


class ForeignFile(StartupError):
    """The file at the store's place was not written by this program."""

    code = "foreign-file"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is not a Homepost store and was left untouched. "
            "Move it away, or choose another data folder."
        )


class NewerSchema(StartupError):
    """The store was written by a newer gateway."""

    code = "newer-schema"

    def __init__(self, path: Path, *, found: int, known: int) -> None:
        super().__init__(
            f"{path} has schema version {found}, and this gateway knows versions up to {known}. "
            "The file was left untouched. Install the newer gateway again, or put back the copy "
            "that its upgrade left beside the file."
        )
        self.found = found
        self.known = known


class DamagedStore(StartupError):
    """The store's file is broken.

    Attributes:
        reason: what was found.
        mendable: whether another file can be made of what is left.
    """

    code = "damaged-store"

    def __init__(self, path: Path, *, reason: str, mendable: bool = False) -> None:
        super().__init__(
            f"{path} is damaged ({reason}) and was left as it is. Move it and the files beside it "
            "whose names begin alike to another folder, put back a copy if you have one, and start "
            "again: phones that are still paired send what they hold once more."
        )
        self.reason = reason
        self.mendable = mendable
