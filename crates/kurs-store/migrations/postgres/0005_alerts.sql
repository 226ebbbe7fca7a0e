-- Alerts, what is to be told to whom, and the chats of the bot. Additive: a program of version 4
-- goes on working beside it, and knows of no alerts. Conditions, states and bodies are JSON.
CREATE TABLE alerts (
    id text COLLATE "C" PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 64),
    name text CHECK (octet_length(name) <= 512),
    owner text NOT NULL CHECK (octet_length(owner) <= 1024),
    target text COLLATE "C" NOT NULL CHECK (octet_length(target) <= 2048),
    -- Bodies for this alert's target are signed with it, so it is kept as it is. Who only reads
    -- may not read it: see grants.sql.
    secret text CHECK (octet_length(secret) <= 256),
    condition text NOT NULL CHECK (octet_length(condition) <= 4096),
    is_paused boolean NOT NULL,
    created_at timestamptz NOT NULL,
    -- Grows with every change by people: a state that was made of an older one is not stored.
    revision bigint NOT NULL,
    state text NOT NULL CHECK (octet_length(state) <= 4096),
    fired bigint NOT NULL,
    fired_at timestamptz,
    -- Who asked for it, and with which Idempotency-Key.
    request text COLLATE "C" UNIQUE CHECK (octet_length(request) <= 2048)
);
CREATE INDEX alerts_target ON alerts (target);

-- Grows with every change of the alerts by people: whoever holds a copy asks for this.
CREATE TABLE alert_version (
    only_one integer PRIMARY KEY CHECK (only_one = 1),
    version bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO alert_version VALUES (1, 0);

-- The id is the idempotency key that the target sees.
CREATE TABLE alert_deliveries (
    id text COLLATE "C" PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 128),
    alert text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL CHECK (octet_length(target) <= 2048),
    body text NOT NULL CHECK (octet_length(body) <= 65536),
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL,
    done_at timestamptz,
    outcome text CHECK (octet_length(outcome) <= 64),
    error text CHECK (octet_length(error) <= 1024)
);
CREATE INDEX alert_deliveries_due ON alert_deliveries (due_at) WHERE done_at IS NULL;
CREATE INDEX alert_deliveries_alert ON alert_deliveries (alert, created_at);
CREATE INDEX alert_deliveries_done ON alert_deliveries (done_at) WHERE done_at IS NOT NULL;

-- Chats that have spoken to the bot.
CREATE TABLE chats (
    chat bigint PRIMARY KEY,
    language text NOT NULL CHECK (octet_length(language) <= 64),
    is_blocked boolean NOT NULL,
    updated_at timestamptz NOT NULL
);

-- The next update that a bot asks for.
CREATE TABLE bot_offsets (
    bot text COLLATE "C" PRIMARY KEY CHECK (octet_length(bot) BETWEEN 1 AND 64),
    next bigint NOT NULL
) WITH (fillfactor = 50);
