"""The tables in which this device keeps its keys; part of the phone's one file.

| table          | a row is                                                                     |
|----------------|------------------------------------------------------------------------------|
| own_keys       | one secret of our own: `seed`, `person`, `signing`, `exchange`, `person/<g>`, |
|                | `coming/<g>/…` until the card names it, and `recovery`, the public half of   |
|                | the recovery box key; `seen`, `seen/<id>`: which generation of the person    |
|                | key others know                                                              |
| pair_secrets   | S: what two persons took from one exchange                                   |
| box_keys       | a contact's public box key, as a card had it                                 |
| sessions       | one ratchet with one other device                                            |
| skipped_keys   | the key of a letter that has not come yet                                    |
| own_prekeys    | the secret half of a prekey that was handed out                              |
| prekey_ids     | the last id given to a prekey of a kind                                      |
| first_letters  | a set-up that was taken up: its like is refused until its prekey dies        |
| kept_bundles   | prekeys that a contact handed over in the exchange                           |
| sent_numbers   | how far we have counted towards a person, or a forgotten one by her hash      |
| senders        | how far another's device has counted, and from where we ask for what is      |
|                | missing                                                                      |
| received       | a number that has been opened                                                |
| gone           | numbers that their sender can send no more                                   |
| resets         | when we last asked a device to begin again                                   |

Secrets lie here in the clear: whoever reads the file is the person, until the screen lock's key can
seal it. Nothing of this table goes into a backup; a restored phone is a new device.
"""

from typing import Final

from peer import sqlite

SCHEMA: Final = """
CREATE TABLE own_keys (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE pair_secrets (
    person BLOB NOT NULL,
    transcript BLOB NOT NULL,            -- hash of the exchange: the lower one counts
    secret BLOB NOT NULL,
    made REAL NOT NULL,                  -- Unix seconds, as every time here
    PRIMARY KEY (person, transcript)
) STRICT, WITHOUT ROWID;
CREATE TABLE box_keys (
    person BLOB NOT NULL,
    generation INTEGER NOT NULL,
    public BLOB NOT NULL,
    made REAL NOT NULL,
    PRIMARY KEY (person, generation)
) STRICT, WITHOUT ROWID;
CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    person BLOB NOT NULL,
    device BLOB NOT NULL,                -- the other device's signing key
    transcript BLOB NOT NULL,
    set_up BLOB,                         -- repeated with each letter until the first answer
    state BLOB NOT NULL,
    made REAL NOT NULL,
    heard REAL,
    unanswered INTEGER NOT NULL,
    unsaid INTEGER NOT NULL,
    closed INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_of_device ON sessions (person, device);
CREATE TABLE skipped_keys (
    session BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    chain BLOB NOT NULL,
    number INTEGER NOT NULL,
    key BLOB NOT NULL,
    made REAL NOT NULL,
    UNIQUE (session, chain, number)
) STRICT;
CREATE TABLE own_prekeys (
    kind INTEGER NOT NULL,
    id INTEGER NOT NULL,
    secret BLOB NOT NULL,
    made REAL NOT NULL,
    retired REAL,                        -- when another took its place; NULL while it is current
    offered INTEGER NOT NULL,            -- whether it certainly lies at the gateway, or went out
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE prekey_ids (
    kind INTEGER PRIMARY KEY,
    last INTEGER NOT NULL                -- never used again: a gateway takes rising ids only
) STRICT;
CREATE TABLE first_letters (
    ephemeral BLOB PRIMARY KEY,          -- hash of the initiator's ephemeral key
    set_up BLOB NOT NULL,                -- hash of all of the set-up
    session BLOB NOT NULL,
    signed INTEGER NOT NULL              -- the signed prekey; the row dies with it
) STRICT, WITHOUT ROWID;
CREATE TABLE kept_bundles (
    person BLOB NOT NULL,
    device BLOB NOT NULL,
    bundle BLOB NOT NULL,                -- from the exchange: for the first letter
    made REAL NOT NULL,
    PRIMARY KEY (person, device)
) STRICT, WITHOUT ROWID;
CREATE TABLE sent_numbers (
    person BLOB PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE senders (
    person BLOB NOT NULL,
    device BLOB NOT NULL,
    floor INTEGER NOT NULL,              -- up to here nothing is asked for
    highest INTEGER NOT NULL,            -- the highest number seen, opened or not
    PRIMARY KEY (person, device)
) STRICT, WITHOUT ROWID;
CREATE TABLE received (
    person BLOB NOT NULL,
    device BLOB NOT NULL,
    number INTEGER NOT NULL,
    parcel BLOB NOT NULL,                -- hash of the body; empty: its item came by another
    made REAL NOT NULL,
    PRIMARY KEY (person, device, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE gone (
    person BLOB NOT NULL,
    device BLOB NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (person, device, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE resets (
    person BLOB NOT NULL,
    device BLOB NOT NULL,
    direction INTEGER NOT NULL,          -- 0: asked by us, 1: asked of us
    made REAL NOT NULL,
    PRIMARY KEY (person, device, direction)
) STRICT, WITHOUT ROWID;
"""

VERSION: Final = 1
"""Of these tables; the phone's file records it with its own."""


class Table:
    """One group of these tables; they change inside a transaction only."""

    def __init__(self, connection: sqlite.Connection) -> None:
        self._db = connection

    def _in_transaction(self) -> None:
        if not self._db.in_transaction:
            raise RuntimeError("keys change inside a transaction only")
