package pop3d

// A state is where in a session a command may be given (RFC 1939 §3). The
// UPDATE state has no commands: it is what QUIT does.
type state uint8

const (
	authorization state = 1 << iota
	transaction

	anyState = authorization | transaction
)

// A verb is one command: where it is valid, how many arguments it takes, and
// the method that answers it.
type verb struct {
	in       state
	min, max int // arguments; wholeLine: the rest of the line is one argument
	run      func(*session, []string) reply
}

// wholeLine is for PASS: a password may hold spaces (RFC 1939 §7).
const wholeLine = -1

var verbs = map[string]verb{
	// maildrop.go
	"STAT": {transaction, 0, 0, (*session).stat},
	"LIST": {transaction, 0, 1, (*session).list},
	"UIDL": {transaction, 0, 1, (*session).uidl},
	"DELE": {transaction, 1, 1, (*session).dele},
	"RSET": {transaction, 0, 0, (*session).rset},
	"NOOP": {transaction, 0, 0, (*session).noop},
	// retr.go
	"RETR": {transaction, 1, 1, (*session).retr},
	"TOP":  {transaction, 2, 2, (*session).top},
	// login.go, sasl.go
	"USER": {authorization, 1, 1, (*session).user},
	"PASS": {authorization, 1, wholeLine, (*session).pass},
	"APOP": {authorization, 0, 2, (*session).apop},
	"AUTH": {authorization, 0, 2, (*session).auth},
	// stls.go
	"STLS": {authorization, 0, 0, (*session).stls},
	// capa.go, language.go, utf8.go, quit.go
	"UTF8": {authorization, 0, 0, (*session).utf8},
	"CAPA": {anyState, 0, 0, (*session).capa},
	"LANG": {anyState, 0, 1, (*session).lang},
	"QUIT": {anyState, 0, 0, (*session).quit},
}
