SET LOCAL lock_timeout = '5s';

-- Who paid by card for something that their credits do not cover by then is told by mail, too.
ALTER TABLE mails DROP CONSTRAINT mails_kind_check;
ALTER TABLE mails ADD CONSTRAINT mails_kind_check
    CHECK (kind IN ('failed', 'credited', 'renewal', 'purchase_refused'));
