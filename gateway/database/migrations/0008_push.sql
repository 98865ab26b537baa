-- Waking phones: where each can be reached, what its holder has set, and one row for each phone of
-- what still has to ring. No queue: a wake says nothing but "collect now".

-- Where a device is pushed to. One that replaces another waits beside it until it is confirmed.
CREATE TABLE push_address (
    device     BLOB    NOT NULL REFERENCES device ON DELETE CASCADE,
    confirmed  INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    kind       INTEGER NOT NULL,  -- wire/pushes.py AddressKind
    endpoint   TEXT    NOT NULL,  -- a URL that its push service gave the device
    public     BLOB    NOT NULL CHECK (length(public) = 65),  -- P-256, of the device
    auth       BLOB    NOT NULL CHECK (length(auth) = 16),  -- secret of device and gateway
    challenge  BLOB    NOT NULL CHECK (length(challenge) = 32),  -- hash of what was pushed to it
    ends_at    REAL    NOT NULL,  -- of the challenge
    PRIMARY KEY (device, confirmed)
) STRICT, WITHOUT ROWID;
CREATE INDEX push_address_by_endpoint ON push_address (endpoint);

CREATE TABLE push_hours (
    device        BLOB    NOT NULL PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    zone          TEXT    NOT NULL,  -- of the tz database
    quiet_begin   INTEGER,  -- minutes after midnight; NULL: no quiet hours
    quiet_end     INTEGER,
    snooze_until  INTEGER NOT NULL,  -- Unix seconds
    digests       TEXT    NOT NULL   -- minutes after midnight, with commas
) STRICT, WITHOUT ROWID;

-- Where one device wants another rule than the lane has.
CREATE TABLE push_rule (
    lane    BLOB    NOT NULL REFERENCES lane ON DELETE CASCADE,
    device  BLOB    NOT NULL REFERENCES device ON DELETE CASCADE,
    rule    INTEGER NOT NULL,  -- wire/lanes.py WakeRule
    PRIMARY KEY (lane, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX push_rule_by_device ON push_rule (device);

-- What still has to ring: a device has something to collect while one of the three numbers is above
-- what it has acknowledged and above what was read elsewhere.
CREATE TABLE wake (
    device       BLOB    NOT NULL PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    seat         BLOB    NOT NULL REFERENCES seat ON DELETE CASCADE,
    wake         INTEGER NOT NULL DEFAULT 0,  -- newest parcel that may wake at any hour
    outside      INTEGER NOT NULL DEFAULT 0,  -- newest that may wake outside quiet hours
    digest       INTEGER NOT NULL DEFAULT 0,  -- newest that is told of in a digest
    read         INTEGER NOT NULL DEFAULT 0,  -- read up to here on another device
    pushes       INTEGER NOT NULL DEFAULT 0,  -- wakes since the device last collected
    pushed_at    REAL    NOT NULL DEFAULT 0,
    hour_began   REAL    NOT NULL DEFAULT 0,
    hour_pushes  INTEGER NOT NULL DEFAULT 0   -- wakes in that hour
) STRICT, WITHOUT ROWID;
CREATE INDEX wake_by_seat ON wake (seat);

-- Wakes that a lane has caused today.
CREATE TABLE lane_wake (
    lane   BLOB    NOT NULL PRIMARY KEY REFERENCES lane ON DELETE CASCADE,
    day    INTEGER NOT NULL,  -- steady days
    wakes  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Why it rang or did not, for seven days; only the device itself is told.
CREATE TABLE push_why (
    device  BLOB    NOT NULL REFERENCES device ON DELETE CASCADE,
    hour    INTEGER NOT NULL,  -- Unix hours
    why     TEXT    NOT NULL,  -- gateway/push/bell.py Why
    lane    BLOB    NOT NULL,  -- empty: of no one lane
    times   INTEGER NOT NULL,
    PRIMARY KEY (device, hour, why, lane)
) STRICT, WITHOUT ROWID;
