-- Coins: addresses that are watched, deposits, how far each network was scanned; and what every consumer has, since this
-- service now hears of payments that were begun.
SET LOCAL lock_timeout = '5s';

-- The place where coins for one payment are awaited. `match_key` is what is found in blocks: an address in lower case, a
-- script in hex. `caught_up` is false until blocks were looked at that came after people were told, before we were.
CREATE TABLE watched_addresses (
    network       text NOT NULL,
    match_key     text NOT NULL,
    address       text NOT NULL,
    reference     text NOT NULL,
    payment_id    text NOT NULL,
    user_id       text NOT NULL,
    is_quoted     boolean NOT NULL,
    token         text,
    asset         text NOT NULL,
    price         numeric(78, 0) NOT NULL,
    confirmations integer NOT NULL CHECK (confirmations >= 0),
    told_at       timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    watch_until   timestamptz NOT NULL,
    caught_up     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (network, match_key)
);
CREATE INDEX watched_addresses_until ON watched_addresses (network, watch_until);
CREATE INDEX watched_addresses_payment ON watched_addresses (payment_id);

-- How far a network was scanned, and which process scans it now.
CREATE TABLE chain_heads (
    network      text PRIMARY KEY,
    number       bigint,
    hash         text,
    watched_by   text NOT NULL,
    watched_till timestamptz NOT NULL,
    CHECK ((number IS NULL) = (hash IS NULL))
) WITH (fillfactor = 20);

-- Blocks that were scanned lately, so that a fork is seen and its beginning found.
CREATE TABLE chain_blocks (
    network    text NOT NULL,
    number     bigint NOT NULL,
    hash       text NOT NULL,
    scanned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (network, number)
);

CREATE TABLE deposits (
    network            text NOT NULL,
    tx                 text NOT NULL,
    place              text NOT NULL,
    match_key          text NOT NULL,
    reference          text NOT NULL,
    currency           text NOT NULL,
    exponent           integer NOT NULL,
    units              numeric(78, 0) NOT NULL CHECK (units >= 0),
    required           integer NOT NULL CHECK (required > 0),
    state              text NOT NULL CHECK (state IN ('unconfirmed', 'confirmed', 'withdrawn')),
    seen_at            timestamptz,
    block_number       bigint,
    block_hash         text,
    block_time         timestamptz,
    fork               text,
    forks              integer NOT NULL,
    told_confirmations integer NOT NULL,
    news               integer NOT NULL,
    untold             boolean NOT NULL,
    changed_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (network, tx, place),
    CHECK ((block_number IS NULL) = (block_hash IS NULL)),
    CHECK (state <> 'confirmed' OR block_hash IS NOT NULL)
);
CREATE INDEX deposits_unconfirmed ON deposits (network) WHERE state = 'unconfirmed';
CREATE INDEX deposits_untold ON deposits (network, changed_at) WHERE untold;
CREATE INDEX deposits_blocks ON deposits (network, block_number) WHERE block_number IS NOT NULL;
CREATE INDEX deposits_reference ON deposits (reference);

GRANT SELECT, INSERT, UPDATE ON watched_addresses TO gateway_ingest_app;
GRANT SELECT, INSERT, UPDATE ON chain_heads TO gateway_ingest_app;
GRANT SELECT, INSERT, DELETE ON chain_blocks TO gateway_ingest_app;
GRANT SELECT, INSERT, UPDATE ON deposits TO gateway_ingest_app;

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

GRANT SELECT, INSERT, UPDATE ON consumer_offsets TO gateway_ingest_app;
GRANT SELECT, INSERT, DELETE ON inbox TO gateway_ingest_app;

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

GRANT SELECT, INSERT, UPDATE ON dead_letters TO gateway_ingest_app;

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

GRANT SELECT, INSERT, UPDATE, DELETE ON waiting_messages TO gateway_ingest_app;
