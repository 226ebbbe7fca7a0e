-- Who may write, for how long, and what of an ended epoch belongs to the history; current rates
-- with the end of their validity. All times are of the clock of this server, whatever the clocks
-- of the programs say. Additive: a program of version 1 goes on working beside it. A lease that
-- an earlier version left behind has run out.
ALTER TABLE lease
    ADD COLUMN writer text NOT NULL DEFAULT '' CHECK (octet_length(writer) <= 64),
    ADD COLUMN expires_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN is_released boolean NOT NULL DEFAULT false,
    ADD COLUMN heir text CHECK (octet_length(heir) <= 64);

-- Epochs that ended. What was made after `heard_seq`, or from `ended_at` on where that is null,
-- was accepted by nobody. `ended_at` is infinity where all of it was.
CREATE TABLE ended_epochs (
    shard integer NOT NULL,
    epoch bigint NOT NULL,
    heard_seq bigint,
    ended_at timestamptz NOT NULL,
    PRIMARY KEY (shard, epoch)
);

-- Writers that said something lately.
CREATE TABLE writers (
    name text COLLATE "C" PRIMARY KEY CHECK (octet_length(name) <= 64),
    is_ready boolean NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- `valid_until` is null where an earlier version wrote it: then the rate itself says how long it
-- is valid. No index on `stored_at`: rows could not be replaced in place any more.
ALTER TABLE current_rates
    ADD COLUMN valid_until timestamptz,
    ADD COLUMN stored_at timestamptz NOT NULL DEFAULT '-infinity';

-- True when this epoch of the shard is the present one, which it then stays until the end of the
-- transaction; else the transaction fails with an own code. True without a shard.
--
-- Who calls this commits in the same message: a client that is stopped between two messages must
-- not hold a lock on the lease, or nobody could take over.
CREATE FUNCTION kurs_fence(of_shard integer, of_epoch bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '1s'
AS $$
BEGIN
    IF of_shard IS NULL THEN
        RETURN true;
    END IF;
    PERFORM FROM lease l
        WHERE l.shard = of_shard AND l.epoch = of_epoch AND NOT l.is_released FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'epoch % of shard % is not the present one', of_epoch, of_shard
            USING ERRCODE = 'KURS1';
    END IF;
    RETURN true;
END
$$;

-- Takes a lease if it is free, and closes the epoch before; gives the new epoch, or null. Looks
-- before it waits for the lock: a lease that somebody holds is told from a free one at once.
CREATE FUNCTION kurs_claim(
    of_shard integer, by_writer text, ttl_us bigint, heard_epoch bigint, heard_seq bigint,
    is_alone boolean
) RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '1s'
AS $$
DECLARE
    ttl interval := ttl_us * interval '1 microsecond';
    old lease;
BEGIN
    INSERT INTO lease (shard, epoch, writer, expires_at)
        SELECT of_shard, 1, by_writer, clock_timestamp() + ttl
        WHERE NOT EXISTS (SELECT FROM lease l WHERE l.shard = of_shard)
        ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN 1;
    END IF;
    SELECT * INTO old FROM lease l WHERE l.shard = of_shard;
    IF NOT kurs_is_free(old, by_writer, is_alone) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO old FROM lease l WHERE l.shard = of_shard FOR UPDATE;
    IF NOT kurs_is_free(old, by_writer, is_alone) THEN
        RETURN NULL;
    END IF;
    INSERT INTO ended_epochs VALUES (
        of_shard, old.epoch,
        CASE WHEN heard_epoch = old.epoch AND NOT is_alone THEN heard_seq END,
        CASE WHEN is_alone THEN 'infinity' ELSE clock_timestamp() END
    ) ON CONFLICT DO NOTHING;
    UPDATE lease l
        SET epoch = old.epoch + 1, writer = by_writer, expires_at = clock_timestamp() + ttl,
            is_released = false, heir = NULL
        WHERE l.shard = of_shard;
    RETURN old.epoch + 1;
END
$$;

-- Never locks, and asks for the time anew: a lease may have been renewed while a lock was waited
-- for.
CREATE FUNCTION kurs_is_free(held lease, for_writer text, is_alone boolean) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $$
    SELECT is_alone OR held.expires_at <= clock_timestamp()
        OR held.is_released AND coalesce(held.heir = for_writer, true)
$$;

-- A Writer lives, and keeps these leases. Gives all leases, and the living Writers as rows
-- without a shard.
CREATE FUNCTION kurs_renew(
    of_writer text, ttl_us bigint, ready boolean, shards integer[], epochs bigint[]
) RETURNS TABLE (
    shard integer, epoch bigint, writer text, is_ready boolean, is_released boolean, heir text,
    left_us bigint
)
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    ttl interval := ttl_us * interval '1 microsecond';
    moment timestamptz;
BEGIN
    INSERT INTO writers AS w (name, is_ready, expires_at)
        VALUES (of_writer, ready, clock_timestamp() + ttl)
        ON CONFLICT (name) DO UPDATE
        SET is_ready = excluded.is_ready, expires_at = clock_timestamp() + ttl;
    UPDATE lease l SET expires_at = clock_timestamp() + ttl
        FROM unnest(shards, epochs) AS held (shard, epoch)
        WHERE l.shard = held.shard AND l.epoch = held.epoch AND NOT l.is_released;
    DELETE FROM writers w WHERE w.name IN (
        SELECT o.name FROM writers o
        WHERE o.expires_at < clock_timestamp() - interval '1 minute' FOR UPDATE SKIP LOCKED);
    moment := clock_timestamp();
    RETURN QUERY
        SELECT l.shard, l.epoch, l.writer, NULL::boolean, l.is_released, l.heir,
            CASE WHEN l.expires_at > moment
                THEN (extract(epoch FROM l.expires_at - moment) * 1000000)::bigint ELSE 0 END
        FROM lease l ORDER BY l.shard;
    RETURN QUERY
        SELECT NULL::integer, NULL::bigint, w.name::text, w.is_ready, NULL::boolean, NULL::text,
            NULL::bigint
        FROM writers w WHERE w.expires_at > moment ORDER BY w.name;
END
$$;

-- Gives a lease back; false when this epoch is not the present one.
CREATE FUNCTION kurs_release(of_shard integer, of_epoch bigint, to_heir text) RETURNS boolean
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '1s'
AS $$
BEGIN
    UPDATE lease l SET is_released = true, heir = to_heir
        WHERE l.shard = of_shard AND l.epoch = of_epoch;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO ended_epochs VALUES (of_shard, of_epoch, NULL, 'infinity') ON CONFLICT DO NOTHING;
    RETURN true;
END
$$;

REVOKE ALL ON FUNCTION kurs_fence(integer, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION kurs_claim(integer, text, bigint, bigint, bigint, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION kurs_is_free(lease, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION kurs_renew(text, bigint, boolean, integer[], bigint[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION kurs_release(integer, bigint, text) FROM PUBLIC;

-- For people and their tools.
CREATE VIEW kurs_leases AS
SELECT l.shard, l.epoch, l.writer, l.is_released, l.heir,
       greatest(l.expires_at - clock_timestamp(), interval '0') AS left
FROM lease l;
