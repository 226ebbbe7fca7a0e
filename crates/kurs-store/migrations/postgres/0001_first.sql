-- Names that occur in every row, as small numbers. A number never changes its meaning; source 0
-- is kurs itself. Deliberately without foreign keys to them: numbers come from these tables, and
-- a check per row costs two look-ups.
CREATE TABLE pairs (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE sources (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);

-- Every rate as received from a source, a partition per day (UTC). The key serves the scan of one
-- source of one pair by receive time, and makes a repeated row harmless. Columns are in the order
-- that wastes no bytes on alignment.
CREATE TABLE history (
    received_at timestamptz NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    pair integer NOT NULL,
    source integer NOT NULL,
    shard integer NOT NULL,
    value numeric NOT NULL,
    bid numeric,
    ask numeric,
    observed_at timestamptz,
    PRIMARY KEY (pair, source, received_at, shard, epoch, seq)
) PARTITION BY RANGE (received_at);

-- Every published event, a partition per day (UTC).
CREATE TABLE published (
    published_at timestamptz NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    pair integer NOT NULL,
    shard integer NOT NULL,
    event json NOT NULL,
    PRIMARY KEY (pair, published_at, shard, epoch, seq)
) PARTITION BY RANGE (published_at);

-- Old rows of `history`, many to a block, a partition per month (UTC). Blocks of one pair and
-- source are numbered in the order of their rows and do not overlap. The form of `block` is that
-- of packed/rows.rs; it is compressed already.
CREATE TABLE history_packed (
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    number bigint NOT NULL,
    pair integer NOT NULL,
    source integer NOT NULL,
    row_count integer NOT NULL CHECK (row_count > 0),
    block bytea NOT NULL,
    PRIMARY KEY (pair, source, last_at, number)
) PARTITION BY RANGE (last_at);

-- Finds the block that holds a moment.
CREATE INDEX history_packed_first ON history_packed (pair, source, first_at, number);

ALTER TABLE history_packed ALTER COLUMN block SET STORAGE EXTERNAL;

-- The same for `published`: see packed/events.rs.
CREATE TABLE published_packed (
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    number bigint NOT NULL,
    pair integer NOT NULL,
    row_count integer NOT NULL CHECK (row_count > 0),
    block bytea NOT NULL,
    PRIMARY KEY (pair, last_at, number)
) PARTITION BY RANGE (last_at);

CREATE INDEX published_packed_first ON published_packed (pair, first_at, number);

ALTER TABLE published_packed ALTER COLUMN block SET STORAGE EXTERNAL;

-- The last packed place of each series: only rows behind it are packed, so blocks never overlap.
CREATE TABLE history_packed_to (
    pair integer NOT NULL,
    source integer NOT NULL,
    last_at timestamptz NOT NULL,
    shard integer NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (pair, source)
);

CREATE TABLE published_packed_to (
    pair integer PRIMARY KEY,
    last_at timestamptz NOT NULL,
    shard integer NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    number bigint NOT NULL
);

-- Rows before the horizon may be packed, later ones are not. Who stores rows holds this table in
-- ROW SHARE mode until its commit, who moves a horizon holds it in EXCLUSIVE mode: so a row that
-- was stored as later than the horizon is never looked for in blocks that are made meanwhile.
CREATE TABLE packing (
    kind text PRIMARY KEY,
    horizon timestamptz NOT NULL
);

INSERT INTO packing VALUES ('history', '-infinity'), ('published', '-infinity');

-- Its rows are locks: of packing itself, and of storing what came late.
CREATE TABLE packing_turns (
    kind text PRIMARY KEY
);

INSERT INTO packing_turns VALUES ('history'), ('published');

-- Changes of a source's state for a pair.
CREATE TABLE price_states (
    at timestamptz NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    pair integer NOT NULL,
    source integer NOT NULL,
    shard integer NOT NULL,
    state text NOT NULL CHECK (state IN ('live', 'stale', 'syncing', 'down')),
    why text NOT NULL,
    PRIMARY KEY (pair, source, at, shard, epoch, seq)
);

-- Candles, a partition per length; the short ones again by time. `seconds` is the length;
-- `origin` is 0 for live and 1 for backfilled.
CREATE TABLE candles (
    start timestamptz NOT NULL,
    tick_count bigint NOT NULL,
    pair integer NOT NULL,
    source integer NOT NULL,
    seconds integer NOT NULL,
    origin smallint NOT NULL CHECK (origin IN (0, 1)),
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    PRIMARY KEY (pair, source, seconds, start, origin)
) PARTITION BY LIST (seconds);

CREATE TABLE candles_1s PARTITION OF candles FOR VALUES IN (1) PARTITION BY RANGE (start);
CREATE TABLE candles_1m PARTITION OF candles FOR VALUES IN (60) PARTITION BY RANGE (start);
CREATE TABLE candles_5m PARTITION OF candles FOR VALUES IN (300) PARTITION BY RANGE (start);
CREATE TABLE candles_1h PARTITION OF candles FOR VALUES IN (3600);
CREATE TABLE candles_1d PARTITION OF candles FOR VALUES IN (86400);

-- When nothing usable came. `ended` is null while it goes on.
CREATE TABLE gaps (
    pair integer NOT NULL,
    source integer NOT NULL,
    began timestamptz NOT NULL,
    ended timestamptz,
    why text NOT NULL,
    is_filled boolean NOT NULL,
    PRIMARY KEY (pair, source, began)
);

CREATE INDEX gaps_began ON gaps (began);

-- Order books from time to time, a partition per day (UTC). `levels` is in the form of
-- packed/book.rs.
CREATE TABLE books (
    at timestamptz NOT NULL,
    pair integer NOT NULL,
    source integer NOT NULL,
    levels bytea NOT NULL,
    PRIMARY KEY (pair, source, at)
) PARTITION BY RANGE (at);

-- A bank's rate of a day, in all its versions. `day` is the begin of the day (UTC).
CREATE TABLE official_rates (
    day timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    pair integer NOT NULL,
    source integer NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    value numeric NOT NULL,
    PRIMARY KEY (pair, source, day, version)
);

-- The last published rate of each pair, for cold starts. Rows are replaced in place.
CREATE TABLE current_rates (
    pair integer PRIMARY KEY,
    shard integer NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    rate json NOT NULL
) WITH (fillfactor = 50);

-- Symbols that users asked kurs to follow.
CREATE TABLE tracked (
    symbol text PRIMARY KEY,
    pair text NOT NULL,
    added_at timestamptz NOT NULL
);

-- The epoch of the last Writer of each shard.
CREATE TABLE lease (
    shard integer PRIMARY KEY,
    epoch bigint NOT NULL CHECK (epoch > 0)
);

-- Up to when everything that a shard published is stored.
CREATE TABLE recorded (
    shard integer PRIMARY KEY,
    until timestamptz NOT NULL
);

-- Single facts, such as whether the configured pairs were put in.
CREATE TABLE meta (
    name text PRIMARY KEY,
    value text NOT NULL
);

-- Clocks that are wrong by centuries must not make a partition per day, nor lose rows.
CREATE TABLE history_early PARTITION OF history FOR VALUES FROM (MINVALUE) TO ('2000-01-01T00:00:00Z');
CREATE TABLE history_late PARTITION OF history FOR VALUES FROM ('2200-01-01T00:00:00Z') TO (MAXVALUE);
CREATE TABLE published_early PARTITION OF published FOR VALUES FROM (MINVALUE) TO ('2000-01-01T00:00:00Z');
CREATE TABLE published_late PARTITION OF published FOR VALUES FROM ('2200-01-01T00:00:00Z') TO (MAXVALUE);
CREATE TABLE history_packed_early PARTITION OF history_packed FOR VALUES FROM (MINVALUE) TO ('2000-01-01T00:00:00Z');
CREATE TABLE history_packed_late PARTITION OF history_packed FOR VALUES FROM ('2200-01-01T00:00:00Z') TO (MAXVALUE);
CREATE TABLE published_packed_early PARTITION OF published_packed FOR VALUES FROM (MINVALUE) TO ('2000-01-01T00:00:00Z');
CREATE TABLE published_packed_late PARTITION OF published_packed FOR VALUES FROM ('2200-01-01T00:00:00Z') TO (MAXVALUE);
CREATE TABLE candles_1s_early PARTITION OF candles_1s FOR VALUES FROM (MINVALUE) TO ('2000-01-01T00:00:00Z');
CREATE TABLE candles_1s_late PARTITION OF candles_1s FOR VALUES FROM ('2200-01-01T00:00:00Z') TO (MAXVALUE);
CREATE TABLE candles_1m_early PARTITION OF candles_1m FOR VALUES FROM (MINVALUE) TO ('2000-01-01T00:00:00Z');
CREATE TABLE candles_1m_late PARTITION OF candles_1m FOR VALUES FROM ('2200-01-01T00:00:00Z') TO (MAXVALUE);
CREATE TABLE candles_5m_early PARTITION OF candles_5m FOR VALUES FROM (MINVALUE) TO ('2000-01-01T00:00:00Z');
CREATE TABLE candles_5m_late PARTITION OF candles_5m FOR VALUES FROM ('2200-01-01T00:00:00Z') TO (MAXVALUE);
CREATE TABLE books_early PARTITION OF books FOR VALUES FROM (MINVALUE) TO ('2000-01-01T00:00:00Z');
CREATE TABLE books_late PARTITION OF books FOR VALUES FROM ('2200-01-01T00:00:00Z') TO (MAXVALUE);

-- How long a partition of each table is; refuses any other table.
CREATE FUNCTION kurs_partition_unit(parent text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT
AS $$
BEGIN
    CASE parent
        WHEN 'history', 'published', 'candles_1s', 'books' THEN RETURN 'day';
        WHEN 'history_packed', 'published_packed', 'candles_1m', 'candles_5m' THEN RETURN 'month';
        ELSE RAISE EXCEPTION '% has no partitions by time', parent;
    END CASE;
END
$$;

-- Makes the partition that holds `moment`, if it is missing. Readers and writers go on meanwhile:
-- a table that is attached locks nobody out. With the rights of its owner, so that who only
-- writes rows needs no right to make tables.
CREATE FUNCTION kurs_make_partition(parent text, moment timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '2s'
AS $$
DECLARE
    unit text := kurs_partition_unit(parent);
    first_local timestamp := date_trunc(unit, moment AT TIME ZONE 'UTC');
    first timestamptz := first_local AT TIME ZONE 'UTC';
    next timestamptz := (first_local + ('1 ' || unit)::interval) AT TIME ZONE 'UTC';
    name text;
BEGIN
    IF moment < '2000-01-01T00:00:00Z' OR moment >= '2200-01-01T00:00:00Z' THEN
        RETURN false;
    END IF;
    name := parent || '_' || to_char(first_local, CASE unit WHEN 'day' THEN 'YYYYMMDD' ELSE 'YYYYMM' END);
    IF to_regclass(quote_ident(name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- Two at once take turns here; the mode is the one that attaching takes anyway.
    EXECUTE format('LOCK TABLE ONLY %I IN SHARE UPDATE EXCLUSIVE MODE', parent);
    IF to_regclass(quote_ident(name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', name, parent);
    EXECUTE format(
        'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        parent, name, first, next
    );
    RETURN true;
END
$$;

-- Drops the oldest partition that lies wholly before `before` and holds none of the moments to
-- `spare`; with `only_empty`, the oldest such one without rows. Gives how many rows went, about,
-- or null when there is no such partition. Waits only a moment for its lock: who waits for an
-- exclusive lock holds up everybody behind it.
CREATE FUNCTION kurs_drop_partition(
    parent text, before timestamptz, spare timestamptz[], only_empty boolean
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '200ms'
AS $$
DECLARE
    unit text := kurs_partition_unit(parent);
    most constant bigint := 100000;
    child record;
    first_local timestamp;
    first timestamptz;
    next timestamptz;
    found_rows bigint;
BEGIN
    FOR child IN
        SELECT c.oid, c.relname::text AS name, greatest(c.reltuples, 0)::bigint AS about
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass(quote_ident(parent))
          AND c.relname ~ (CASE unit WHEN 'day' THEN '_[0-9]{8}$' ELSE '_[0-9]{6}$' END)
        ORDER BY c.relname COLLATE "C"
    LOOP
        first_local := to_date(
            substring(child.name FROM '[0-9]+$'),
            CASE unit WHEN 'day' THEN 'YYYYMMDD' ELSE 'YYYYMM' END
        )::timestamp;
        first := first_local AT TIME ZONE 'UTC';
        next := (first_local + ('1 ' || unit)::interval) AT TIME ZONE 'UTC';
        EXIT WHEN next > before;
        CONTINUE WHEN EXISTS (SELECT FROM unnest(spare) AS s(at) WHERE s.at >= first AND s.at < next);
        IF only_empty THEN
            EXECUTE format('SELECT count(*) FROM (SELECT 1 FROM %I LIMIT 1) probe', child.name)
                INTO found_rows;
            CONTINUE WHEN found_rows > 0;
            -- Once more when nobody can store a row any more. Parents first, as everybody does.
            EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', parent);
            EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', child.name);
        END IF;
        EXECUTE format('SELECT count(*) FROM (SELECT 1 FROM %I LIMIT %s) probe', child.name, most)
            INTO found_rows;
        CONTINUE WHEN only_empty AND found_rows > 0;
        EXECUTE format('DROP TABLE %I', child.name);
        RETURN CASE WHEN found_rows < most THEN found_rows ELSE greatest(most, child.about) END;
    END LOOP;
    RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION kurs_partition_unit(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION kurs_make_partition(text, timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION kurs_drop_partition(text, timestamptz, timestamptz[], boolean) FROM PUBLIC;

-- For people and their tools. Programs use the tables.

CREATE VIEW kurs_history AS
SELECT p.name AS pair, s.name AS source, h.value, h.bid, h.ask, h.observed_at, h.received_at,
       h.shard, h.epoch, h.seq
FROM history h JOIN pairs p ON p.id = h.pair JOIN sources s ON s.id = h.source;

CREATE VIEW kurs_history_packed AS
SELECT p.name AS pair, s.name AS source, b.first_at, b.last_at, b.row_count,
       length(b.block) AS bytes
FROM history_packed b JOIN pairs p ON p.id = b.pair JOIN sources s ON s.id = b.source;

CREATE VIEW kurs_published AS
SELECT p.name AS pair, e.published_at, e.event ->> 'kind' AS kind,
       (e.event -> 'data' ->> 'value')::numeric AS value,
       (e.event -> 'data' ->> 'bid')::numeric AS bid,
       (e.event -> 'data' ->> 'ask')::numeric AS ask,
       e.event -> 'data' ->> 'source' AS source,
       e.event -> 'data' ->> 'state' AS state,
       e.event -> 'data' AS data, e.shard, e.epoch, e.seq
FROM published e JOIN pairs p ON p.id = e.pair;

CREATE VIEW kurs_published_packed AS
SELECT p.name AS pair, b.first_at, b.last_at, b.row_count, length(b.block) AS bytes
FROM published_packed b JOIN pairs p ON p.id = b.pair;

CREATE VIEW kurs_candles AS
SELECT p.name AS pair, coalesce(s.name, 'kurs') AS source, c.seconds, c.start,
       c.open, c.high, c.low, c.close, c.tick_count,
       CASE c.origin WHEN 0 THEN 'live' ELSE 'backfill' END AS origin
FROM candles c JOIN pairs p ON p.id = c.pair LEFT JOIN sources s ON s.id = c.source;

CREATE VIEW kurs_official AS
SELECT s.name AS source, p.name AS pair, (o.day AT TIME ZONE 'UTC')::date AS day, o.version,
       o.value, o.seen_at
FROM official_rates o JOIN pairs p ON p.id = o.pair JOIN sources s ON s.id = o.source;

CREATE VIEW kurs_gaps AS
SELECT s.name AS source, p.name AS pair, g.began, g.ended, g.why, g.is_filled
FROM gaps g JOIN pairs p ON p.id = g.pair JOIN sources s ON s.id = g.source;

CREATE VIEW kurs_states AS
SELECT s.name AS source, p.name AS pair, c.at, c.state, c.why, c.shard, c.epoch, c.seq
FROM price_states c JOIN pairs p ON p.id = c.pair JOIN sources s ON s.id = c.source;

CREATE VIEW kurs_current AS
SELECT p.name AS pair, (c.rate ->> 'value')::numeric AS value, c.rate ->> 'source' AS source,
       c.rate ->> 'published_at' AS published_at, c.rate, c.shard, c.epoch, c.seq
FROM current_rates c JOIN pairs p ON p.id = c.pair;
