-- Everything that a gateway keeps. Each column is listed, with who learns what from it, in
-- docs/threat-model.md; a test compares the two.
-- Times are steady seconds (gateway/clock.py) unless said otherwise. Sizes are bytes.

CREATE TABLE clock_mark (
    only    INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),  -- there is one row
    steady  REAL    NOT NULL,  -- how far steady time had come
    wall    REAL    NOT NULL   -- what the wall clock said then, Unix seconds
) STRICT;

-- A seat and its mailbox. The counter is here and not max(seq) + 1: numbers never come again.
CREATE TABLE seat (
    seat          BLOB    NOT NULL PRIMARY KEY CHECK (length(seat) = 16),  -- random
    person        BLOB    NOT NULL UNIQUE CHECK (length(person) = 32),  -- hash of the first root key
    quota_bytes   INTEGER NOT NULL CHECK (quota_bytes >= 0),  -- room that the owner gives it
    used_bytes    INTEGER NOT NULL DEFAULT 0 CHECK (used_bytes >= 0),  -- sum over its parcels
    last_seq      INTEGER NOT NULL DEFAULT 0,  -- highest number ever given to a parcel
    epoch         BLOB    NOT NULL CHECK (length(epoch) = 16),  -- random; in which the numbers count
    log_position  INTEGER NOT NULL DEFAULT 0   -- newest state-log position a lane change rested on
) STRICT, WITHOUT ROWID;

-- Epochs that are over: a cursor of one of them is merely old, one of any other proves a restore.
CREATE TABLE past_epoch (
    seat   BLOB NOT NULL REFERENCES seat ON DELETE CASCADE,
    epoch  BLOB NOT NULL CHECK (length(epoch) = 16),
    PRIMARY KEY (seat, epoch)
) STRICT, WITHOUT ROWID;

-- A device and its cursor. A revoked one stays, so that it can be told so and never comes back.
CREATE TABLE device (
    device         BLOB    NOT NULL PRIMARY KEY CHECK (length(device) = 16),  -- hash of its key
    seat           BLOB    NOT NULL REFERENCES seat ON DELETE CASCADE,
    device_key     BLOB    NOT NULL UNIQUE CHECK (length(device_key) = 32),  -- Ed25519 public key
    revoked        INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1)),
    collected_at   REAL    NOT NULL,  -- last seen, to the hour: live for 14 days from it
    cursor_seq     INTEGER NOT NULL DEFAULT 0,  -- acknowledged up to here, in the seat's epoch
    cursor_parcel  BLOB    NOT NULL DEFAULT (zeroblob(16)) CHECK (length(cursor_parcel) = 16)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_by_seat ON device (seat);

-- What a pairing was answered, for a phone that did not hear it and asks again.
CREATE TABLE pairing (
    device     BLOB NOT NULL PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    request    BLOB NOT NULL CHECK (length(request) = 32),  -- hash by which it is known again
    nonce      BLOB NOT NULL CHECK (length(nonce) = 16),  -- the gateway's part of the check code
    forget_at  REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- The person's card: one statement for each place in the chain.
CREATE TABLE card (
    seat       BLOB    NOT NULL REFERENCES seat ON DELETE CASCADE,
    epoch      INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    statement  BLOB    NOT NULL,  -- as signed
    PRIMARY KEY (seat, epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE prekey (
    device     BLOB    NOT NULL REFERENCES device ON DELETE CASCADE,
    kind       INTEGER NOT NULL,  -- wire/prekeys.py PrekeyKind
    id         INTEGER NOT NULL,  -- chosen by the device, rising
    public     BLOB    NOT NULL,
    signature  BLOB    NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (device, kind, id)
) STRICT, WITHOUT ROWID;

-- The highest id taken of each kind: a repeated upload brings no key back that was handed out.
CREATE TABLE prekey_top (
    device  BLOB    NOT NULL REFERENCES device ON DELETE CASCADE,
    kind    INTEGER NOT NULL,
    top     INTEGER NOT NULL,
    PRIMARY KEY (device, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE lane (
    lane           BLOB    NOT NULL PRIMARY KEY CHECK (length(lane) = 16),  -- slot and derived id
    seat           BLOB    NOT NULL REFERENCES seat ON DELETE CASCADE,
    lane_key       BLOB    NOT NULL CHECK (length(lane_key) = 32),  -- proves deposits, here only
    rule           INTEGER NOT NULL,  -- wire/lanes.py WakeRule: what a parcel may do to a phone
    wakes_per_day  INTEGER NOT NULL,
    bytes_waiting  INTEGER NOT NULL,  -- how much may wait on it
    used_bytes     INTEGER NOT NULL DEFAULT 0 CHECK (used_bytes >= 0),  -- how much waits
    last_tenth     INTEGER NOT NULL CHECK (last_tenth IN (0, 1)),  -- may use the seat's last tenth
    dies_at        REAL  -- NULL: lives until it is revoked
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_by_seat ON lane (seat);

-- Bundles handed out to a lane: one an hour, three in thirty days.
CREATE TABLE handout (
    lane    BLOB NOT NULL REFERENCES lane ON DELETE CASCADE,
    device  BLOB NOT NULL REFERENCES device ON DELETE CASCADE,
    at      REAL NOT NULL,
    PRIMARY KEY (lane, device, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX handout_by_device ON handout (device);

-- A mailbox: what waits for a seat. The lane may be gone already.
CREATE TABLE parcel (
    number    INTEGER PRIMARY KEY,  -- SQLite's own; bodies are too large to lie in an index
    seat      BLOB    NOT NULL REFERENCES seat ON DELETE CASCADE,
    seq       INTEGER NOT NULL,  -- its place in the mailbox
    lane      BLOB    NOT NULL CHECK (length(lane) = 16),
    parcel    BLOB    NOT NULL CHECK (length(parcel) = 16),  -- chosen by the sender
    lifetime  INTEGER NOT NULL,  -- wire/parcel.py Lifetime
    purge     BLOB    NOT NULL CHECK (length(purge) = 32),
    dies_at   REAL    NOT NULL,
    body      BLOB    NOT NULL,
    UNIQUE (seat, seq)
) STRICT;
CREATE INDEX parcel_by_end ON parcel (seat, dies_at);

-- Deposits already answered, collected or not: the same one again gets the same answer.
CREATE TABLE deposit (
    lane        BLOB    NOT NULL REFERENCES lane ON DELETE CASCADE,
    parcel      BLOB    NOT NULL CHECK (length(parcel) = 16),
    seat        BLOB    NOT NULL REFERENCES seat ON DELETE CASCADE,
    body_hash   BLOB    NOT NULL CHECK (length(body_hash) = 32),
    forget_day  INTEGER NOT NULL,  -- steady days, rounded up: it does not tell when it arrived
    PRIMARY KEY (lane, parcel)
) STRICT, WITHOUT ROWID;
CREATE INDEX deposit_by_end ON deposit (seat, forget_day);
