-- The database of payments-api: its event store (payments), what every service has for messages, people's sessions,
-- purchases until their outcome is known, and what people see.
SET LOCAL lock_timeout = '5s';

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

CREATE TABLE projection_checkpoints (
    name text PRIMARY KEY,
    position bigint NOT NULL
);

GRANT SELECT, INSERT ON stored_events TO payments_api_app;
GRANT USAGE ON SEQUENCE stored_events_notification_id_seq TO payments_api_app;
GRANT SELECT, INSERT, UPDATE ON projection_checkpoints TO payments_api_app;

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

GRANT SELECT, INSERT, DELETE ON outbox TO payments_api_app;
GRANT SELECT, INSERT, UPDATE ON relay_positions TO payments_api_app;

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

GRANT SELECT, INSERT, UPDATE ON consumer_offsets TO payments_api_app;
GRANT SELECT, INSERT, DELETE ON inbox TO payments_api_app;

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

GRANT SELECT, INSERT, UPDATE ON dead_letters TO payments_api_app;

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

GRANT SELECT, INSERT, UPDATE, DELETE ON waiting_messages TO payments_api_app;

-- Who is signed in. The token itself is nowhere: only its SHA-256.
CREATE TABLE sessions (
    token_hash bytea PRIMARY KEY,
    user_id    text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX sessions_expires_at ON sessions (expires_at);

GRANT SELECT, INSERT, DELETE ON sessions TO payments_api_app;

-- A person's "same request": what was asked (as a hash) and what it made. `answer` is the stored answer where it cannot
-- be told again from what was made.
CREATE TABLE idempotency_keys (
    user_id      text NOT NULL,
    key          text NOT NULL,
    request_hash bytea NOT NULL,
    subject_id   text NOT NULL,
    answer       bytea,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (user_id, key)
);

CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO payments_api_app;

-- The latest state of each payment, written in the transaction of its events. Amounts count the asset's smallest unit.
CREATE TABLE payments (
    id             text PRIMARY KEY,
    user_id        text NOT NULL,
    reference      text NOT NULL UNIQUE,
    gateway        text NOT NULL,
    price_asset    text NOT NULL,
    price          bigint NOT NULL CHECK (price > 0),
    credit_asset   text NOT NULL,
    credits        bigint NOT NULL CHECK (credits > 0),
    bonus          bigint NOT NULL CHECK (bonus >= 0),
    status         text NOT NULL CHECK (status IN ('initiated', 'failed', 'confirmed', 'refunded')),
    payment_url    text,
    credited       bigint,
    failure_reason text,
    expires_at     timestamptz NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    version        bigint NOT NULL
);

GRANT SELECT, INSERT, UPDATE ON payments TO payments_api_app;

-- The purchase process: the intent, stored before the ledger is asked, and asked again under the same key until the
-- outcome is known. `required`, `available` and `wallet_version` are the ledger's words at a refusal.
CREATE TABLE purchases (
    deployment_id   text PRIMARY KEY,
    user_id         text NOT NULL,
    service_id      text NOT NULL,
    service_name    text NOT NULL,
    asset           text NOT NULL,
    price           bigint NOT NULL CHECK (price > 0),
    state           text NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'charged', 'refused')),
    required        bigint,
    available       bigint,
    wallet_version  bigint,
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at      timestamptz,
    CHECK ((state = 'requested') = (settled_at IS NULL)),
    CHECK ((state = 'refused') = (required IS NOT NULL AND available IS NOT NULL))
);

CREATE INDEX purchases_due ON purchases (next_attempt_at) WHERE state = 'requested';

GRANT SELECT, INSERT, UPDATE ON purchases TO payments_api_app;

-- Deployments as people see them: from the intent at once, then from what the deployments service says. `status_at` is
-- the time of the message that set the status; null as long as only the intent did.
CREATE TABLE deployments (
    id                 text PRIMARY KEY,
    user_id            text NOT NULL,
    service_id         text NOT NULL,
    service_name       text NOT NULL,
    asset              text NOT NULL,
    amount             bigint NOT NULL CHECK (amount > 0),
    commission         bigint,
    grid_payment       bigint,
    status             text NOT NULL CHECK (status IN ('queued', 'provisioning', 'active', 'failed', 'unknown')),
    status_at          timestamptz,
    grid_deployment_id text,
    connection_details jsonb,
    error_message      text,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (commission + grid_payment = amount)
);

CREATE INDEX deployments_user ON deployments (user_id, created_at DESC, id DESC);

GRANT SELECT, INSERT, UPDATE, DELETE ON deployments TO payments_api_app;

-- The newest wallet that was told of, so that an older one is never told after it.
CREATE TABLE wallets_told (
    user_id text PRIMARY KEY,
    version bigint NOT NULL
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE ON wallets_told TO payments_api_app;

-- What people's browsers hear. Whoever appends holds a lane to the commit: id order is commit order.
CREATE TABLE live_events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    text NOT NULL,
    kind       text NOT NULL,
    data       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX live_events_user ON live_events (user_id, id);

-- One row: up to which id events were forgotten.
CREATE TABLE live_events_horizon (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    pruned   bigint NOT NULL DEFAULT 0
);
INSERT INTO live_events_horizon DEFAULT VALUES;

GRANT SELECT, INSERT, DELETE ON live_events TO payments_api_app;
GRANT SELECT, UPDATE ON live_events_horizon TO payments_api_app;
