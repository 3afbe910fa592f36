"""The statements of ``ledger.adapters.books``. Arrays in, sets out; locks are taken in id order."""

from __future__ import annotations

FORGET_MESSAGES = "DELETE FROM inbox WHERE consumer_group = $1 AND message_id = ANY ($2::uuid[])"

CLAIM_KEYS = """
INSERT INTO idempotency_keys (key, body_hash, expires_at)
SELECT key, body_hash, $4 FROM unnest($1::text[], $2::bytea[]) AS k (key, body_hash)
ON CONFLICT (key) DO UPDATE SET body_hash = excluded.body_hash, expires_at = excluded.expires_at,
    status = NULL, body = NULL
WHERE idempotency_keys.expires_at <= $3
RETURNING key
"""
READ_KEYS = "SELECT key, body_hash, status, body FROM idempotency_keys WHERE key = ANY ($1::text[])"
KEEP_ANSWERS = """
UPDATE idempotency_keys AS k SET status = a.status, body = a.body
FROM unnest($1::text[], $2::smallint[], $3::bytea[]) AS a (key, status, body) WHERE k.key = a.key
"""
PRUNE_KEYS = """
DELETE FROM idempotency_keys WHERE key IN (SELECT key FROM idempotency_keys WHERE expires_at <= $1 LIMIT $2)
"""

READ_REFERENCES = """
SELECT reference, stream, version, content_hash FROM command_references WHERE reference = ANY ($1::text[])
"""
READ_EVENTS = """
SELECT r.reference, e.originator_id, e.originator_version, e.topic, e.state
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS r (reference, stream, version)
JOIN stored_events AS e ON e.originator_id = r.stream AND e.originator_version = r.version
"""
WRITE_REFERENCES = """
INSERT INTO command_references (reference, stream, version, content_hash)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[])
"""

LOCK_PAYMENTS = """
SELECT * FROM payments
WHERE payment_key = ANY ($1::text[]) OR (user_id IS NULL AND payment_reference = ANY ($2::text[]))
ORDER BY payment_key FOR UPDATE
"""
WRITE_PAYMENTS = """
INSERT INTO payments (payment_key, gateway, payment_id, payment_reference, received, asset, paid_at, user_id,
                      credits, bonus, refunded, refunded_before, credits_taken, bonus_taken, version, told_total,
                      failed_total, single_total, lost_total, disputed_total, credits_forgiven, credits_disputed,
                      worth, worth_asset)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::text[], $7::text[], $8::text[],
                     $9::bigint[], $10::bigint[], $11::numeric[], $12::numeric[], $13::bigint[], $14::bigint[],
                     $15::bigint[], $16::numeric[], $17::numeric[], $18::numeric[], $19::numeric[], $20::numeric[],
                     $21::bigint[], $22::bigint[], $23::numeric[], $24::text[])
ON CONFLICT (payment_key) DO UPDATE SET
    payment_reference = excluded.payment_reference, user_id = excluded.user_id, credits = excluded.credits,
    bonus = excluded.bonus, refunded = excluded.refunded, refunded_before = excluded.refunded_before,
    credits_taken = excluded.credits_taken, bonus_taken = excluded.bonus_taken, version = excluded.version,
    told_total = excluded.told_total, failed_total = excluded.failed_total, single_total = excluded.single_total,
    lost_total = excluded.lost_total, disputed_total = excluded.disputed_total,
    credits_forgiven = excluded.credits_forgiven, credits_disputed = excluded.credits_disputed
"""

LOCK_QUOTES = """
SELECT * FROM quotes WHERE payment_reference = ANY ($1::text[]) ORDER BY payment_reference FOR UPDATE
"""
WRITE_QUOTES = """
INSERT INTO quotes (payment_reference, user_id, price, asset, credits, bonus, expires_at, used, received, given)
SELECT * FROM unnest($1::text[], $2::text[], $3::numeric[], $4::text[], $5::bigint[], $6::bigint[],
                     $7::timestamptz[], $8::boolean[], $9::numeric[], $10::bigint[])
ON CONFLICT (payment_reference) DO UPDATE SET
    used = excluded.used, received = excluded.received, given = excluded.given
"""

# No lock of their own: a dispute changes under the lock of its payment, or of the wallet that the payment went to.
READ_DISPUTES = """
SELECT * FROM disputes WHERE dispute_key = ANY ($1::text[]) OR payment_key = ANY ($2::text[])
"""
WRITE_DISPUTES = """
INSERT INTO disputes (dispute_key, payment_key, gateway, payment_id, dispute_id, amount, state)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::numeric[], $7::text[])
ON CONFLICT (dispute_key) DO UPDATE SET amount = excluded.amount, state = excluded.state
"""

LOCK_CHARGES = "SELECT * FROM charges WHERE deployment_id = ANY ($1::text[]) ORDER BY deployment_id FOR UPDATE"
WRITE_CHARGES = """
INSERT INTO charges (deployment_id, user_id, service_name, amount, state, commission, grid_payment)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[])
ON CONFLICT (deployment_id) DO UPDATE SET
    state = excluded.state, commission = excluded.commission, grid_payment = excluded.grid_payment
"""

LOCK_WALLETS = """
SELECT user_id, spendable, held, total_purchased, total_spent, total_refunded, version, head_hash
FROM wallets WHERE user_id = ANY ($1::text[]) ORDER BY user_id FOR UPDATE
"""
CREATE_WALLETS = """
INSERT INTO wallets (user_id, head_hash) SELECT user_id, decode(repeat('00', 32), 'hex')
FROM unnest($1::text[]) AS w (user_id) ORDER BY user_id ON CONFLICT DO NOTHING
"""
# The second condition says nothing new, but makes the planner use the key: joined alone, it reads the whole table.
WRITE_WALLETS = """
UPDATE wallets AS w SET spendable = n.spendable, held = n.held, total_purchased = n.total_purchased,
    total_spent = n.total_spent, total_refunded = n.total_refunded, version = n.version, head_hash = n.head_hash
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bytea[])
    AS n (user_id, spendable, held, total_purchased, total_spent, total_refunded, version, head_hash)
WHERE w.user_id = n.user_id AND w.user_id = ANY ($1::text[])
"""

ALLOCATABLE = """
SELECT p.payment_key FROM payments AS p JOIN quotes AS q USING (payment_reference)
WHERE p.user_id IS NULL AND p.received > p.refunded AND p.payment_key > $1 ORDER BY p.payment_key LIMIT $2
"""

SOMETHING_WAITS = "SELECT EXISTS (SELECT FROM waiting_messages WHERE consumer_group = $1)"
