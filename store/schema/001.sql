-- Integer times are unix milliseconds. Ids marked AUTOINCREMENT are never reused.

CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
);

CREATE TABLE domain (
	id        INTEGER PRIMARY KEY AUTOINCREMENT,
	name      TEXT NOT NULL UNIQUE,
	catch_all TEXT NOT NULL DEFAULT ''
);

CREATE TABLE user (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	domain_id  INTEGER NOT NULL REFERENCES domain (id),
	address    TEXT NOT NULL UNIQUE,
	name       TEXT NOT NULL,
	salt       BLOB NOT NULL,
	iterations INTEGER NOT NULL,
	stored_key BLOB NOT NULL,
	server_key BLOB NOT NULL,
	generation INTEGER NOT NULL DEFAULT 1,
	quota      INTEGER NOT NULL,
	pop3       TEXT NOT NULL,
	pop3_days  INTEGER NOT NULL,
	suspended  INTEGER NOT NULL DEFAULT 0,
	admin      INTEGER NOT NULL,
	tap        INTEGER NOT NULL,
	created    INTEGER NOT NULL
);

CREATE TABLE alias (
	address TEXT NOT NULL,
	target  TEXT NOT NULL,
	PRIMARY KEY (address, target)
) WITHOUT ROWID;

CREATE TABLE mailbox (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
	user_id      INTEGER NOT NULL REFERENCES user (id),
	name         TEXT NOT NULL,
	special_use  TEXT NOT NULL,
	uid_validity INTEGER NOT NULL,
	uid_next     INTEGER NOT NULL DEFAULT 1,
	modseq       INTEGER NOT NULL DEFAULT 1,
	messages     INTEGER NOT NULL DEFAULT 0,
	unseen       INTEGER NOT NULL DEFAULT 0,
	deleted      INTEGER NOT NULL DEFAULT 0,
	size         INTEGER NOT NULL DEFAULT 0,
	UNIQUE (user_id, name)
);

-- A name may be subscribed without existing (RFC 9051 §6.3.7).
CREATE TABLE subscription (
	user_id INTEGER NOT NULL REFERENCES user (id),
	name    TEXT NOT NULL,
	PRIMARY KEY (user_id, name)
) WITHOUT ROWID;

-- The raw bytes of one accepted mail and what arrival computed from them.
-- claimed is 0 while the chunks of a large body are still being written.
CREATE TABLE blob (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	size        INTEGER NOT NULL,
	claimed     INTEGER NOT NULL,
	sent        INTEGER NOT NULL DEFAULT 0, -- yyyymmdd of the Date field
	attachments INTEGER NOT NULL DEFAULT 0,
	preview     TEXT NOT NULL DEFAULT '',
	envelope    TEXT NOT NULL DEFAULT '',
	refs        TEXT NOT NULL DEFAULT '',
	structure   TEXT NOT NULL DEFAULT '',
	header      BLOB                       -- NULL when it is too long to keep here
);

CREATE TABLE chunk (
	blob_id INTEGER NOT NULL REFERENCES blob (id),
	seq     INTEGER NOT NULL,
	data    BLOB NOT NULL,
	PRIMARY KEY (blob_id, seq)
) WITHOUT ROWID;

CREATE TABLE message (
	mailbox_id  INTEGER NOT NULL REFERENCES mailbox (id),
	uid         INTEGER NOT NULL,
	modseq      INTEGER NOT NULL,
	flags       INTEGER NOT NULL,
	keywords    TEXT NOT NULL,
	received    INTEGER NOT NULL,
	size        INTEGER NOT NULL,
	blob_id     INTEGER NOT NULL REFERENCES blob (id),
	pop3_hidden INTEGER NOT NULL DEFAULT 0, -- when POP3 deleted it under a keeping policy
	PRIMARY KEY (mailbox_id, uid)
) WITHOUT ROWID;
CREATE INDEX message_modseq ON message (mailbox_id, modseq);
CREATE INDEX message_blob ON message (blob_id);

CREATE TABLE keyword (
	mailbox_id INTEGER NOT NULL REFERENCES mailbox (id),
	folded     TEXT NOT NULL,
	name       TEXT NOT NULL,
	seq        INTEGER NOT NULL,
	PRIMARY KEY (mailbox_id, folded)
) WITHOUT ROWID;

CREATE TABLE tombstone (
	mailbox_id INTEGER NOT NULL REFERENCES mailbox (id),
	modseq     INTEGER NOT NULL,
	uid        INTEGER NOT NULL,
	PRIMARY KEY (mailbox_id, modseq, uid)
) WITHOUT ROWID;

CREATE TABLE queue (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	blob_id     INTEGER NOT NULL REFERENCES blob (id),
	sender      TEXT NOT NULL,
	recipient   TEXT NOT NULL,
	notify      TEXT NOT NULL,
	original    TEXT NOT NULL,
	ret         TEXT NOT NULL,
	envid       TEXT NOT NULL,
	utf8        INTEGER NOT NULL,
	require_tls INTEGER NOT NULL,
	created     INTEGER NOT NULL,
	attempts    INTEGER NOT NULL DEFAULT 0,
	next        INTEGER NOT NULL
);
CREATE INDEX queue_blob ON queue (blob_id);
CREATE INDEX queue_next ON queue (next);
