SET LOCAL lock_timeout = '5s';

-- Under which name Stripe keeps a person's cards. Nothing of the cards themselves is stored here.
CREATE TABLE stripe_customers (
    user_id     text PRIMARY KEY,
    customer_id text NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT, INSERT, UPDATE ON stripe_customers TO payments_api_app;

-- A card that is refused after its payment was stored is an answer, too, and repeated as such.
ALTER TABLE idempotency_keys ADD COLUMN answer_status smallint NOT NULL DEFAULT 200;
