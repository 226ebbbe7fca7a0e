-- Who may write, for how long, and what of an ended epoch belongs to the history; current rates
-- with the end of their validity on the clock of this machine. Additive: a program of version 3
-- goes on working beside it. Times are microseconds since 1970. A lease that an earlier version
-- left behind has run out.
ALTER TABLE lease ADD COLUMN writer TEXT NOT NULL DEFAULT '' CHECK (length(CAST(writer AS BLOB)) <= 64);
ALTER TABLE lease ADD COLUMN expires_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lease ADD COLUMN is_released INTEGER NOT NULL DEFAULT 0 CHECK (is_released IN (0, 1));
ALTER TABLE lease ADD COLUMN heir TEXT CHECK (length(CAST(heir AS BLOB)) <= 64);

-- Epochs that ended. What was made after `heard_seq`, or from `ended_at` on where that is NULL,
-- was accepted by nobody. The greatest number there is as `ended_at`: all of it was.
CREATE TABLE ended_epochs (
    shard INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    heard_seq INTEGER,
    ended_at INTEGER NOT NULL,
    PRIMARY KEY (shard, epoch)
) STRICT, WITHOUT ROWID;

-- Writers that said something lately.
CREATE TABLE writers (
    name TEXT PRIMARY KEY CHECK (length(CAST(name AS BLOB)) <= 64),
    is_ready INTEGER NOT NULL CHECK (is_ready IN (0, 1)),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- NULL where an earlier version wrote it: then the rate itself says how long it is valid.
ALTER TABLE current_rates ADD COLUMN valid_until INTEGER;
ALTER TABLE current_rates ADD COLUMN stored_at INTEGER NOT NULL DEFAULT 0;
