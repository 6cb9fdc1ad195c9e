package pop3d

import (
	"bufio"
	"strconv"

	"github.com/yubin-mail/yubin/store"
)

// A maildrop is the store's snapshot and what this session has done to it.
type maildrop struct {
	*store.Maildrop
	marks []bool // Messages[i], which has number i+1, is to go at QUIT (RFC 1939 §5)
	count int    // messages that are not
	size  int64  // their octets
}

func newMaildrop(d *store.Maildrop) *maildrop {
	m := &maildrop{Maildrop: d, marks: make([]bool, len(d.Messages))}
	m.rset()
	return m
}

// find returns the index of the message that an argument names, unless there
// is none or it is marked.
func (m *maildrop) find(arg string) (int, bool) {
	n, found := number(arg)
	if !found || n < 1 || n > uint64(len(m.Messages)) || m.marks[n-1] {
		return 0, false
	}
	return int(n - 1), true
}

// number reads digits, and digits only. What is too large for a number is
// larger than any number of ours.
func number(arg string) (uint64, bool) {
	n, err := strconv.ParseUint(arg, 10, 64)
	if err != nil && n == 0 {
		return 0, false
	}
	return n, true
}

func (m *maildrop) dele(i int) {
	m.marks[i] = true
	m.count--
	m.size -= m.Messages[i].Size
}

func (m *maildrop) rset() {
	m.count, m.size = len(m.Messages), 0
	clear(m.marks)
	for i := range m.Messages {
		m.size += m.Messages[i].Size
	}
}

// marked are the messages to go at QUIT.
func (m *maildrop) marked() []store.UID {
	var uids []store.UID
	for i, is := range m.marks {
		if is {
			uids = append(uids, m.Messages[i].UID)
		}
	}
	return uids
}

// appendUniqueID appends what never names another message (RFC 1939 §7), because the pair is
// never used again (I1). Twenty-one characters at most.
func (m *maildrop) appendUniqueID(b []byte, i int) []byte {
	b = strconv.AppendUint(b, uint64(m.UIDValidity), 10)
	b = append(b, '.')
	return strconv.AppendUint(b, uint64(m.Messages[i].UID), 10)
}

// summary is the reply that says what is not marked.
func (m *maildrop) summary() reply {
	if m.count == 1 {
		return ok(oneMessage, m.count, m.size)
	}
	return ok(manyMessages, m.count, m.size)
}

// listing is a multi-line reply with a line for every message that is not
// marked: its number, and what appendTo appends. It is written as it is made.
func (m *maildrop) listing(r reply, appendTo func(line []byte, i int) []byte) reply {
	r.body = func(w *bufio.Writer) error {
		var line []byte
		for i := range m.Messages {
			if m.marks[i] {
				continue
			}
			line = strconv.AppendInt(line[:0], int64(i+1), 10)
			line = append(appendTo(append(line, ' '), i), "\r\n"...)
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		return nil
	}
	return r
}

// stat counts what is not marked (RFC 1939 §5).
func (s *session) stat([]string) reply { return ok(figures, s.drop.count, s.drop.size) }

// list is the scan listing of one message or of all (RFC 1939 §5).
func (s *session) list(args []string) reply {
	m := s.drop
	if len(args) == 0 {
		return m.listing(m.summary(), func(line []byte, i int) []byte {
			return strconv.AppendInt(line, m.Messages[i].Size, 10)
		})
	}
	i, found := m.find(args[0])
	if !found {
		return fail(codeNone, noSuchMessage)
	}
	return ok(figures, i+1, m.Messages[i].Size)
}

// uidl is the unique-id listing of one message or of all (RFC 1939 §7).
func (s *session) uidl(args []string) reply {
	m := s.drop
	if len(args) == 0 {
		return m.listing(ok(uniqueIDs), m.appendUniqueID)
	}
	i, found := m.find(args[0])
	if !found {
		return fail(codeNone, noSuchMessage)
	}
	return ok(uniqueID, i+1, m.appendUniqueID(nil, i))
}

// dele marks a message (RFC 1939 §5). Only QUIT removes it.
func (s *session) dele(args []string) reply {
	i, found := s.drop.find(args[0])
	if !found {
		return fail(codeNone, noSuchMessage)
	}
	s.drop.dele(i)
	return ok(marked, i+1)
}

// rset takes all marks back (RFC 1939 §5).
func (s *session) rset([]string) reply {
	s.drop.rset()
	return s.drop.summary()
}

func (s *session) noop([]string) reply { return ok(completed) }
