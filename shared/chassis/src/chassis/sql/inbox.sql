-- Canonical text of the inbox and the consumers' offsets; a service's migrations add up to it, with its role for {app}.

-- next_offset is the truth of how far a group came in this service; the bus's own is a hint. The epoch grows with
-- every change of hands: who still writes with an older one is a zombie, and moves nothing. last_record is the mark of
-- the record before next_offset, by which its log is told from another one of the same name.
CREATE TABLE consumer_offsets (
    consumer_group text NOT NULL,
    topic          text NOT NULL,
    partition      integer NOT NULL,
    next_offset    bigint,
    owner          text NOT NULL,
    owner_epoch    bigint NOT NULL,
    claimed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_record    text,
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

GRANT SELECT, INSERT, UPDATE ON consumer_offsets TO {app};
GRANT SELECT, INSERT, DELETE ON inbox TO {app};
