package store

import (
	"errors"
	"fmt"
)

// The errors a caller can tell apart. Each protocol package turns them into
// its own words in its reply.go; anything else is a temporary failure whose
// text stays in the log.
var (
	// ErrBadCredentials: the password does not fit, the user is unknown or
	// suspended. Which of these it was is never said.
	ErrBadCredentials = errors.New("bad credentials")
	// ErrNoSuchUser: the domain is ours and nobody in it has that address.
	ErrNoSuchUser = errors.New("no such user")
	// ErrNotLocal: the domain is not ours.
	ErrNotLocal = errors.New("not a local domain")
	// ErrBadAddress: not an address (RFC 5321 §4.1.2, RFC 6531 §3.3).
	ErrBadAddress = errors.New("not a mail address")
	// ErrBadDomain is the ErrBadAddress of a domain: an empty label, one of
	// more than 63 octets, or a character that no name has.
	ErrBadDomain = fmt.Errorf("%w: not a domain", ErrBadAddress)
	// ErrUserExists: the address is taken, by a user or by an alias.
	ErrUserExists = errors.New("address already in use")
	// ErrMaildropBusy: another POP3 session holds this maildrop.
	ErrMaildropBusy = errors.New("maildrop is in use")
	// ErrOverQuota: the user has no room for the message.
	ErrOverQuota = errors.New("over quota")
	// ErrTooLarge: the message is larger than the server takes.
	ErrTooLarge = errors.New("message too large")
	// ErrNoSuchMailbox: no mailbox of that name, or it has been deleted.
	ErrNoSuchMailbox = errors.New("no such mailbox")
	// ErrMailboxExists: a mailbox of that name is there already.
	ErrMailboxExists = errors.New("mailbox already exists")
	// ErrBadMailboxName: the name cannot be used, or not for this operation.
	ErrBadMailboxName = errors.New("mailbox name not allowed")
	// ErrHasChildren: the mailbox has children and cannot be deleted.
	ErrHasChildren = errors.New("mailbox has children")
	// ErrExpunged: the message has been removed meanwhile.
	ErrExpunged = errors.New("message expunged")
	// ErrLimit: too many of something, keywords or mailboxes for example.
	ErrLimit = errors.New("limit reached")
	// ErrNotCanonical: the bytes hold a bare CR, a bare LF or a NUL (I3).
	ErrNotCanonical = errors.New("message is not in canonical form")
	// ErrNewerSchema: the file was written by a newer yubin.
	ErrNewerSchema = errors.New("the mail store was written by a newer version of yubin")
	// ErrFull: the disk has no room left.
	ErrFull = errors.New("no space left for the mail store")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store is closed")
)
