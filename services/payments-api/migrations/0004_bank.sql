SET LOCAL lock_timeout = '5s';

-- Transfers that an operator or a statement says arrived. The id is made of the bank's own reference and is what the
-- books know the money by: kept here before gateway-ingest is told, and told again until told_at is set.
CREATE TABLE bank_receipts (
    id             text PRIMARY KEY,
    payment_id     text NOT NULL REFERENCES payments (id),
    bank_reference text NOT NULL,
    asset          text NOT NULL,
    units          numeric(38, 0) NOT NULL CHECK (units > 0),
    value_date     date,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    told_at        timestamptz
);
CREATE INDEX bank_receipts_payment ON bank_receipts (payment_id);
CREATE INDEX bank_receipts_untold ON bank_receipts (created_at) WHERE told_at IS NULL;
GRANT SELECT, INSERT, UPDATE ON bank_receipts TO payments_api_app;

-- Transfers that were sent back at the bank, told as receipts are. The id is made of the bank's reference of that
-- transfer.
CREATE TABLE bank_returns (
    id             text PRIMARY KEY,
    receipt_id     text NOT NULL REFERENCES bank_receipts (id),
    bank_reference text NOT NULL,
    units          numeric(38, 0) NOT NULL CHECK (units > 0),
    reason         text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    told_at        timestamptz
);
CREATE INDEX bank_returns_receipt ON bank_returns (receipt_id);
CREATE INDEX bank_returns_untold ON bank_returns (created_at) WHERE told_at IS NULL;
GRANT SELECT, INSERT, UPDATE ON bank_returns TO payments_api_app;

-- Incoming lines of imported statements. The id is a hash of what identifies the line, so that importing it again
-- finds it; receipt_id is what its money would be known by. Text and payer are personal: they can be emptied.
CREATE TABLE bank_entries (
    id             text PRIMARY KEY,
    receipt_id     text NOT NULL,
    account        text NOT NULL,
    bank_reference text NOT NULL,
    booked_on      date NOT NULL,
    value_date     date,
    asset          text NOT NULL,
    units          numeric(38, 0) NOT NULL CHECK (units > 0),
    remittance     text NOT NULL,
    payer          text NOT NULL,
    state          text NOT NULL CHECK (state IN ('open', 'accepted', 'dismissed')),
    payment_id     text REFERENCES payments (id),
    note           text,
    imported_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at     timestamptz,
    CHECK ((state = 'accepted') = (payment_id IS NOT NULL)),
    CHECK ((state = 'open') = (settled_at IS NULL))
);
CREATE INDEX bank_entries_state ON bank_entries (state, booked_on DESC, id DESC);
CREATE INDEX bank_entries_receipt ON bank_entries (receipt_id);
GRANT SELECT, INSERT, UPDATE ON bank_entries TO payments_api_app;
