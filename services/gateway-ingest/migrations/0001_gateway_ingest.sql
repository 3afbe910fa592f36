SET LOCAL lock_timeout = '5s';

-- Every genuine webhook, as it came, encrypted; with what we made of it. Never changed, never deleted.
CREATE TABLE raw_events (
    position     bigint GENERATED ALWAYS AS IDENTITY,
    gateway      text NOT NULL,
    event_id     text NOT NULL,
    -- Empty for what came first under this id; the content's hash for what says something else.
    variant      bytea NOT NULL,
    event_type   text NOT NULL,
    verdict      text NOT NULL CHECK (verdict IN ('published', 'ignored', 'quarantined')),
    reason       text,
    content_hash bytea NOT NULL,
    received_at  timestamptz NOT NULL,
    key_id       text NOT NULL,
    body         bytea NOT NULL,
    PRIMARY KEY (gateway, event_id, variant),
    CHECK ((verdict = 'published') = (reason IS NULL))
);
-- Ciphertext does not compress; trying costs time.
ALTER TABLE raw_events ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX raw_events_quarantined_idx ON raw_events (position) WHERE verdict = 'quarantined';

CREATE FUNCTION refuse_change_of_raw_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'raw events are append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER raw_events_keep_rows BEFORE UPDATE OR DELETE ON raw_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_raw_events();
CREATE TRIGGER raw_events_keep_table BEFORE TRUNCATE ON raw_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_raw_events();

-- What is to be published. Appended under the outbox lane: position order is commit order.
CREATE TABLE outbox (
    position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text NOT NULL,
    key         bytea NOT NULL CHECK (key <> ''),
    value       bytea NOT NULL,
    headers     bytea NOT NULL,
    enqueued_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE relay_positions (
    name     text PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 20);

GRANT SELECT, INSERT ON raw_events TO gateway_ingest_app;
GRANT SELECT, INSERT, DELETE ON outbox TO gateway_ingest_app;
GRANT SELECT, INSERT, UPDATE ON relay_positions TO gateway_ingest_app;
