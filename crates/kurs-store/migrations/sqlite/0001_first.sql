-- Names that occur in every row, as small numbers. A number never changes its meaning.
CREATE TABLE pairs (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE sources (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Every rate as received from a source. The primary key serves the scan of one source of one
-- pair by receive time (all sources of a pair are merged by the reader); the unique index makes
-- a repeated row harmless whatever else it says. Times are microseconds since 1970. `price`
-- holds value, bid, ask and observation time exactly, in the form of sqlite/codec.rs.
-- Deliberately without foreign keys: the numbers come from the two tables above in the same
-- transaction, and a check per row costs two look-ups.
CREATE TABLE history (
    pair INTEGER NOT NULL,
    source INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    price BLOB NOT NULL,
    PRIMARY KEY (pair, source, received_at, shard, epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX history_id ON history (pair, source, shard, epoch, seq);

-- The last published rate of each pair, for cold starts. `rate` is JSON.
CREATE TABLE current_rates (
    pair INTEGER PRIMARY KEY REFERENCES pairs (id),
    shard INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    rate TEXT NOT NULL
) STRICT;

-- Symbols that users asked kurs to follow.
CREATE TABLE tracked (
    symbol TEXT PRIMARY KEY,
    pair TEXT NOT NULL,
    added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The epoch of the last Writer of each shard.
CREATE TABLE lease (
    shard INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL CHECK (epoch > 0)
) STRICT;

-- Single facts, such as whether the configured pairs were put in.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
