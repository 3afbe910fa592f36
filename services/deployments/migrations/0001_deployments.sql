-- The deployments service's database: its event store, what every service has for messages, the queue of grid work,
-- and one row per deployment for whoever reads.
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

GRANT SELECT, INSERT ON stored_events TO deployments_app;
GRANT USAGE ON SEQUENCE stored_events_notification_id_seq TO deployments_app;
GRANT SELECT, INSERT, UPDATE ON projection_checkpoints TO deployments_app;

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

GRANT SELECT, INSERT, DELETE ON outbox TO deployments_app;
GRANT SELECT, INSERT, UPDATE ON relay_positions TO deployments_app;

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

GRANT SELECT, INSERT, UPDATE ON consumer_offsets TO deployments_app;
GRANT SELECT, INSERT, DELETE ON inbox TO deployments_app;

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

GRANT SELECT, INSERT, UPDATE ON dead_letters TO deployments_app;

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

GRANT SELECT, INSERT, UPDATE, DELETE ON waiting_messages TO deployments_app;

-- What shall be done on the grid. Whoever takes a job raises its epoch, and every write of a worker checks it: one
-- that lost its lease changes nothing. Times are this server's.
CREATE TABLE grid_jobs (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment_id   text NOT NULL,
    status          text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'done')),
    attempts        integer NOT NULL DEFAULT 0,
    run_after       timestamptz NOT NULL DEFAULT clock_timestamp(),
    deadline_at     timestamptz NOT NULL,
    lease_epoch     bigint NOT NULL DEFAULT 0,
    lease_owner     text,
    lease_until     timestamptz,
    teardown_reason text,
    last_error      text,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at     timestamptz,
    CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CHECK ((status = 'done') = (finished_at IS NOT NULL)),
    CHECK (status = 'open' OR lease_owner IS NULL)
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX grid_jobs_one_open ON grid_jobs (deployment_id) WHERE status = 'open';
CREATE INDEX grid_jobs_due ON grid_jobs (run_after) WHERE status = 'open';

-- The latest state of each deployment, written in the transaction of its events. Amounts count the asset's smallest
-- unit; both parts are null for one that was rejected, of which nothing was taken.
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
    grid_deployment_id text,
    connection_details jsonb,
    error_message      text,
    version            bigint NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    CHECK (commission + grid_payment = amount)
);

CREATE INDEX deployments_user ON deployments (user_id, created_at);

GRANT SELECT, INSERT, UPDATE ON grid_jobs, deployments TO deployments_app;
