-- What a delivery attempt needs to know about a queued recipient.
ALTER TABLE queue ADD COLUMN domain TEXT NOT NULL DEFAULT '';       -- of the recipient
ALTER TABLE queue ADD COLUMN held INTEGER NOT NULL DEFAULT 0;       -- waits for a person
ALTER TABLE queue ADD COLUMN leased INTEGER NOT NULL DEFAULT 0;     -- an attempt is under way until then
ALTER TABLE queue ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;     -- the sender knows of the delay
ALTER TABLE queue ADD COLUMN reply TEXT NOT NULL DEFAULT '';        -- the last answer
UPDATE queue SET domain = substr(recipient, instr(recipient, '@') + 1);
DROP INDEX queue_next;
CREATE INDEX queue_due ON queue (held, next);
CREATE INDEX queue_domain ON queue (blob_id, domain);
DROP INDEX queue_blob;
