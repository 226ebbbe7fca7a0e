-- What the roles may do, said again after every migration, so that a role may be made at any
-- time. Roles that do not exist are passed over.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'kurs_writer') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO kurs_writer', current_schema());
        GRANT SELECT ON schema_migrations TO kurs_writer;
        GRANT SELECT, INSERT ON pairs, sources, official_rates TO kurs_writer;
        GRANT SELECT, INSERT, UPDATE
            ON lease, ended_epochs, recorded, meta, history_packed_to, published_packed_to
            TO kurs_writer;
        GRANT SELECT, INSERT, UPDATE ON api_keys TO kurs_writer;
        GRANT SELECT, UPDATE ON key_version, setting_version TO kurs_writer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON settings TO kurs_writer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON alerts, alert_deliveries, chats, bot_offsets
            TO kurs_writer;
        GRANT SELECT, UPDATE ON alert_version TO kurs_writer;
        -- What is in the audit log is never changed; DELETE is for what is older than its time.
        GRANT SELECT, INSERT, DELETE ON audit TO kurs_writer;
        -- UPDATE of the last two allows to lock them.
        GRANT SELECT, UPDATE ON packing, packing_turns TO kurs_writer;
        GRANT SELECT, INSERT, DELETE ON history, published, price_states, books, tracked
            TO kurs_writer;
        GRANT SELECT, INSERT, UPDATE, DELETE
            ON history_packed, published_packed, candles, gaps, current_rates, writers TO kurs_writer;
        GRANT EXECUTE ON FUNCTION kurs_make_partition(text, timestamptz) TO kurs_writer;
        GRANT EXECUTE ON FUNCTION kurs_drop_partition(text, timestamptz, timestamptz[], boolean)
            TO kurs_writer;
        GRANT EXECUTE ON FUNCTION kurs_fence(integer, bigint), kurs_release(integer, bigint, text),
            kurs_claim(integer, text, bigint, bigint, bigint, boolean),
            kurs_is_free(lease, text, boolean),
            kurs_renew(text, bigint, boolean, integer[], bigint[])
            TO kurs_writer;
        GRANT SELECT ON kurs_history, kurs_history_packed, kurs_published, kurs_published_packed,
            kurs_candles, kurs_official, kurs_gaps, kurs_states, kurs_current, kurs_leases TO kurs_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'kurs_reader') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO kurs_reader', current_schema());
        GRANT SELECT ON schema_migrations, pairs, sources, history, published, history_packed,
            published_packed, history_packed_to, published_packed_to, price_states, candles, gaps,
            books, official_rates, current_rates, tracked, lease, ended_epochs, writers,
            recorded, meta, api_keys, key_version, settings, setting_version, audit,
            alert_version, alert_deliveries
            TO kurs_reader;
        -- Everything but the secrets that bodies are signed with.
        GRANT SELECT (id, name, owner, target, condition, is_paused, created_at, revision, state,
            fired, fired_at) ON alerts TO kurs_reader;
        GRANT SELECT ON kurs_history, kurs_history_packed, kurs_published, kurs_published_packed,
            kurs_candles, kurs_official, kurs_gaps, kurs_states, kurs_current, kurs_leases TO kurs_reader;
    END IF;
END
$$;
