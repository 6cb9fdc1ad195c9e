package smtpd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// endOfData is how a message ends, and nothing else is (RFC 5321 §4.1.1.4).
const endOfData = ".\r\n"

// messageReader reads what follows DATA. It undoes transparency (RFC 5321
// §4.5.2) and changes nothing else: a dot before a bare CR or LF is left where
// it is, for the canonical reader to refuse.
//
// We do not use the library's reader, which drops some of those dots and CRs,
// sets one deadline for the whole message, and after a failed read goes on to
// run the rest of the message as commands.
type messageReader struct {
	c         *conn
	rest      []byte // of what has been read; valid until the next read
	lineStart bool   // after CRLF
	cr        bool   // the last octet was a CR
	done      error
}

// message is the message that DATA or BDAT has begun. It must be read until
// it ends or fails, and then be closed with endMessage.
func (c *conn) message() io.Reader {
	c.budget = c.newBudget()
	if c.chunks != nil {
		return c.chunks
	}
	return &messageReader{c: c, lineStart: true}
}

// endMessage shows the library an end of data: it looks for one too.
func (c *conn) endMessage() {
	c.pending, c.chunks, c.budget = []byte(endOfData), nil, nil
	if c.dead {
		c.pending = nil
	}
}

func (m *messageReader) Read(b []byte) (int, error) {
	for len(m.rest) == 0 {
		if m.done != nil {
			return 0, m.done
		}
		m.fill()
	}
	n := copy(b, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

func (m *messageReader) fill() {
	piece, err := m.c.in.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		m.done = m.c.abandon(err)
		return
	}
	crlf := bytes.HasSuffix(piece, []byte("\r\n")) || m.cr && len(piece) == 1
	if m.lineStart && piece[0] == '.' {
		switch {
		case string(piece) == endOfData:
			m.done = io.EOF
			return
		case piece[1] != '\r' && piece[1] != '\n':
			piece = piece[1:]
		}
	}
	m.rest, m.lineStart, m.cr = piece, crlf && err == nil, piece[len(piece)-1] == '\r'
}
