-- Canonical text of the early messages; a service's first migration repeats it with its role for {app}.

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

GRANT SELECT, INSERT, UPDATE, DELETE ON waiting_messages TO {app};
