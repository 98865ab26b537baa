"""The tables of the phone's file beside those of the keys, as steps from one version to the next.

| table       | a row is                                                                         |
|-------------|----------------------------------------------------------------------------------|
| note        | a small value by its name: our name, card, gateway, cursor                       |
| certificate | a gateway's certificate, checked against its key                                 |
| contact     | a person whose card we hold                                                      |
| lane_given  | a lane on which a contact writes to us                                           |
| lane_taken  | a lane on which we write to a contact                                            |
| item        | signed bytes, ours or others', kept as long as one of the next three names them  |
| letter      | an item that people see; peer/letterbox.py says in which order                   |
| outgoing    | an item on its way out                                                           |
| sent        | an item under the number it was sent with, for thirty days: it may be asked for  |
| trouble     | a parcel that could not be opened                                                |
| exchange    | an addition that is under way                                                    |

All times are Unix seconds by this device's clock, but `letter.written`, which is its author's.
"""

from typing import Final

MIGRATIONS: Final = (
    """
CREATE TABLE note (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE certificate (
    gateway BLOB PRIMARY KEY,
    der BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE contact (
    person BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,           -- what I call them
    introduced TEXT NOT NULL,            -- what they call themselves
    chain BLOB NOT NULL,                 -- their card: CBOR list of all statements kept
    verified INTEGER NOT NULL,           -- whether the check code was compared
    blocked INTEGER NOT NULL DEFAULT 0,
    added REAL NOT NULL,
    asks INTEGER NOT NULL DEFAULT 0,     -- requests since letters are missing
    asked REAL NOT NULL DEFAULT 0,       -- when the last was made
    asked_for BLOB NOT NULL DEFAULT x''  -- hash of what was asked for
) STRICT, WITHOUT ROWID;
CREATE TABLE lane_given (
    person BLOB NOT NULL,
    class INTEGER NOT NULL,
    secret BLOB NOT NULL UNIQUE,
    gateway BLOB,                        -- where it is registered; NULL: nowhere yet
    lane BLOB,                           -- its id there
    revoked INTEGER NOT NULL DEFAULT 0,  -- to be taken back at the gateway
    PRIMARY KEY (person, class, secret)
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_given_by_id ON lane_given (lane);
CREATE TABLE lane_taken (
    person BLOB NOT NULL,
    class INTEGER NOT NULL,
    secret BLOB NOT NULL,
    PRIMARY KEY (person, class)
) STRICT, WITHOUT ROWID;
CREATE TABLE item (
    item BLOB PRIMARY KEY,               -- its id
    raw BLOB NOT NULL                    -- exactly as signed
) STRICT;
CREATE TABLE letter (
    number INTEGER PRIMARY KEY,
    item BLOB NOT NULL UNIQUE REFERENCES item,
    person BLOB NOT NULL,                -- who it is from, or to
    outgoing INTEGER NOT NULL,
    written REAL NOT NULL,
    came REAL NOT NULL,
    shown INTEGER NOT NULL DEFAULT 0,
    ended TEXT NOT NULL DEFAULT ''       -- code of why it was given up
) STRICT;
CREATE INDEX letter_unshown ON letter (number) WHERE NOT shown;
CREATE TABLE outgoing (
    number INTEGER PRIMARY KEY,
    person BLOB NOT NULL,
    item BLOB NOT NULL REFERENCES item,
    class INTEGER NOT NULL,              -- of the lane it takes
    again INTEGER NOT NULL DEFAULT 0,    -- the number under which it was sent before
    parcel BLOB,                         -- NULL: not sealed yet
    purge BLOB,                          -- secret whose hash the parcel shows
    body BLOB,
    made REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    next_try REAL NOT NULL DEFAULT 0,
    trouble TEXT NOT NULL DEFAULT '',    -- code of the last refusal
    claimed REAL NOT NULL DEFAULT 0,     -- until when one process has it to itself
    claimed_by BLOB NOT NULL DEFAULT x'',
    UNIQUE (person, item)
) STRICT;
CREATE TABLE sent (
    person BLOB NOT NULL,
    number INTEGER NOT NULL,
    item BLOB NOT NULL REFERENCES item,
    class INTEGER NOT NULL,
    purge BLOB NOT NULL,
    made REAL NOT NULL,
    gateway BLOB,                        -- where it was stored; NULL: on no gateway yet
    PRIMARY KEY (person, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX sent_by_item ON sent (item);
CREATE TABLE trouble (
    number INTEGER PRIMARY KEY,
    person BLOB NOT NULL,
    parcel BLOB NOT NULL UNIQUE,
    code TEXT NOT NULL,
    came REAL NOT NULL,
    shown INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE exchange (
    slot BLOB PRIMARY KEY,
    person BLOB,                         -- whose code we read; NULL: we show one
    side BLOB,                           -- the guest's word; NULL: we show one
    state BLOB NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
""",
    """
-- The author's device and its number for the letter; NULL: ours, or from before this step.
ALTER TABLE letter ADD COLUMN device BLOB;
ALTER TABLE letter ADD COLUMN counted INTEGER;
CREATE INDEX letter_by_device ON letter (person, device, counted);
""",
)
