-- After a restore a seat opens only to devices that were confirmed again as at pairing. What is
-- handed out bears a checksum, for SQLite keeps none: a disk that turns a bit says nothing of it.

ALTER TABLE device ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 1 CHECK (confirmed IN (0, 1));
ALTER TABLE parcel ADD COLUMN checksum INTEGER;  -- NULL: stored before there was one
