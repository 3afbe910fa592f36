-- Canonical text of the dead letters; a service's first migration repeats it with its role for {app}.

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

GRANT SELECT, INSERT, UPDATE ON dead_letters TO {app};
