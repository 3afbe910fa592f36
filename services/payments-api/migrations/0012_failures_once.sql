SET LOCAL lock_timeout = '5s';

-- The gateway's name of an attempt that failed, where it has one: told by webhook and by asking, it failed once.
ALTER TABLE failed_payments ADD COLUMN attempt_id text;
CREATE UNIQUE INDEX failed_payments_attempt ON failed_payments (gateway, payment_intent_id, attempt_id)
    WHERE attempt_id IS NOT NULL;
