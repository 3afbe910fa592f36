SET LOCAL lock_timeout = '5s';

-- Attempts to pay that failed, by the message that told of them: append-only. payment_intent_id is the gateway's id of
-- the payment; payment_id, asset and amount are of the payment that began here, if one did.
CREATE TABLE failed_payments (
    id                text PRIMARY KEY,
    gateway           text NOT NULL,
    payment_intent_id text NOT NULL,
    payment_id        text REFERENCES payments (id),
    reference         text,
    user_id           text,
    asset             text,
    amount            numeric(38, 0),
    reason_code       text NOT NULL,
    failure_reason    text NOT NULL,
    is_over           boolean NOT NULL,
    created_at        timestamptz NOT NULL,
    CHECK ((asset IS NULL) = (amount IS NULL))
);
CREATE INDEX failed_payments_page ON failed_payments (created_at DESC, id DESC);
GRANT SELECT, INSERT ON failed_payments TO payments_api_app;

-- One row per dispute at a gateway, fed by the gateway's words and by the ledger's, in whatever order they come.
-- told_at is when the gateway last told of amount and reason, booked_at when the ledger last told of credits,
-- status_at when the status that stands was reached.
CREATE TABLE disputes (
    gateway           text NOT NULL,
    dispute_id        text NOT NULL,
    payment_intent_id text NOT NULL,
    asset             text NOT NULL,
    amount            numeric(38, 0) NOT NULL,
    reason            text,
    status            text NOT NULL CHECK (status IN ('needs_response', 'won', 'lost')),
    status_at         timestamptz NOT NULL,
    payment_id        text REFERENCES payments (id),
    reference         text,
    user_id           text,
    credit_asset      text,
    credits           bigint,
    told_at           timestamptz,
    booked_at         timestamptz,
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (gateway, dispute_id),
    CHECK ((credit_asset IS NULL) = (credits IS NULL))
);
CREATE INDEX disputes_page ON disputes (created_at DESC, gateway DESC, dispute_id DESC);
GRANT SELECT, INSERT, UPDATE ON disputes TO payments_api_app;
