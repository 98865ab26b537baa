-- Each index costs a page on the disk for each parcel, since mailboxes lie far apart in it. What is
-- remembered of deposits is found by lane alone, and how much it is is counted on the lane. Parcels
-- at the end of their lives are found by the index by which all others are found.

CREATE TABLE deposit_by_lane (
    lane        BLOB    NOT NULL REFERENCES lane ON DELETE CASCADE,
    parcel      BLOB    NOT NULL CHECK (length(parcel) = 16),
    body_hash   BLOB    NOT NULL CHECK (length(body_hash) = 32),
    forget_day  INTEGER NOT NULL,  -- steady days, rounded up: it does not tell when it arrived
    PRIMARY KEY (lane, parcel)
) STRICT, WITHOUT ROWID;
INSERT INTO deposit_by_lane SELECT lane, parcel, body_hash, forget_day FROM deposit;
DROP TABLE deposit;
ALTER TABLE deposit_by_lane RENAME TO deposit;

ALTER TABLE lane ADD COLUMN remembered INTEGER NOT NULL DEFAULT 0 CHECK (remembered >= 0);
UPDATE lane SET remembered = (SELECT count(*) FROM deposit d WHERE d.lane = lane.lane);

CREATE TABLE parcel_of_seat (
    number    INTEGER PRIMARY KEY,  -- SQLite's own; bodies are too large to lie in an index
    seat      BLOB    NOT NULL REFERENCES seat ON DELETE CASCADE,
    seq       INTEGER NOT NULL,  -- its place in the mailbox; the seat's counter gives each once
    lane      BLOB    NOT NULL CHECK (length(lane) = 16),
    parcel    BLOB    NOT NULL CHECK (length(parcel) = 16),  -- chosen by the sender
    lifetime  INTEGER NOT NULL,  -- wire/parcel.py Lifetime
    purge     BLOB    NOT NULL CHECK (length(purge) = 32),
    dies_at   REAL    NOT NULL,
    body      BLOB    NOT NULL
) STRICT;
INSERT INTO parcel_of_seat SELECT number, seat, seq, lane, parcel, lifetime, purge, dies_at, body
    FROM parcel;
DROP TABLE parcel;
ALTER TABLE parcel_of_seat RENAME TO parcel;
CREATE INDEX parcel_by_place ON parcel (seat, seq, dies_at);
