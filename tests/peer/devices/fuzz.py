"""Devices with wrong clocks that lose, reorder and repeat what they tell each other, and crash.

    python -m tests.peer.devices.fuzz 10000       so many seeds; says how many of them went wrong

A seed plays some hundred steps and then lets everybody hear everything. Wrong is: two devices that
differ (divergence), or a change that was made by somebody who had seen the one before it and did
not win over it (a lost update).
"""

import random
import sys
import time
from dataclasses import dataclass, field

from peer.devices.clock import LATEST, Clock, Stamp
from peer.devices.merges import Dotted, ReadMark, dotted_of
from peer.devices.state import Entry, State
from wire.codec import encode

KEYS = [bytes([kind, number]) + bytes(14) for kind in (1, 10, 20, 30, 40) for number in range(3)]
SKEWS = (0.0, -3_600.0, 259_200.0, -31_536_000.0, 86_400.0 * 365 * 30, 300.0)
"""Seconds by which clocks are wrong: hours, days, a year behind, thirty years ahead."""
STEPS = 120


@dataclass
class Device:
    """One device: what is on its disk, and what it has told."""

    id: bytes
    skew: float
    clock: Clock = field(default_factory=lambda: Clock.of_generation(1))
    state: State = field(default_factory=State)
    told: list[Entry] = field(default_factory=list)
    kept: tuple[Clock, State, list[Entry]] | None = None
    """What was on the disk before a step that a crash may undo."""

    def begin(self) -> None:
        """Begin a transaction."""
        self.kept = (self.clock, State(self.state), list(self.told))

    def crash(self) -> None:
        """Lose what was not committed."""
        if self.kept is not None:
            self.clock, self.state, self.told = self.kept

    def hear(self, entry: Entry) -> None:
        """Take what another device told."""
        self.clock = self.clock.seen(entry.stamp.epoch, entry.stamp.time)
        self.state.take([entry])

    def change(self, key: bytes, now: float, dice: random.Random) -> Entry:
        """Change a key, knowing what is known here."""
        self.clock = self.clock.tick((now + self.skew) * 1000)
        stamp = Stamp(self.clock.epoch, self.clock.time, self.id, len(self.told) + 1)
        held = self.state.get(key)
        entry = Entry(key, stamp, self._value(key, held, dice))
        self.state.take([entry])
        self.told.append(self.state[key] if key[0] in (10, 20, 30) else entry)
        return entry

    def _value(self, key: bytes, held: Entry | None, dice: random.Random) -> bytes | None:
        before = None if held is None else held.value
        match key[0]:
            case 10:
                mark = ReadMark() if before is None else ReadMark.decode(before)
                number = dice.randint(1, 60)
                if dice.random() < 0.2:
                    return mark.with_unread(self.id, number).encode()
                missing = {dice.randint(1, number) for _ in range(dice.randint(0, 2))}
                return mark.with_read(number, frozenset(missing)).encode()
            case 20 | 30:
                dotted = Dotted() if before is None else dotted_of(before)[1]
                text = bytes([dice.randrange(256)]) if key[0] == 30 else b""
                changed = dotted.put(self.id, text) if dice.random() < 0.6 else dotted.cleared()
                return encode([b"p", changed.to_value()])
            case 40:
                return b"" if dice.random() < 0.5 else None
            case _:
                return None if dice.random() < 0.1 else dice.randbytes(4)


@dataclass
class Outcome:
    """What a seed has shown."""

    diverged: bool
    lost: int


def play(seed: int) -> Outcome:
    """Play one seed."""
    dice = random.Random(seed)  # noqa: S311  # no secret
    now = 1_800_000_000.0
    devices = [
        Device(bytes([number]) * 16, dice.choice(SKEWS)) for number in range(dice.randint(2, 4))
    ]
    waiting: list[tuple[Device, Entry]] = []
    seen_before: list[tuple[Entry, Stamp]] = []
    for _ in range(STEPS):
        now += dice.choice((0.0, 0.001, 5.0, 3_600.0))
        one = dice.choice(devices)
        match dice.choice(("change", "change", "hear", "hear", "skew", "poison", "turn")):
            case "change":
                key = dice.choice(KEYS)
                held = one.state.get(key)
                one.begin()
                entry = one.change(key, now, dice)
                if dice.random() < 0.05:
                    one.crash()  # before the commit: nobody has heard of it
                    continue
                if held is not None:
                    seen_before.append((entry, held.stamp))
                waiting += [(other, one.told[-1]) for other in devices if other is not one]
            case "hear" if waiting:
                for _ in range(dice.randint(1, 6)):
                    if waiting:
                        _hear_one(waiting, dice)
            case "skew":
                one.skew = dice.choice(SKEWS)
            case "poison" if dice.random() < 0.05:
                one.clock = one.clock.seen(one.clock.epoch, LATEST - dice.randint(0, 3))
            case "turn" if dice.random() < 0.1:
                one.clock = one.clock.turned()
    told = [entry for device in devices for entry in device.told]
    for device in devices:  # the log is read to its end, in whatever order
        dice.shuffle(told)
        for entry in told:
            device.hear(entry)
    diverged = any(device.state != devices[0].state for device in devices)
    return Outcome(diverged, sum(1 for entry, before in seen_before if not before < entry.stamp))


def _hear_one(waiting: list[tuple[Device, Entry]], dice: random.Random) -> None:
    place = dice.randrange(len(waiting))  # reordered
    device, entry = waiting[place]
    if dice.random() < 0.3:
        del waiting[place]  # lost: only the log has it
        return
    device.begin()
    device.hear(entry)
    if dice.random() < 0.1:
        device.crash()
    elif dice.random() < 0.8:
        del waiting[place]  # else it comes once more


def main(seeds: int) -> int:
    """Play seeds; return how many went wrong."""
    began, diverged, lost = time.monotonic(), 0, 0
    for seed in range(seeds):
        outcome = play(seed)
        diverged += outcome.diverged
        lost += outcome.lost
        if outcome.diverged or outcome.lost:
            print(f"seed {seed}: {outcome}")
    seconds = time.monotonic() - began
    print(f"{seeds} seeds, {diverged} diverged, {lost} lost updates, {seconds:.1f} s")
    return diverged + lost


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000) > 0)
