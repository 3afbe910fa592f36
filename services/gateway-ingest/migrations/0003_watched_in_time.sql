-- What is watched is asked for with every block: by what is watched now, never by all that ever was.
SET LOCAL lock_timeout = '5s';

CREATE INDEX deposits_not_confirmed ON deposits (network, match_key) WHERE state <> 'confirmed';

-- How far a network was scanned at what time, one mark for each few minutes and kept for days: whoever hears of an
-- address late (a service was away for hours) must look again at blocks that `chain_blocks` has long forgotten.
CREATE TABLE chain_marks (
    network   text NOT NULL,
    period    timestamptz NOT NULL,
    number    bigint NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (network, period)
);
GRANT SELECT, INSERT, DELETE ON chain_marks TO gateway_ingest_app;
