-- Lists of mail are in the order in which it came in, which is not that of the
-- UIDs for mail that was moved here or put here later.
CREATE INDEX message_received ON message (mailbox_id, received, uid);
