SET LOCAL lock_timeout = '5s';

-- The bus as a log in PostgreSQL. Only relays append; consumers read forward.

CREATE TABLE topics (
    name       text PRIMARY KEY,
    partitions integer NOT NULL CHECK (partitions BETWEEN 1 AND 1024),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The log's bounds survive pruning, so that offsets never start again. next_offset is also what pollers look at.
CREATE TABLE partitions (
    topic        text NOT NULL REFERENCES topics (name),
    partition    integer NOT NULL,
    start_offset bigint NOT NULL DEFAULT 0,
    next_offset  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, partition),
    CHECK (0 <= start_offset AND start_offset <= next_offset)
) WITH (fillfactor = 20);

-- No foreign key: it would cost a lookup per record, and only the append writes here.
CREATE TABLE records (
    topic       text NOT NULL,
    partition   integer NOT NULL,
    "offset"    bigint NOT NULL,
    key         bytea NOT NULL,
    value       bytea NOT NULL,
    headers     bytea NOT NULL,
    size_bytes  integer NOT NULL,
    appended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition, "offset")
);

CREATE TABLE groups (
    name       text PRIMARY KEY,
    generation bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);

-- A member lives as long as its lease, by this server's clock.
CREATE TABLE group_members (
    group_name  text NOT NULL REFERENCES groups (name),
    member      text NOT NULL,
    topics      text[] NOT NULL,
    lease_until timestamptz NOT NULL,
    joined_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (group_name, member)
) WITH (fillfactor = 20);

-- target: who should hold the partition; holder: who does. The epoch counts the changes of hands.
CREATE TABLE group_partitions (
    group_name text NOT NULL REFERENCES groups (name),
    topic      text NOT NULL,
    partition  integer NOT NULL,
    target     text,
    holder     text,
    epoch      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (group_name, topic, partition),
    FOREIGN KEY (topic, partition) REFERENCES partitions (topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE committed_offsets (
    group_name   text NOT NULL REFERENCES groups (name),
    topic        text NOT NULL,
    partition    integer NOT NULL,
    next_offset  bigint NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (group_name, topic, partition),
    FOREIGN KEY (topic, partition) REFERENCES partitions (topic, partition)
) WITH (fillfactor = 20);

GRANT SELECT, INSERT ON topics TO bus_app;
GRANT SELECT, INSERT, UPDATE ON partitions TO bus_app;
GRANT SELECT, INSERT, DELETE ON records TO bus_app;
GRANT SELECT, INSERT, UPDATE ON groups TO bus_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON group_members TO bus_app;
GRANT SELECT, INSERT, UPDATE ON group_partitions TO bus_app;
GRANT SELECT, INSERT, UPDATE ON committed_offsets TO bus_app;
