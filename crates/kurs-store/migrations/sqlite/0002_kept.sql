-- What was published, candles, states, gaps, order books, official rates; and compressed blocks
-- of the two great tables. Additive: a program of version 1 goes on working beside it.

-- Every published event. `published_at` is in milliseconds since 1970, `event` is JSON. The rows
-- are long, so they live apart from their keys.
CREATE TABLE published (
    pair INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    event TEXT NOT NULL
) STRICT;

-- Serves pages, and the last event at a moment.
CREATE UNIQUE INDEX published_place ON published (pair, published_at, shard, epoch, seq);
-- A repeated event is harmless whatever else it says.
CREATE UNIQUE INDEX published_id ON published (pair, shard, epoch, seq);

-- Old rows of `history`, many to a block: see packed/rows.rs. The blocks of one pair and source
-- do not overlap: each holds the rows from its first place (received_at, shard, epoch, seq) to
-- its last one, and only rows behind the last packed place are packed.
CREATE TABLE history_packed (
    pair INTEGER NOT NULL,
    source INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    first_shard INTEGER NOT NULL,
    first_epoch INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    last_shard INTEGER NOT NULL,
    last_epoch INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    row_count INTEGER NOT NULL CHECK (row_count > 0),
    block BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX history_packed_place
ON history_packed (pair, source, first_at, first_shard, first_epoch, first_seq);

-- The same for `published`: see packed/events.rs. Times are in milliseconds.
CREATE TABLE published_packed (
    pair INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    first_shard INTEGER NOT NULL,
    first_epoch INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    last_shard INTEGER NOT NULL,
    last_epoch INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    row_count INTEGER NOT NULL CHECK (row_count > 0),
    block BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX published_packed_place
ON published_packed (pair, first_at, first_shard, first_epoch, first_seq);

-- Changes of a source's state for a pair. Times are microseconds since 1970.
CREATE TABLE price_states (
    pair INTEGER NOT NULL,
    source INTEGER NOT NULL,
    at INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'stale', 'syncing', 'down')),
    why TEXT NOT NULL,
    PRIMARY KEY (pair, source, at, shard, epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX price_states_id ON price_states (pair, source, shard, epoch, seq);

-- Candles. `source` 0 is kurs itself: what it published. `interval_s` and `start_s` are seconds;
-- `origin` is 0 for live and 1 for backfilled. `prices` holds open, high, low and close exactly,
-- in the form of packed/candle.rs.
CREATE TABLE candles (
    pair INTEGER NOT NULL,
    source INTEGER NOT NULL,
    interval_s INTEGER NOT NULL,
    start_s INTEGER NOT NULL,
    origin INTEGER NOT NULL CHECK (origin IN (0, 1)),
    tick_count INTEGER NOT NULL,
    prices BLOB NOT NULL,
    PRIMARY KEY (pair, source, interval_s, start_s, origin)
) STRICT, WITHOUT ROWID;

-- When nothing usable came. `ended` is NULL while it goes on.
CREATE TABLE gaps (
    pair INTEGER NOT NULL,
    source INTEGER NOT NULL,
    began INTEGER NOT NULL,
    ended INTEGER,
    why TEXT NOT NULL,
    is_filled INTEGER NOT NULL CHECK (is_filled IN (0, 1)),
    PRIMARY KEY (pair, source, began)
) STRICT, WITHOUT ROWID;

CREATE INDEX gaps_began ON gaps (began);

-- Order books from time to time. `levels` is in the form of packed/book.rs.
CREATE TABLE books (
    pair INTEGER NOT NULL,
    source INTEGER NOT NULL,
    at INTEGER NOT NULL,
    levels BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX books_place ON books (pair, source, at);

-- A bank's rate of a day, in all its versions. `day` is the begin of the day, in microseconds.
CREATE TABLE official_rates (
    pair INTEGER NOT NULL,
    source INTEGER NOT NULL,
    day INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    value TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (pair, source, day, version)
) STRICT, WITHOUT ROWID;

-- Up to when everything that a shard published is stored.
CREATE TABLE recorded (
    shard INTEGER PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT;
