"""The one thread that writes: everybody's transactions, in shared commits.

    job     a function that is handed the connection; whole or not at all (a savepoint each)
    memory  what some jobs know of the store by heart; they need no savepoint, see `Memory`
    group   the jobs that queued up while the last commit was on its way to the disk
    commit  one fsync for the group; only then is anybody answered, all in one call to the loop

On a full disk only jobs that free room are tried (`reserve.py`); all others are refused.

The commit before is the timer, so a lone job waits for nobody and a hundred share one fsync. The
same thread checkpoints, first of all and between groups, so that the log does not grow with each
process that is killed. Nobody else does: SQLite before 3.51.3 can corrupt a WAL that two
connections write and checkpoint at once. It takes two flushes more, so it is done when nobody
waits, as long as there is such a moment before the log is four times as long.
"""

import asyncio
import math
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from gateway.database.failure import Marker, Trouble, describe, trouble
from gateway.database.reserve import Reserve
from gateway.errors import Busy, DiskFull, Refusal, StorageFailed

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]
Answer: TypeAlias = Callable[[Any], None]
"""Told what became of a job, in the loop: its result once it is on the disk, or a `Raised`."""

JOB_PAGES: Final = 8
"""Pages that a small job is counted as: a row, its indexes, a counter."""

_TRUNCATE_PATIENCE: Final = 0.05
"""Seconds that emptying the log waits for readers, and everybody who writes behind it."""
_TRUNCATE_AGAIN: Final = 2.0
"""Seconds until it is tried again after one was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may wait, and when the write-ahead log is copied back."""

    waiting_pages: int = 16_384
    """Pages of jobs that may wait (16 MiB): what they carry lies in memory."""
    group_pages: int = 2048
    """Pages after which a group is full (2 MiB): nobody waits for an endless transaction."""
    checkpoint_pages: int = 4096
    """Pages (4 MiB) after which the log is copied back, as soon as nobody waits."""
    checkpoint_at_last: int = 16_384
    """Pages after which it is, whoever waits: as many as the reserve has room for."""
    truncate_after: float = 20.0
    """Seconds after which the log is emptied, as soon as nobody waits."""
    truncate_at_last: float = 30.0
    """Seconds after which it is, whoever waits: what was deleted leaves it within a minute."""
    full_retry_after: float = 5.0
    """Seconds between two looks whether a full disk has room again."""


class Memory(Protocol):
    """What jobs that work by heart know of the store, so that each need not read and write it.

    Such a job raises a `Refusal` only while it has changed nothing, and nothing else as long as the
    store is whole; so it needs no savepoint. Should it do otherwise, its group is undone and each
    job of it is tried alone.
    """

    def settle(self, connection: sqlite3.Connection) -> None:
        """Write what changed: another job is going to look, or the commit comes."""
        ...

    def forget(self) -> None:
        """Know nothing any more: another job has changed the store, or the group was undone."""
        ...


class NoMemory:
    """For a store whose jobs know nothing by heart."""

    def settle(self, connection: sqlite3.Connection) -> None:
        """Write nothing."""

    def forget(self) -> None:
        """Forget nothing."""


@dataclass(frozen=True, slots=True)
class _Job:
    work: Work[Any]
    pages: int
    frees: bool
    by_heart: bool
    answer: Answer = field(repr=False)


@dataclass(frozen=True, slots=True)
class Raised:
    """The outcome of a job that was undone."""

    error: Exception


