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
| state       | what all devices of this person hold alike, under hashed keys                    |
| state_dirty | rows of other tables that changed and belong to the state: see the triggers      |
| state_batch | changes as they were signed, until a snapshot has them                           |
| state_vector | how far each of the person's devices was heard                                  |
| keeper      | a contact who was given a share of our recovery seed                             |
| kept_share  | a share of a contact's seed that we keep; it goes into no letter and no log      |
| segment     | a segment of our archive that we know                                            |
| witnessed   | the newest head of a contact's archive                                           |
| news        | something that a card says and that a person should see                          |

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
    """
CREATE TABLE state (
    key BLOB PRIMARY KEY,                -- peer/devices/state.py
    epoch INTEGER NOT NULL,
    time INTEGER NOT NULL,               -- of the hybrid clock, less 2^63: SQLite counts from there
    device BLOB NOT NULL,
    seq INTEGER NOT NULL,                -- in which of its batches
    value BLOB,                          -- NULL: it is no more
    pending INTEGER NOT NULL             -- whether it still has to be told
) STRICT, WITHOUT ROWID;
CREATE INDEX state_pending ON state (epoch, time) WHERE pending;
CREATE TABLE state_dirty (
    kind INTEGER NOT NULL,               -- peer/devices/belongings.py Kind
    one ANY NOT NULL,
    two ANY NOT NULL,
    three ANY NOT NULL
) STRICT;
CREATE TABLE state_batch (
    device BLOB NOT NULL,
    seq INTEGER NOT NULL,
    raw BLOB NOT NULL,                   -- as signed: a gateway that lost it is given it again
    PRIMARY KEY (device, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE state_vector (
    device BLOB PRIMARY KEY,
    seq INTEGER NOT NULL,                -- up to here its batches were taken
    cut INTEGER                          -- revoked: nothing later is ever taken
) STRICT, WITHOUT ROWID;
CREATE TRIGGER contact_came AFTER INSERT ON contact BEGIN
    INSERT INTO state_dirty VALUES (2, NEW.person, x'', x''),
        (3, NEW.person, x'', x''), (4, NEW.person, x'', x''), (20, NEW.person, x'', x'');
    INSERT INTO state_dirty SELECT 5, person, transcript, x'' FROM pair_secrets
        WHERE person = NEW.person;
    INSERT INTO state_dirty SELECT 6, person, generation, x'' FROM box_keys
        WHERE person = NEW.person;
    INSERT INTO state_dirty SELECT 7, person, class, secret FROM lane_given
        WHERE person = NEW.person;
    INSERT INTO state_dirty SELECT 8, person, class, x'' FROM lane_taken
        WHERE person = NEW.person; END;
CREATE TRIGGER contact_changed AFTER UPDATE OF introduced, chain, added ON contact BEGIN
    INSERT INTO state_dirty VALUES (2, NEW.person, x'', x''); END;
CREATE TRIGGER contact_renamed AFTER UPDATE OF name ON contact BEGIN
    INSERT INTO state_dirty VALUES (3, NEW.person, x'', x''); END;
CREATE TRIGGER contact_verified AFTER UPDATE OF verified ON contact BEGIN
    INSERT INTO state_dirty VALUES (4, NEW.person, x'', x''); END;
CREATE TRIGGER contact_blocked AFTER UPDATE OF blocked ON contact BEGIN
    INSERT INTO state_dirty VALUES (20, NEW.person, x'', x''); END;
CREATE TRIGGER contact_went AFTER DELETE ON contact BEGIN
    INSERT INTO state_dirty VALUES (2, OLD.person, x'', x''),
        (3, OLD.person, x'', x''), (4, OLD.person, x'', x''); END;
CREATE TRIGGER pair_came AFTER INSERT ON pair_secrets BEGIN
    INSERT INTO state_dirty VALUES (5, NEW.person, NEW.transcript, x''); END;
CREATE TRIGGER pair_went AFTER DELETE ON pair_secrets BEGIN
    INSERT INTO state_dirty VALUES (5, OLD.person, OLD.transcript, x''); END;
CREATE TRIGGER box_came AFTER INSERT ON box_keys BEGIN
    INSERT INTO state_dirty VALUES (6, NEW.person, NEW.generation, x''); END;
CREATE TRIGGER box_went AFTER DELETE ON box_keys BEGIN
    INSERT INTO state_dirty VALUES (6, OLD.person, OLD.generation, x''); END;
CREATE TRIGGER given_came AFTER INSERT ON lane_given BEGIN
    INSERT INTO state_dirty VALUES (7, NEW.person, NEW.class, NEW.secret); END;
CREATE TRIGGER given_revoked AFTER UPDATE OF revoked ON lane_given BEGIN
    INSERT INTO state_dirty VALUES (7, NEW.person, NEW.class, NEW.secret); END;
CREATE TRIGGER given_went AFTER DELETE ON lane_given BEGIN
    INSERT INTO state_dirty VALUES (7, OLD.person, OLD.class, OLD.secret); END;
CREATE TRIGGER taken_came AFTER INSERT ON lane_taken BEGIN
    INSERT INTO state_dirty VALUES (8, NEW.person, NEW.class, x''); END;
CREATE TRIGGER taken_changed AFTER UPDATE OF secret ON lane_taken BEGIN
    INSERT INTO state_dirty VALUES (8, NEW.person, NEW.class, x''); END;
CREATE TRIGGER taken_went AFTER DELETE ON lane_taken BEGIN
    INSERT INTO state_dirty VALUES (8, OLD.person, OLD.class, x''); END;
CREATE TRIGGER note_came AFTER INSERT ON note WHEN NEW.name IN ('name', 'gateway',
    'gateways-left', 'card') OR NEW.name GLOB 'fresh/*' OR NEW.name GLOB 'setting/*' BEGIN
    INSERT INTO state_dirty VALUES (iif(NEW.name = 'card', 9, 1), NEW.name, x'', x'');
    END;
CREATE TRIGGER note_changed AFTER UPDATE OF value ON note WHEN NEW.name IN ('name', 'gateway',
    'gateways-left', 'card') OR NEW.name GLOB 'fresh/*' OR NEW.name GLOB 'setting/*' BEGIN
    INSERT INTO state_dirty VALUES (iif(NEW.name = 'card', 9, 1), NEW.name, x'', x'');
    END;
CREATE TRIGGER note_went AFTER DELETE ON note WHEN OLD.name IN ('name', 'gateway',
    'gateways-left') OR OLD.name GLOB 'fresh/*' OR OLD.name GLOB 'setting/*' BEGIN
    INSERT INTO state_dirty VALUES (1, OLD.name, x'', x''); END;
CREATE TRIGGER letter_shown AFTER UPDATE OF shown ON letter
    WHEN NEW.shown AND NOT NEW.outgoing AND NEW.counted IS NOT NULL BEGIN
    INSERT INTO state_dirty VALUES (10, NEW.person, NEW.device, x''); END;
-- What was here before there were several devices is told with the first change.
INSERT INTO note SELECT 'state-begun', x'' WHERE EXISTS (SELECT 1 FROM note WHERE name = 'card');
INSERT INTO state_dirty SELECT iif(name = 'card', 9, 1), name, x'', x'' FROM note
    WHERE name IN ('name', 'gateway', 'gateways-left', 'card') OR name GLOB 'fresh/*';
INSERT INTO state_dirty SELECT k.column1, person, x'', x'' FROM contact,
    (VALUES (2), (3), (4), (20)) AS k;
INSERT INTO state_dirty SELECT 7, person, class, secret FROM lane_given;
INSERT INTO state_dirty SELECT 8, person, class, x'' FROM lane_taken;
INSERT INTO state_dirty SELECT 5, person, transcript, x'' FROM pair_secrets;
INSERT INTO state_dirty SELECT 6, person, generation, x'' FROM box_keys;
INSERT INTO state_dirty SELECT 10, person, device, x'' FROM letter
    WHERE shown AND NOT outgoing AND counted IS NOT NULL;
""",
    """
CREATE TABLE keeper (
    person BLOB PRIMARY KEY,
    share_set BLOB NOT NULL,             -- names the shares that were made together
    proof_key BLOB NOT NULL,             -- hash of the share: knows an answer to a rehearsal
    item BLOB NOT NULL,                  -- in which the share went out; erased once it is kept
    sent REAL NOT NULL,
    confirmed REAL,                      -- when the contact said that it is kept
    nonce BLOB,                          -- of the rehearsal that is under way
    rehearsed REAL,                      -- when one was last answered rightly
    given_up REAL                        -- when the contact said that it is kept no more
) STRICT, WITHOUT ROWID;
CREATE TABLE kept_share (
    person BLOB PRIMARY KEY,             -- whose seed it is of
    share_set BLOB NOT NULL,
    share BLOB NOT NULL,
    need INTEGER NOT NULL,
    marks BLOB NOT NULL,
    notice BLOB NOT NULL,
    came REAL NOT NULL,
    nonce BLOB,                          -- of a rehearsal that we have not answered
    helped REAL,                         -- when it was last handed out
    looked REAL NOT NULL DEFAULT 0,      -- when their gateway was last asked for requests
    alarm BLOB                           -- what it said then
) STRICT, WITHOUT ROWID;
""",
    """
-- The archive: in which segment a letter lies (NULL: in none), which segments we know and what was
-- wrong with one, and the newest head that we have seen of each contact's archive.
ALTER TABLE letter ADD COLUMN archived INTEGER;
CREATE INDEX letter_unarchived ON letter (number) WHERE archived IS NULL;
CREATE TABLE segment (
    seq INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,                  -- of its head; empty: none that could be read
    trouble TEXT NOT NULL DEFAULT ''     -- code of why it is not used
) STRICT;
CREATE TABLE witnessed (
    person BLOB PRIMARY KEY,             -- whose archive
    head BLOB NOT NULL,                  -- with the signature of the device that told it
    chain BLOB NOT NULL,                 -- their card when it was told: it listed that device
    said INTEGER NOT NULL                -- time of the item that told it
) STRICT, WITHOUT ROWID;
""",
    """
CREATE TABLE news (
    number INTEGER PRIMARY KEY,
    person BLOB NOT NULL,                -- whose card; our own too
    what TEXT NOT NULL,                  -- peer/people/news.py says what there is
    device BLOB,
    role INTEGER,
    since REAL NOT NULL,                 -- by the clock of whoever signed
    shown INTEGER NOT NULL DEFAULT 0
) STRICT;
""",
)
