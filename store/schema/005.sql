-- What parts of the server know of others for a while, such as who came
-- before: small values that a restart should not lose.
CREATE TABLE memory (
	kind    TEXT NOT NULL,
	key     BLOB NOT NULL,
	value   TEXT NOT NULL,
	expires INTEGER NOT NULL,
	PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE INDEX memory_expires ON memory (kind, expires);