class Writer:
    """Owns the writing connection from `start` to `close`.

    Args:
        connection: in autocommit mode, opened for use by another thread.
        marker: where a failure is noted.
        reserve: room for the day when the disk is full.
        on_fatal: called in the loop, with the reason, when nothing more can be acknowledged.
        limits: bounds of queue, group and log.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        marker: Marker,
        reserve: Reserve,
        on_fatal: Callable[[str], None],
        limits: Limits,
    ) -> None:
        self._connection = connection
        self._marker = marker
        self._reserve = reserve
        self._on_fatal = on_fatal
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._waiting_pages = 0
        self._coming: list[_Job] = []
        self._coming_pages = 0
        self._closing = False
        self._failed: str | None = None
        self._commits = 0
        self._full_since: float | None = None
        self._log_pages = 0
        self._log_since: float | None = -math.inf  # an earlier process may have left something
        self._changes = 0
        self._group_changes = False
        self.memory: Memory = NoMemory()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="database writer", daemon=True)

    @property
    def commits(self) -> int:
        """How many groups were committed."""
        return self._commits

    @property
    def failed(self) -> str | None:
        """Why nothing more is acknowledged; None while all is well."""
        return self._failed

    @property
    def changes(self) -> int:
        """A number that rises with each commit in which jobs that do not work by heart changed
        something: what was read before it rose may be over."""
        return self._changes

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether the disk has no room, so that only what frees some is written."""
        return self._full_since is not None

    async def write(self, work: Work[T], *, pages: int, frees: bool, by_heart: bool = False) -> T:
        """Queue `work`; return its result once it is on the disk.

        Args:
            work: may be called a second time, after all it did was undone.
            pages: what it is counted as.
            frees: whether it is tried on a full disk.
            by_heart: whether it works with the memory, and keeps to the rules of that.

        Raises:
            Busy: too much is waiting already.
            DiskFull: the disk has no room.
            StorageFailed: the disk failed, now or earlier in this process.
            Exception: whatever `work` raised; its changes are undone.
        """
        done: asyncio.Future[T] = self._loop.create_future()
        self.hand_in(work, pages=pages, frees=frees, by_heart=by_heart, answer=_telling(done))
        return await done  # a caller who is cancelled here cancels the wait, not the job

    def hand_in(
        self, work: Work[Any], *, pages: int, frees: bool, by_heart: bool, answer: Answer
    ) -> None:
        """Queue `work`, as `write` does; `answer` is called when it is decided.

        Called in the loop. What is handed in during one turn of it reaches the thread together, so
        that the first of many does not begin a commit of its own.

        Raises:
            Busy: too much is waiting already.
            StorageFailed: the disk failed earlier in this process.
        """
        if self._failed:
            raise StorageFailed
        # A job larger than the whole queue still gets its turn when nothing else waits.
        waiting = self._waiting_pages + self._coming_pages
        if self._closing or (waiting and waiting + pages > self._limits.waiting_pages):
            raise Busy
        if not self._coming:
            self._loop.call_soon(self._queue_what_came)
        self._coming.append(_Job(work, pages, frees, by_heart, answer))
        self._coming_pages += pages

    def _queue_what_came(self) -> None:
        coming, self._coming, pages, self._coming_pages = (
            self._coming, [], self._coming_pages, 0,
        )  # fmt: skip
        with self._changed:
            if not self._failed:
                self._waiting += coming
                self._waiting_pages += pages
                self._changed.notify()
                return
        _settle(coming, [Raised(StorageFailed()) for _ in coming])

    async def close(self) -> None:
        """Commit what is queued, empty the log, close the connection, end the thread."""
        self._queue_what_came()
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.shield(self._ended)
        self._thread.join()

    def fail(self, reason: str) -> None:
        """Acknowledge nothing more: note it on the disk, refuse what waits, tell the owner.

        May be called from any thread; only the first call counts.
        """
        with self._changed:
            if self._failed:
                return
            self._failed = reason
            waiting, self._waiting_pages = list(self._waiting), 0
            self._waiting.clear()
            self._changed.notify()
        self._marker.leave(reason)
        self._settle(waiting, [Raised(StorageFailed()) for _ in waiting])
        self._tell(self._on_fatal, reason)

    def _run(self) -> None:
        try:
            self._look_for_room()
            self._checkpoint_if_due()
            while (group := self._next_group()) is not None:
                if group := self._admitted(group):
                    self._commit(group)
                self._checkpoint_if_due()
            if not self._failed:
                self._connection.close()  # copies the log back and removes it
        except BaseException as error:  # whatever it is, nobody may wait for a dead thread
            self.fail(describe(error))
        self._tell(self._end)

    def _next_group(self) -> list[_Job] | None:
        with self._changed:
            if not (self._waiting or self._closing or self._failed):
                self._changed.wait(self._until_truncate())
            if self._failed or (self._closing and not self._waiting):
                return None
            group, pages = list[_Job](), 0
            while self._waiting and (not group or pages < self._limits.group_pages):
                group.append(self._waiting.popleft())
                pages += group[-1].pages
            self._waiting_pages -= pages
            return group

    def _admitted(self, group: list[_Job]) -> list[_Job]:
        """Return the jobs that are tried; refuse the others if the disk is still full."""
        since, wait = self._full_since, self._limits.full_retry_after
        if since is not None and time.monotonic() - since >= wait:
            self._look_for_room()
        return self._refuse_what_grows(group) if self.full else group

    def _refuse_what_grows(self, group: list[_Job]) -> list[_Job]:
        refused = [job for job in group if not job.frees]
        self._settle(refused, [Raised(DiskFull()) for _ in refused])
        return [job for job in group if job.frees]

    def _look_for_room(self) -> None:
        self._full_since = None if self._reserve.make() else time.monotonic()

    def _commit(self, group: list[_Job]) -> None:
        try:
            outcomes = self._transact(group)
        except Exception as error:
            # Until COMMIT returned, nothing is stored and nobody was told that it was.
            self._undo()
            if isinstance(error, _Stumbled):
                self._commit_each(group, error)
                return
            if trouble(error) is Trouble.FULL and not self.full:
                self._live_on_the_reserve()
                if group := self._refuse_what_grows(group):
                    self._commit(group)
                return
            if (refusal := _refusal(error)) is None:
                self.fail(describe(error))
                refusal = StorageFailed()
            outcomes = [Raised(refusal) for _ in group]
        self._settle(group, outcomes)

    def _commit_each(self, group: list[_Job], stumbled: "_Stumbled") -> None:
        if len(group) == 1:
            self._settle(group, [Raised(stumbled.error)])
            return
        for job in group:
            if not self._failed:
                self._commit([job])
            else:
                self._settle([job], [Raised(StorageFailed())])

    def _live_on_the_reserve(self) -> None:
        self._reserve.give_back()
        self._full_since = time.monotonic()
        self._checkpoint_if_due()

    def _undo(self) -> None:
        self.memory.forget()
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:  # on a full disk SQLite has rolled back itself
                self._connection.execute("ROLLBACK")

    def _transact(self, group: list[_Job]) -> list[Any]:
        self._group_changes = False
        self._connection.execute("BEGIN IMMEDIATE")
        outcomes = [self._attempt(job) for job in group]
        self.memory.settle(self._connection)
        if self._failed:  # a reader met a broken page meanwhile
            raise _Spoiled("another connection found the file broken")
        self._connection.execute("COMMIT")
        self._commits += 1
        self._changes += self._group_changes
        self._log_pages += sum(job.pages for job in group)
        if self._log_since is None:
            self._log_since = time.monotonic()
        return outcomes

    def _attempt(self, job: _Job) -> Any:
        if job.by_heart:
            return self._attempt_by_heart(job)
        self.memory.settle(self._connection)
        before = self._connection.total_changes
        self._connection.execute("SAVEPOINT job")
        try:
            outcome = job.work(self._connection)
        except Exception as error:
            if (
                trouble(error) in (Trouble.FATAL, Trouble.FULL)
                or not self._connection.in_transaction
            ):
                raise
            self._connection.execute("ROLLBACK TO job")
            outcome = Raised(_refusal(error) or error)
        if not self._connection.in_transaction:
            raise _Spoiled("a write ended the transaction that it shares")
        self._connection.execute("RELEASE job")
        if self._connection.total_changes != before:
            self._group_changes = True
            self.memory.forget()
        return outcome

    def _attempt_by_heart(self, job: _Job) -> Any:
        try:
            return job.work(self._connection)
        except Refusal as refusal:
            return Raised(refusal)
        except Exception as error:
            if trouble(error) is Trouble.OF_THE_CALLER:
                raise _Stumbled(error) from error
            raise

    def _until_truncate(self) -> float | None:
        if self._log_since is None:
            return None
        return max(0.0, self._log_since + self._limits.truncate_after - time.monotonic())

    def _checkpoint_if_due(self) -> None:
        if self._failed or self._log_since is None:
            return
        limits, age = self._limits, time.monotonic() - self._log_since
        if self._waiting:
            seconds, pages = limits.truncate_at_last, limits.checkpoint_at_last
        else:
            seconds, pages = limits.truncate_after, limits.checkpoint_pages
        try:
            if self.full or age >= seconds:
                self._truncate_log()
            elif self._log_pages >= pages:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                self._log_pages = 0
        except sqlite3.Error as error:
            if trouble(error) is Trouble.FATAL:
                self.fail(describe(error))
            else:  # no room to copy back: everything is still safe in the log
                self._log_since, self._log_pages = time.monotonic(), 0

    def _truncate_log(self) -> None:
        """Empty the log, unless somebody reads in it for long, as a copy of the store does."""
        with self._patience(_TRUNCATE_PATIENCE):
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        soon = time.monotonic() - self._limits.truncate_after + _TRUNCATE_AGAIN
        self._log_since, self._log_pages = (soon if busy else None), 0

    @contextmanager
    def _patience(self, seconds: float) -> Iterator[None]:
        """Wait for other connections at most so long."""
        [before] = self._connection.execute("PRAGMA busy_timeout").fetchone()
        self._connection.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
        try:
            yield
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {before}")

    def _settle(self, jobs: list[_Job], outcomes: list[Any]) -> None:
        self._tell(_settle, jobs, outcomes)

    def _tell(self, call: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: there is nobody left to tell
            self._loop.call_soon_threadsafe(call, *arguments)

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


class _Spoiled(Exception):
    """The group's transaction is not the one that was begun: nothing of it may be committed."""


class _Stumbled(Exception):
    """A job that works by heart failed, and may have left something half done."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _refusal(error: Exception) -> Refusal | None:
    """Return what a caller is told for an error that the store survives; None for any other."""
    match trouble(error):
        case Trouble.BUSY:
            return Busy()
        case Trouble.FULL:
            return DiskFull()
        case _:
            return None


def _telling(done: "asyncio.Future[Any]") -> Answer:
    def answer(outcome: Any) -> None:
        if done.done():  # the caller went away; the write stands or fell without him
            return
        if isinstance(outcome, Raised):
            done.set_exception(outcome.error)
        else:
            done.set_result(outcome)

    return answer


def _settle(jobs: list[_Job], outcomes: list[Any]) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        job.answer(outcome)
