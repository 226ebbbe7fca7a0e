-- What is set while kurs runs, and who changed what. Additive: a program of version 5 goes on
-- working beside it, and knows of no settings. Times are microseconds since 1970; values are JSON.
CREATE TABLE settings (
    key TEXT PRIMARY KEY CHECK (length(CAST(key AS BLOB)) BETWEEN 1 AND 256),
    value TEXT NOT NULL CHECK (length(CAST(value AS BLOB)) <= 1048576),
    set_at INTEGER NOT NULL,
    who TEXT NOT NULL CHECK (length(CAST(who AS BLOB)) <= 1024),
    why TEXT CHECK (length(CAST(why AS BLOB)) <= 4096)
) STRICT, WITHOUT ROWID;

-- Grows with every change of the settings: whoever holds a copy asks for this.
CREATE TABLE setting_version (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO setting_version VALUES (1, 0);

-- The audit log. A number is never given twice, and nothing in it is ever changed.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    who TEXT NOT NULL CHECK (length(CAST(who AS BLOB)) <= 1024),
    address TEXT CHECK (length(CAST(address AS BLOB)) <= 64),
    action TEXT NOT NULL CHECK (length(CAST(action AS BLOB)) <= 64),
    subject TEXT NOT NULL CHECK (length(CAST(subject AS BLOB)) <= 256),
    old_value TEXT,
    new_value TEXT,
    why TEXT CHECK (length(CAST(why AS BLOB)) <= 4096)
) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'what is in the audit log is never changed');
END;
