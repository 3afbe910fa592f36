SET LOCAL lock_timeout = '5s';

-- Banks use their references again. The first receipt under a reference has the id that the reference makes; a later
-- one has an id of its own and names the first.
ALTER TABLE bank_receipts ADD COLUMN again_of text REFERENCES bank_receipts (id);
CREATE INDEX bank_receipts_again ON bank_receipts (again_of) WHERE again_of IS NOT NULL;

-- The receipt that a line was accepted with; of lines from before it is the one of receipt_id.
ALTER TABLE bank_entries ADD COLUMN settled_by text REFERENCES bank_receipts (id);
