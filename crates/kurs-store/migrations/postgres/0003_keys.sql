-- API keys: hashes, never the keys themselves. Additive: a program of version 2 goes on working
-- beside it, and knows of no keys.
CREATE TABLE api_keys (
    id text COLLATE "C" PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 64),
    environment text NOT NULL CHECK (octet_length(environment) <= 64),
    name text NOT NULL CHECK (octet_length(name) <= 256),
    scopes text NOT NULL CHECK (octet_length(scopes) <= 256),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    replaced_by text,
    used_at timestamptz
);

-- Grows with every change of the keys but that of `used_at`: whoever holds a copy asks for this.
CREATE TABLE key_version (
    only_one integer PRIMARY KEY CHECK (only_one = 1),
    version bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO key_version VALUES (1, 0);
