SET LOCAL lock_timeout = '5s';

-- A payment's whole life, in whatever asset its gateway takes. Amounts count the asset's smallest unit; a coin's may
-- have more digits than a bigint.
ALTER TABLE payments
    ALTER COLUMN price TYPE numeric(38, 0),
    ADD COLUMN asked_asset text,
    ADD COLUMN asked bigint,
    ADD COLUMN gateway_payment_id text,
    ADD COLUMN package_id text,
    ADD COLUMN details jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN received numeric(38, 0) NOT NULL DEFAULT 0,
    ADD COLUMN refunded numeric(38, 0) NOT NULL DEFAULT 0,
    ADD COLUMN confirmations integer,
    ADD COLUMN look_at timestamptz,
    DROP CONSTRAINT payments_status_check,
    ADD CONSTRAINT payments_status_check CHECK (status IN (
        'initiated', 'pending', 'confirmed', 'underpaid', 'overpaid', 'failed', 'expired',
        'partially_refunded', 'refunded', 'disputed', 'won', 'lost'));
UPDATE payments SET asked_asset = price_asset, asked = price;
ALTER TABLE payments ALTER COLUMN asked_asset SET NOT NULL, ALTER COLUMN asked SET NOT NULL;

CREATE INDEX payments_user ON payments (user_id, created_at DESC, id DESC);
-- When the gateway is to be asked again, or the payment expires: only what is still open has a time.
CREATE INDEX payments_look_at ON payments (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX payments_gateway_payment ON payments (gateway, gateway_payment_id);

-- What a person or their program said of a payment. Personal: it can be emptied without touching the history.
-- client_secret is Stripe's for the payer's browser.
CREATE TABLE payment_details (
    payment_id     text PRIMARY KEY REFERENCES payments (id),
    description    text,
    customer_email text,
    metadata       jsonb NOT NULL DEFAULT '{}',
    client_secret  text
);
GRANT SELECT, INSERT, UPDATE, DELETE ON payment_details TO payments_api_app;

-- Refunds that began here: the intent, stored before the gateway is asked, and asked again under the same id until the
-- outcome is known.
CREATE TABLE refunds (
    id                text PRIMARY KEY,
    payment_id        text NOT NULL REFERENCES payments (id),
    asset             text NOT NULL,
    amount            numeric(38, 0) NOT NULL CHECK (amount > 0),
    reason            text NOT NULL,
    state             text NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'accepted', 'refused')),
    gateway_refund_id text,
    refusal           text,
    attempts          integer NOT NULL DEFAULT 0,
    next_attempt_at   timestamptz NOT NULL,
    requested_by      text NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at        timestamptz,
    CHECK ((state = 'requested') = (settled_at IS NULL))
);
CREATE INDEX refunds_payment ON refunds (payment_id, created_at);
CREATE INDEX refunds_due ON refunds (next_attempt_at) WHERE state = 'requested';
GRANT SELECT, INSERT, UPDATE ON refunds TO payments_api_app;

-- A deployment that is bought by card: what is to be bought once the payment became credits.
CREATE TABLE card_purchases (
    payment_id    text PRIMARY KEY REFERENCES payments (id),
    deployment_id text NOT NULL UNIQUE,
    user_id       text NOT NULL,
    service_id    text NOT NULL,
    service_name  text NOT NULL,
    asset         text NOT NULL,
    price         bigint NOT NULL CHECK (price > 0),
    released_at   timestamptz
);
GRANT SELECT, INSERT, UPDATE ON card_purchases TO payments_api_app;
