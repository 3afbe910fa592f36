SET LOCAL lock_timeout = '5s';

-- What gateways told of money that goes back: a cumulative figure, single refunds, disputes.
ALTER TABLE payments
    ADD COLUMN told_total numeric(38, 0) NOT NULL DEFAULT 0,
    ADD COLUMN failed_total numeric(38, 0) NOT NULL DEFAULT 0,
    ADD COLUMN single_total numeric(38, 0) NOT NULL DEFAULT 0,
    ADD COLUMN lost_total numeric(38, 0) NOT NULL DEFAULT 0,
    ADD COLUMN disputed_total numeric(38, 0) NOT NULL DEFAULT 0,
    ADD COLUMN credits_forgiven bigint NOT NULL DEFAULT 0,
    ADD COLUMN credits_disputed bigint NOT NULL DEFAULT 0,
    ADD COLUMN worth numeric(38, 0),
    ADD COLUMN worth_asset text;
-- Until now the cumulative figure was the only one.
UPDATE payments SET told_total = refunded WHERE refunded <> 0;

-- What came for a quote in time, and what was given for it.
ALTER TABLE quotes
    ADD COLUMN received numeric(38, 0) NOT NULL DEFAULT 0,
    ADD COLUMN given bigint NOT NULL DEFAULT 0;
UPDATE quotes AS q SET received = sums.received, given = sums.given
FROM (
    SELECT kept.payment_reference,
        sum((told.state ->> 'received')::numeric - (told.state ->> 'refunded_before')::numeric) AS received,
        sum((told.state ->> 'credits')::bigint - (told.state ->> 'bonus')::bigint) AS given
    FROM quotes AS kept
    JOIN stored_events AS promise ON promise.originator_id = 'quote:' || kept.payment_reference
    JOIN stored_events AS purchase ON purchase.originator_id = 'wallet:' || kept.user_id
        AND purchase.topic = 'ledger.CreditsPurchased' AND purchase.notification_id > promise.notification_id
    CROSS JOIN LATERAL (SELECT convert_from(purchase.state, 'UTF8')::json AS state) AS told
    WHERE told.state ->> 'payment_reference' = kept.payment_reference
        AND told.state ->> 'received_asset' = kept.asset
        AND told.state ->> 'rule' IN ('quote', 'underpaid', 'overpaid', 'base_rate')
    GROUP BY kept.payment_reference
) AS sums
WHERE sums.payment_reference = q.payment_reference;

CREATE TABLE disputes (
    dispute_key text PRIMARY KEY,
    payment_key text NOT NULL,
    gateway text NOT NULL,
    payment_id text NOT NULL,
    dispute_id text NOT NULL,
    amount numeric(38, 0) NOT NULL,
    state text NOT NULL CHECK (state IN ('opened', 'won', 'lost'))
);
CREATE INDEX disputes_payment_idx ON disputes (payment_key);

GRANT SELECT, INSERT, UPDATE ON disputes TO ledger_app;
