SET LOCAL lock_timeout = '5s';

-- One row per subscription, for readers and for the processes behind: written with the events of its stream
-- subscription:<id>. Amounts count smallest units. act_at is when somebody has to do something for it: open the next
-- period, let it lapse, end it at its gateway; NULL while there is nothing to do but wait.
CREATE TABLE subscriptions (
    id                      text PRIMARY KEY,
    user_id                 text NOT NULL,
    gateway                 text NOT NULL,
    package_id              text NOT NULL,
    cycle                   text NOT NULL CHECK (cycle IN ('monthly', 'yearly')),
    price_asset             text NOT NULL,
    price                   numeric(38, 0) NOT NULL CHECK (price > 0),
    credit_asset            text NOT NULL,
    credits                 bigint NOT NULL CHECK (credits > 0),
    bonus                   bigint NOT NULL CHECK (bonus >= 0),
    status                  text NOT NULL
        CHECK (status IN ('incomplete', 'active', 'past_due', 'canceled', 'unpaid', 'lapsed')),
    gateway_session_id      text,
    gateway_subscription_id text,
    payment_url             text,
    payment_id              text,
    period                  integer NOT NULL DEFAULT 0 CHECK (period >= 0),
    period_begins_at        timestamptz,
    period_ends_at          timestamptz,
    next_period_at          timestamptz,
    act_at                  timestamptz,
    attempts                integer NOT NULL DEFAULT 0,
    created_at              timestamptz NOT NULL,
    updated_at              timestamptz NOT NULL,
    version                 integer NOT NULL
);
CREATE INDEX subscriptions_of_user ON subscriptions (user_id, created_at DESC, id DESC);
CREATE INDEX subscriptions_due ON subscriptions (act_at) WHERE act_at IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON subscriptions TO payments_api_app;

-- What was said beside the amount, and is a person's: it can be emptied without touching an event.
CREATE TABLE subscription_details (
    subscription_id text PRIMARY KEY REFERENCES subscriptions (id),
    customer_email  text,
    options         jsonb NOT NULL DEFAULT '{}'
);
GRANT SELECT, INSERT, UPDATE ON subscription_details TO payments_api_app;

-- Which payment paid for which period.
CREATE TABLE subscription_periods (
    payment_id      text PRIMARY KEY,
    subscription_id text NOT NULL REFERENCES subscriptions (id)
);
GRANT SELECT, INSERT ON subscription_periods TO payments_api_app;

ALTER TABLE mails DROP CONSTRAINT mails_kind_check;
ALTER TABLE mails ADD CONSTRAINT mails_kind_check CHECK (kind IN ('failed', 'credited', 'renewal'));
