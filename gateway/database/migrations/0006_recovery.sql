-- The gateway's share of a recovery seed, and who has asked for it. The share alone opens nothing.

CREATE TABLE recovery_share (
    seat       BLOB NOT NULL PRIMARY KEY REFERENCES seat ON DELETE CASCADE,
    proof_key  BLOB NOT NULL CHECK (length(proof_key) = 32),  -- a hash of the friends' secret
    share      BLOB NOT NULL,  -- goes out after 72 hours
    notice     BLOB NOT NULL UNIQUE CHECK (length(notice) = 16)  -- what keepers show to be told
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_request (
    request       BLOB    NOT NULL PRIMARY KEY CHECK (length(request) = 16),  -- random
    seat          BLOB    NOT NULL REFERENCES seat ON DELETE CASCADE,
    exchange_key  BLOB    NOT NULL CHECK (length(exchange_key) = 32),  -- of the device that asks
    lost          BLOB    NOT NULL,  -- ids of devices that may not stop it, one after the other
    release_at    REAL    NOT NULL,
    cancelled     INTEGER NOT NULL DEFAULT 0 CHECK (cancelled IN (0, 1)),
    forget_at     REAL    NOT NULL,
    UNIQUE (seat, exchange_key)
) STRICT, WITHOUT ROWID;
