-- What a conversation is put together from: a mail's own identifier, and the
-- first of those that it answers (else its own again).
ALTER TABLE blob ADD COLUMN ident TEXT NOT NULL DEFAULT '';
ALTER TABLE blob ADD COLUMN thread TEXT NOT NULL DEFAULT '';
UPDATE blob SET ident = substr(coalesce(json_extract(envelope, '$.m'), ''), 1, 250) WHERE envelope <> '';
UPDATE blob SET thread = substr(coalesce(CASE WHEN refs <> '' THEN json_extract(refs, '$[0]') END, json_extract(envelope, '$.i[0]'), ident), 1, 250) WHERE envelope <> '';
CREATE INDEX blob_ident ON blob (ident) WHERE ident <> '';
CREATE INDEX blob_thread ON blob (thread) WHERE thread <> '';
