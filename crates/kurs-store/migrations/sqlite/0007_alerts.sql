-- Alerts, what is to be told to whom, and the chats of the bot. Additive: a program of version 6
-- goes on working beside it, and knows of no alerts. Times are microseconds since 1970; conditions,
-- states and bodies are JSON.
CREATE TABLE alerts (
    id TEXT PRIMARY KEY CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 64),
    name TEXT CHECK (length(CAST(name AS BLOB)) <= 512),
    owner TEXT NOT NULL CHECK (length(CAST(owner AS BLOB)) <= 1024),
    target TEXT NOT NULL CHECK (length(CAST(target AS BLOB)) <= 2048),
    -- Bodies for this alert's target are signed with it, so it is kept as it is.
    secret TEXT CHECK (length(CAST(secret AS BLOB)) <= 256),
    condition TEXT NOT NULL CHECK (length(CAST(condition AS BLOB)) <= 4096),
    is_paused INTEGER NOT NULL CHECK (is_paused IN (0, 1)),
    created_at INTEGER NOT NULL,
    -- Grows with every change by people: a state that was made of an older one is not stored.
    revision INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (length(CAST(state AS BLOB)) <= 4096),
    fired INTEGER NOT NULL,
    fired_at INTEGER,
    -- Who asked for it, and with which Idempotency-Key.
    request TEXT UNIQUE CHECK (length(CAST(request AS BLOB)) <= 2048)
) STRICT, WITHOUT ROWID;
CREATE INDEX alerts_target ON alerts (target);

-- Grows with every change of the alerts by people: whoever holds a copy asks for this.
CREATE TABLE alert_version (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO alert_version VALUES (1, 0);

-- The id is the idempotency key that the target sees.
CREATE TABLE alert_deliveries (
    id TEXT PRIMARY KEY CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 128),
    alert TEXT NOT NULL,
    target TEXT NOT NULL CHECK (length(CAST(target AS BLOB)) <= 2048),
    body TEXT NOT NULL CHECK (length(CAST(body AS BLOB)) <= 65536),
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    done_at INTEGER,
    outcome TEXT CHECK (length(CAST(outcome AS BLOB)) <= 64),
    error TEXT CHECK (length(CAST(error AS BLOB)) <= 1024)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_deliveries_due ON alert_deliveries (due_at) WHERE done_at IS NULL;
CREATE INDEX alert_deliveries_alert ON alert_deliveries (alert, created_at);
CREATE INDEX alert_deliveries_done ON alert_deliveries (done_at) WHERE done_at IS NOT NULL;

-- Chats that have spoken to the bot.
CREATE TABLE chats (
    chat INTEGER PRIMARY KEY,
    language TEXT NOT NULL CHECK (length(CAST(language AS BLOB)) <= 64),
    is_blocked INTEGER NOT NULL CHECK (is_blocked IN (0, 1)),
    updated_at INTEGER NOT NULL
) STRICT;

-- The next update that a bot asks for.
CREATE TABLE bot_offsets (
    bot TEXT PRIMARY KEY CHECK (length(CAST(bot AS BLOB)) BETWEEN 1 AND 64),
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
