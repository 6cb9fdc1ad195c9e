package wiretap

import (
	"slices"
	"strings"
)

// For returns what the holder of the addresses may see of an SMTP session
// that brought them mail: the transactions they are a recipient of, without
// the other recipients (who may be blind copies), the replies to those, and
// the Bcc field. Of a session of the relay it is what carried their own mail.
// Sessions of other protocols are returned as they are.
func (s Session) For(addresses ...string) Session {
	switch Protocol(s.Proto) {
	case "relay":
		return s.outgoing(func(sender string) bool { return containsFold(addresses, sender) }, nil)
	case "smtp":
	default:
		return s
	}
	f := filter{addresses: addresses, hidden: make(map[int]bool)}
	for _, n := range s.namings {
		if containsFold(addresses, n.user) {
			f.named = append(f.named, n.named)
		}
	}
	f.readTransactions(s.Lines)
	lines := s.Lines
	s.Lines = nil
	cut := s.Missing > 0 // we may be in the middle of a transaction
	for i, line := range lines {
		if verb, _ := mailCommand(line.Text); line.Dir == Client && !line.Body && verb == "MAIL" {
			cut = false
		}
		if !cut && f.shows(i, line) {
			s.Lines = append(s.Lines, line)
		}
	}
	s.Recipients = slices.DeleteFunc(slices.Clone(s.Recipients), func(r string) bool { return !f.mine(r) })
	return s
}

// forAll is what all whose part is kept may see together.
func (s Session) forAll() Session {
	return s.For(slices.Concat(s.Recipients, s.Senders)...)
}

func containsFold(all []string, one string) bool {
	return slices.ContainsFunc(all, func(a string) bool { return strings.EqualFold(a, one) })
}

type filter struct {
	addresses []string
	named     []string     // what they were called
	others    []string     // recipients that are not ours, in lower case
	in        []int        // by line: its transaction, or 0
	ours      map[int]bool // transactions that we are a recipient of
	hidden    map[int]bool // commands that are not shown
	bcc       bool         // within a Bcc field
}

// readTransactions finds out which lines belong to whose mail.
func (f *filter) readTransactions(lines []Line) {
	f.ours = make(map[int]bool)
	f.in = make([]int, len(lines))
	transactions, current := 0, 0
	for i, line := range lines {
		if line.Dir == Client && !line.Body {
			verb, address := mailCommand(line.Text)
			switch {
			case verb == "MAIL":
				transactions++
				current = transactions
			case verb == "RCPT" && line.Cut == 0 && f.mine(address):
				f.ours[current] = true
			case verb == "RCPT":
				f.others = append(f.others, strings.ToLower(address))
			case verb == "RSET" || verb == "EHLO" || verb == "HELO" || verb == "QUIT":
				current = 0
			}
		}
		f.in[i] = current
	}
}

// shows reports whether a line is for our eyes.
func (f *filter) shows(i int, line Line) bool {
	transaction := f.in[i]
	if line.Dir == Client && !line.Body {
		verb, address := mailCommand(line.Text)
		f.bcc = false
		switch {
		case transaction != 0 && !f.ours[transaction],
			verb == "RCPT" && (transaction == 0 || line.Cut > 0 || !f.mine(address)),
			verb == "VRFY", verb == "EXPN":
			f.hidden[line.command] = true
		}
		return !f.hidden[line.command]
	}
	if f.hidden[line.command] || line.command == unasked {
		return false
	}
	if line.Body {
		return !f.isBcc(line.Text)
	}
	lower := strings.ToLower(line.Text)
	return !slices.ContainsFunc(f.others, func(other string) bool {
		return other != "" && strings.Contains(lower, other)
	})
}

// isBcc reports whether a line of a message belongs to a Bcc field.
func (f *filter) isBcc(text string) bool {
	if strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\t") {
		return f.bcc
	}
	name, _, _ := strings.Cut(text, ":")
	name = strings.TrimSpace(name)
	f.bcc = strings.EqualFold(name, "Bcc") || strings.EqualFold(name, "Resent-Bcc")
	return f.bcc
}

// mine reports whether an address is one of ours, with or without a detail
// after a plus sign.
func (f *filter) mine(address string) bool {
	if containsFold(f.named, address) {
		return true
	}
	return slices.ContainsFunc(f.addresses, func(a string) bool { return isAddress(address, a) })
}

// isAddress reports whether named is a user's address, with or without a
// detail after a plus sign.
func isAddress(named, address string) bool {
	local, domain, _ := strings.Cut(named, "@")
	local, _, _ = strings.Cut(local, "+")
	return strings.EqualFold(named, address) || strings.EqualFold(local+"@"+domain, address)
}
