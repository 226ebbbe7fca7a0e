-- What is set while kurs runs, and who changed what. Additive: a program of version 3 goes on
-- working beside it, and knows of no settings. Values are JSON.
CREATE TABLE settings (
    key text COLLATE "C" PRIMARY KEY CHECK (octet_length(key) BETWEEN 1 AND 256),
    value text NOT NULL CHECK (octet_length(value) <= 1048576),
    set_at timestamptz NOT NULL,
    who text NOT NULL CHECK (octet_length(who) <= 1024),
    why text CHECK (octet_length(why) <= 4096)
);

-- Grows with every change of the settings: whoever holds a copy asks for this.
CREATE TABLE setting_version (
    only_one integer PRIMARY KEY CHECK (only_one = 1),
    version bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO setting_version VALUES (1, 0);

-- The audit log. No role of kurs may change what is in it; the Writer may delete what is older
-- than its time.
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    who text NOT NULL CHECK (octet_length(who) <= 1024),
    address text CHECK (octet_length(address) <= 64),
    action text NOT NULL CHECK (octet_length(action) <= 64),
    subject text NOT NULL CHECK (octet_length(subject) <= 256),
    old_value text,
    new_value text,
    why text CHECK (octet_length(why) <= 4096)
);
CREATE INDEX audit_at ON audit (at);
