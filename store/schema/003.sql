-- What a user has chosen for the browser.
CREATE TABLE preference (
	user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
	name    TEXT NOT NULL,
	value   TEXT NOT NULL,
	PRIMARY KEY (user_id, name)
) WITHOUT ROWID;
