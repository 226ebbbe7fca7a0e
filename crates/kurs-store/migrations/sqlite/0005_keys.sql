-- API keys: hashes, never the keys themselves. Additive: a program of version 4 goes on working
-- beside it, and knows of no keys. Times are microseconds since 1970.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 64),
    environment TEXT NOT NULL CHECK (length(CAST(environment AS BLOB)) <= 64),
    name TEXT NOT NULL CHECK (length(CAST(name AS BLOB)) <= 256),
    scopes TEXT NOT NULL CHECK (length(CAST(scopes AS BLOB)) <= 256),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    replaced_by TEXT,
    used_at INTEGER
) STRICT, WITHOUT ROWID;

-- Grows with every change of the keys but that of `used_at`: whoever holds a copy asks for this.
CREATE TABLE key_version (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO key_version VALUES (1, 0);
