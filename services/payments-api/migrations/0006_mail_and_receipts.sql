SET LOCAL lock_timeout = '5s';

-- Receipts are numbered without gaps, per year. Whoever takes a number holds its year's row to the commit; a
-- transaction that fails gives its number back.
CREATE TABLE receipt_years (
    year        integer PRIMARY KEY,
    last_number integer NOT NULL CHECK (last_number > 0)
);
GRANT SELECT, INSERT, UPDATE ON receipt_years TO payments_api_app;

-- One per payment, made when it is first credited; the seller and the tax rate as they were then. Nothing of the buyer
-- stands here: who paid is told by payments and payment_details.
CREATE TABLE receipts (
    year           integer NOT NULL REFERENCES receipt_years (year),
    number         integer NOT NULL CHECK (number > 0),
    payment_id     text NOT NULL UNIQUE REFERENCES payments (id),
    issued_at      timestamptz NOT NULL,
    seller_name    text NOT NULL,
    seller_address text NOT NULL,
    seller_tax_id  text,
    tax_rate       numeric NOT NULL CHECK (tax_rate >= 0 AND tax_rate < 1),
    PRIMARY KEY (year, number)
);
GRANT SELECT, INSERT ON receipts TO payments_api_app;

-- What came and what it bought: one line, or several where coins come in pieces. Amounts count smallest units.
CREATE TABLE receipt_lines (
    payment_id         text NOT NULL REFERENCES receipts (payment_id),
    gateway_payment_id text NOT NULL,
    credited_at        timestamptz NOT NULL,
    received_asset     text NOT NULL,
    received           numeric(38, 0) NOT NULL CHECK (received >= 0),
    credit_asset       text NOT NULL,
    credits            bigint NOT NULL CHECK (credits >= 0),
    PRIMARY KEY (payment_id, gateway_payment_id)
);
GRANT SELECT, INSERT ON receipt_lines TO payments_api_app;

-- Mails to be sent, written with what they tell of. facts are the template's words. Personal, for the address: rows are
-- forgotten after a while. A mail that is neither sent nor given up is due.
CREATE TABLE mails (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind            text NOT NULL CHECK (kind IN ('failed', 'credited')),
    payment_id      text NOT NULL REFERENCES payments (id),
    dedupe_key      text NOT NULL UNIQUE,
    recipient       text NOT NULL,
    facts           jsonb NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at         timestamptz,
    given_up_at     timestamptz,
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_error      text,
    CHECK (sent_at IS NULL OR given_up_at IS NULL)
);
CREATE INDEX mails_due ON mails (next_attempt_at) WHERE sent_at IS NULL AND given_up_at IS NULL;
CREATE INDEX mails_created ON mails (created_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON mails TO payments_api_app;
