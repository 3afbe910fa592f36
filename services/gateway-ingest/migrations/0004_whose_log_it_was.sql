SET LOCAL lock_timeout = '5s';

-- The mark of the record before next_offset, by which its log is told from another one of the same name. Rows from
-- before have none and are believed until their next record is handled.
ALTER TABLE consumer_offsets ADD COLUMN last_record text;
