-- Logins in browsers. Only a digest of the secret in the cookie is kept.
CREATE TABLE login (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	user_id    INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
	digest     BLOB NOT NULL UNIQUE,
	generation INTEGER NOT NULL,        -- of the user when it began
	agent      TEXT NOT NULL,
	remote     TEXT NOT NULL,
	created    INTEGER NOT NULL,
	seen       INTEGER NOT NULL,
	expires    INTEGER NOT NULL
);
CREATE INDEX login_user ON login (user_id, seen);
CREATE INDEX login_expires ON login (expires);
CREATE INDEX alias_target ON alias (target);
