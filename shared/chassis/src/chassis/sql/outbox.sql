-- Canonical text of the outbox and the relays' positions; a service's first migration repeats it with its role for {app}.
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

GRANT SELECT, INSERT, DELETE ON outbox TO {app};
GRANT SELECT, INSERT, UPDATE ON relay_positions TO {app};
