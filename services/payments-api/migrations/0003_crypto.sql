-- Addresses that were given to payments in coins. Only public keys are behind them, and not even those stand here.
SET LOCAL lock_timeout = '5s';

-- One row per account key, named by a hash of it. Whoever gives an address locks it: an index is given once.
CREATE TABLE crypto_keys (
    id         text PRIMARY KEY,
    family     text NOT NULL CHECK (family IN ('bitcoin', 'evm')),
    next_index bigint NOT NULL DEFAULT 0 CHECK (next_index BETWEEN 0 AND 2147483648)
);
GRANT SELECT, INSERT, UPDATE ON crypto_keys TO payments_api_app;

-- payment_id has no foreign key: the address is given before its payment is stored, and stays given if it never is.
CREATE TABLE crypto_addresses (
    key_id        text NOT NULL REFERENCES crypto_keys (id),
    address_index bigint NOT NULL CHECK (address_index BETWEEN 0 AND 2147483647),
    path          text NOT NULL,
    address       text NOT NULL UNIQUE,
    payment_id    text NOT NULL,
    given_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (key_id, address_index),
    UNIQUE (payment_id, key_id)
);
GRANT SELECT, INSERT ON crypto_addresses TO payments_api_app;

-- An address is used once coins for its payment were seen. What was seen and left the chain again does not count.
CREATE VIEW crypto_address_use AS
SELECT given.*, coalesce(p.status NOT IN ('initiated', 'expired', 'failed'), false) AS is_used
FROM crypto_addresses AS given LEFT JOIN payments AS p ON p.id = given.payment_id;
GRANT SELECT ON crypto_address_use TO payments_api_app;
