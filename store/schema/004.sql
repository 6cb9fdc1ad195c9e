-- What programs log in with instead of a password. Only a digest of the
-- secret is kept: it is too long to be guessed, so that one round will do.
CREATE TABLE token (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
	name    TEXT NOT NULL,
	digest  BLOB NOT NULL UNIQUE,
	scopes  TEXT NOT NULL,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,           -- 0 is never
	used    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX token_user ON token (user_id);
