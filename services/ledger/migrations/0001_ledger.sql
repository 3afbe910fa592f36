SET LOCAL lock_timeout = '5s';

-- The log. Its table is the one of the eventsourcing library, plus when each event was recorded and a hash per stream.
CREATE TABLE stored_events (
    originator_id text NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    notification_id bigserial NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    prev_hash bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (originator_id, originator_version)
);
CREATE UNIQUE INDEX stored_events_notification_id_idx ON stored_events (notification_id);

CREATE FUNCTION refuse_change_of_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'stored events are append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER stored_events_keep_rows BEFORE UPDATE OR DELETE ON stored_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_history();
CREATE TRIGGER stored_events_keep_table BEFORE TRUNCATE ON stored_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();

-- Every effect's name, for ever.
CREATE TABLE command_references (
    reference text PRIMARY KEY,
    stream text NOT NULL,
    version bigint NOT NULL,
    content_hash bytea NOT NULL
);

-- Latest states, written in the transaction that appends their events.
CREATE TABLE wallets (
    user_id text PRIMARY KEY,
    spendable bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    total_purchased bigint NOT NULL DEFAULT 0,
    total_spent bigint NOT NULL DEFAULT 0,
    total_refunded bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 0,
    head_hash bytea NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE charges (
    deployment_id text PRIMARY KEY,
    user_id text NOT NULL,
    service_name text NOT NULL,
    amount bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('held', 'captured', 'released', 'refunded')),
    commission bigint NOT NULL,
    grid_payment bigint NOT NULL
) WITH (fillfactor = 70);

-- Only payments that were ever unallocated or reversed have a row; a purchase alone is told by its event.
CREATE TABLE payments (
    payment_key text PRIMARY KEY,
    gateway text NOT NULL,
    payment_id text NOT NULL,
    payment_reference text,
    received numeric(38, 0) NOT NULL,
    asset text NOT NULL,
    paid_at text NOT NULL,
    user_id text,
    credits bigint NOT NULL,
    bonus bigint NOT NULL,
    refunded numeric(38, 0) NOT NULL,
    refunded_before numeric(38, 0) NOT NULL,
    credits_taken bigint NOT NULL,
    bonus_taken bigint NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX payments_unallocated_idx ON payments (payment_reference) WHERE user_id IS NULL;

CREATE TABLE quotes (
    payment_reference text PRIMARY KEY,
    user_id text NOT NULL,
    price numeric(38, 0) NOT NULL,
    asset text NOT NULL,
    credits bigint NOT NULL,
    bonus bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    used boolean NOT NULL
);

-- Answers to requests that carried an idempotency key.
CREATE TABLE idempotency_keys (
    key text PRIMARY KEY,
    body_hash bytea NOT NULL,
    status smallint,
    body bytea,
    expires_at timestamptz NOT NULL
);
CREATE INDEX idempotency_keys_expires_at_idx ON idempotency_keys (expires_at);

-- The journal, projected from the log.
CREATE TABLE journal_postings (
    account text NOT NULL,
    position bigint NOT NULL,
    line smallint NOT NULL,
    asset text NOT NULL,
    amount numeric(38, 0) NOT NULL,
    reference text NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (account, position, line)
);
CREATE TABLE account_balances (
    account text NOT NULL,
    asset text NOT NULL,
    posted numeric(38, 0) NOT NULL,
    PRIMARY KEY (account, asset)
) WITH (fillfactor = 70);
CREATE TABLE projection_checkpoints (
    name text PRIMARY KEY,
    position bigint NOT NULL
);

GRANT SELECT, INSERT ON stored_events, command_references TO ledger_app;
GRANT USAGE ON SEQUENCE stored_events_notification_id_seq TO ledger_app;
GRANT SELECT, INSERT, UPDATE ON wallets, charges, payments, quotes, account_balances, projection_checkpoints TO ledger_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO ledger_app;
GRANT SELECT, INSERT ON journal_postings TO ledger_app;

-- next_offset is the truth of how far a group came in this service; the bus's own is a hint. The epoch grows with
-- every change of hands: who still writes with an older one is a zombie, and moves nothing.
CREATE TABLE consumer_offsets (
    consumer_group text NOT NULL,
    topic          text NOT NULL,
    partition      integer NOT NULL,
    next_offset    bigint,
    owner          text NOT NULL,
    owner_epoch    bigint NOT NULL,
    claimed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer_group, topic, partition)
) WITH (fillfactor = 20);

-- Ids of messages whose effect is in this database. Parked and waiting messages have no row: they had no effect yet.
CREATE TABLE inbox (
    message_id     uuid NOT NULL,
    consumer_group text NOT NULL,
    received_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (message_id, consumer_group)
);

-- A few bytes per thousand rows, enough to find the old ones: rows arrive in order of time.
CREATE INDEX inbox_received_at ON inbox USING brin (received_at);

GRANT SELECT, INSERT, UPDATE ON consumer_offsets TO ledger_app;
GRANT SELECT, INSERT, DELETE ON inbox TO ledger_app;

-- Whoever appends holds the outbox lane to the commit (chassis.outbox.enqueue): position order is commit order.

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

GRANT SELECT, INSERT, DELETE ON outbox TO ledger_app;
GRANT SELECT, INSERT, UPDATE ON relay_positions TO ledger_app;

CREATE TABLE dead_letters (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer_group text NOT NULL,
    topic          text NOT NULL,
    partition      integer NOT NULL,
    "offset"       bigint NOT NULL,
    key            bytea NOT NULL,
    value          bytea NOT NULL,
    headers        bytea NOT NULL,
    message_id     text,
    message_type   text,
    reason         text NOT NULL,
    detail         text NOT NULL,
    status         text NOT NULL DEFAULT 'parked' CHECK (status IN ('parked', 'redriven', 'discarded')),
    parked_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at     timestamptz,
    settled_by     text,
    CHECK ((status = 'parked') = (settled_at IS NULL))
);

CREATE INDEX dead_letters_parked ON dead_letters (id) WHERE status = 'parked';

GRANT SELECT, INSERT, UPDATE ON dead_letters TO ledger_app;

CREATE TABLE waiting_messages (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer_group  text NOT NULL,
    waits_for       text NOT NULL,
    message_id      uuid NOT NULL,
    topic           text NOT NULL,
    partition       integer NOT NULL,
    "offset"        bigint NOT NULL,
    timestamp_ms    bigint NOT NULL,
    key             bytea NOT NULL,
    value           bytea NOT NULL,
    headers         bytea NOT NULL,
    attempts        integer NOT NULL DEFAULT 1,
    held_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_attempt_at timestamptz NOT NULL,
    UNIQUE (consumer_group, message_id)
);

CREATE INDEX waiting_messages_key ON waiting_messages (consumer_group, waits_for);
CREATE INDEX waiting_messages_due ON waiting_messages (consumer_group, next_attempt_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON waiting_messages TO ledger_app;
