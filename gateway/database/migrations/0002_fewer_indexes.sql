-- What is remembered of deposits is found by lane alone: one index less to write for each parcel.
-- How much it is, is counted on the lane.

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
