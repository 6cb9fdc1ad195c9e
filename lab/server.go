package lab

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"
)

// Server is the mail system that the devices use. The addresses are
// host:port of listeners that speak without TLS, or Dial adds it.
type Server struct {
	SMTP       string // where other mail servers deliver
	Submission string // where users send, with login; empty: they use SMTP, without
	POP3       string
	IMAP       string
	Web        string // the webmail, by HTTP; empty: there is none, and no column for it

	// Account returns the account of a role: pop, keep, imap, web, mixed or bob.
	// It is asked once per role and run, and only for roles that are needed.
	Account func(ctx context.Context, role string) (Account, error)

	// Shared says that several roles may be the same account. Then its inbox
	// must be empty at first (ErrNotEmpty), and lanes take turns.
	Shared bool

	// Dial connects to one of the addresses; nil is a plain connection.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	TLS  []string // of the addresses, those at which Dial speaks TLS
}

// Account is a mailbox and what opens it.
type Account struct{ Address, Password string }

// ErrNotEmpty: an account that is not the lab's own has mail in it, which the
// scenarios would download and delete.
var ErrNotEmpty = errors.New("the inbox is not empty")

// offers are those of the columns that the server has a way for.
func (s Server) offers(columns []Column) []Column {
	if s.Web != "" {
		return columns
	}
	return slices.DeleteFunc(slices.Clone(columns), func(c Column) bool { return c == Web })
}

const (
	dialTimeout = 10 * time.Second
	// patience is how long a device waits for one thing to happen.
	patience = 10 * time.Second
)

func (s Server) dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if s.Dial != nil {
		return s.Dial(ctx, "tcp", address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}
