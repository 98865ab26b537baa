-- The newest record of each person key: sealed to the person's devices, of no use to anybody else.

CREATE TABLE person_key (
    seat        BLOB    NOT NULL REFERENCES seat ON DELETE CASCADE,
    generation  INTEGER NOT NULL,
    record      BLOB    NOT NULL,  -- as signed
    PRIMARY KEY (seat, generation)
) STRICT, WITHOUT ROWID;
