-- The back office leafs through all people's payments, newest first.
SET LOCAL lock_timeout = '5s';

CREATE INDEX payments_page ON payments (created_at DESC, id DESC);
