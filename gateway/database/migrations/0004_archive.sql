-- The archive of a person: sealed segments in one chain. They have a room of their own, no end of
-- life, and no device can delete one.

ALTER TABLE seat ADD COLUMN archive_quota_bytes INTEGER NOT NULL DEFAULT 1073741824
    CHECK (archive_quota_bytes >= 0);  -- room that the owner gives it
ALTER TABLE seat ADD COLUMN archive_used_bytes INTEGER NOT NULL DEFAULT 0
    CHECK (archive_used_bytes >= 0);  -- sum over its segments

CREATE TABLE segment (
    number  INTEGER PRIMARY KEY,  -- SQLite's own; bodies are too large to lie in an index
    seat    BLOB    NOT NULL REFERENCES seat ON DELETE CASCADE,
    seq     INTEGER NOT NULL CHECK (seq >= 1),  -- its place in the chain
    head    BLOB    NOT NULL,  -- signed by the device that wrote it: wire/archive.py
    body    BLOB    NOT NULL,  -- sealed; empty: lost, and the head says what
    UNIQUE (seat, seq)
) STRICT;
