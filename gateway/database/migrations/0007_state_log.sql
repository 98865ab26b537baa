-- The state log: what the devices of one person tell each other, sealed. The gateway sees whose batch
-- it is, its number and its length. Every row is signed by its device, so none needs a checksum.

CREATE TABLE state_batch (
    seat    BLOB    NOT NULL REFERENCES seat ON DELETE CASCADE,
    device  BLOB    NOT NULL CHECK (length(device) = 16),  -- who made it; may be revoked by now
    seq     INTEGER NOT NULL,  -- counted by that device
    body    BLOB    NOT NULL,  -- as signed
    PRIMARY KEY (seat, device, seq)
) STRICT, WITHOUT ROWID;

-- How far each device's batches have come here, and up to where they were dropped again.
CREATE TABLE state_head (
    seat    BLOB    NOT NULL REFERENCES seat ON DELETE CASCADE,
    device  BLOB    NOT NULL CHECK (length(device) = 16),
    newest  INTEGER NOT NULL,
    floor   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (seat, device)
) STRICT, WITHOUT ROWID;

-- Up to which batches of a device another one has come, as it said when it last asked.
CREATE TABLE state_seen (
    reader  BLOB    NOT NULL REFERENCES device ON DELETE CASCADE,
    device  BLOB    NOT NULL CHECK (length(device) = 16),
    seq     INTEGER NOT NULL,
    PRIMARY KEY (reader, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE state_snapshot (
    seat        BLOB    NOT NULL REFERENCES seat ON DELETE CASCADE,
    device      BLOB    NOT NULL CHECK (length(device) = 16),  -- who made it
    generation  INTEGER NOT NULL,  -- of the person key it is sealed under
    vector      BLOB    NOT NULL,  -- which batches of each device went into it
    body        BLOB    NOT NULL,  -- as signed
    PRIMARY KEY (seat, device)
) STRICT, WITHOUT ROWID;

ALTER TABLE seat ADD COLUMN state_bytes INTEGER NOT NULL DEFAULT 0 CHECK (state_bytes >= 0);
