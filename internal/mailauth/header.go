package mailauth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// field is one header field as it stands in the message.
type field struct {
	name string // lower case
	raw  []byte // with its name, its folds and its last CRLF
}

// value is what follows the colon, folds and all.
func (f field) value() string {
	_, v, _ := bytes.Cut(f.raw, []byte(":"))
	return string(v)
}

// ErrHeaderSize: nobody looks at a header of that size.
var ErrHeaderSize = errors.New("the header is too large")

// readHeader reads a message's header block, without the empty line, and says
// where the body begins. It answers ErrHeaderSize when there are more than
// limit octets.
func readHeader(raw io.ReaderAt, size int64, limit int) (header []byte, body int64, err error) {
	const step = 1 << 10
	var done int // what has been searched
	for {
		next := int(min(int64(max(step, done)), size-int64(done)))
		header = slices.Grow(header, next)
		n, err := raw.ReadAt(header[done:done+next], int64(done))
		header = header[:done+n]
		if err != nil && err != io.EOF {
			return nil, 0, fmt.Errorf("read the header: %w", err)
		}
		if bytes.HasPrefix(header, []byte("\r\n")) {
			return nil, 2, nil
		}
		from := max(done-3, 0)
		if i := bytes.Index(header[from:], []byte("\r\n\r\n")); i >= 0 {
			end := from + i + 2
			if end > limit {
				return nil, 0, ErrHeaderSize
			}
			return header[:end], int64(end + 2), nil
		}
		done = len(header)
		switch {
		case done > limit:
			return nil, 0, ErrHeaderSize
		case int64(done) >= size || n == 0:
			return header, int64(done), nil
		}
	}
}

// fields cuts a header block into its fields. A line that is none has no name.
func fields(header []byte) []field {
	var all []field
	for len(header) > 0 {
		end := lineEnd(header)
		name := fieldName(header[:end])
		for end < len(header) && (header[end] == ' ' || header[end] == '\t') {
			end += lineEnd(header[end:])
		}
		all = append(all, field{name, header[:end:end]})
		header = header[end:]
	}
	return all
}

func lineEnd(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	return len(b)
}

// fieldName is the name of the field that line begins, or "".
func fieldName(line []byte) string {
	name, _, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return ""
	}
	return strings.ToLower(strings.TrimRight(string(name), " \t"))
}

// picker hands out the fields of a header as a signature's h= names them:
// those of one name from the last to the first (RFC 6376 §5.4.2).
type picker map[string][]field

func newPicker(all []field) picker {
	p := make(picker)
	for _, f := range all {
		p[f.name] = append(p[f.name], f)
	}
	return p
}

// pick takes a field; there may be none left.
func (p picker) pick(name string) (field, bool) {
	name = strings.ToLower(name)
	named := p[name]
	if len(named) == 0 {
		return field{}, false
	}
	p[name] = named[:len(named)-1]
	return named[len(named)-1], true
}

// folded is a field in the making. Lines are broken before 78 octets.
type folded struct {
	b     strings.Builder
	width int // of the line
}

// add writes a piece that is not to be broken, on a new line when it must be,
// otherwise after sep.
func (f *folded) add(sep, piece string) {
	if f.b.Len() > 0 && f.width+len(sep)+len(piece) > 76 {
		f.fold()
		sep = ""
	}
	f.b.WriteString(sep)
	f.b.WriteString(piece)
	f.width += len(sep) + len(piece)
}

func (f *folded) fold() {
	f.b.WriteString("\r\n\t")
	f.width = 8
}

// addLong writes text that may be broken anywhere.
func (f *folded) addLong(text string) {
	for len(text) > 0 {
		room := 76 - f.width
		if room < 8 {
			f.fold()
			continue
		}
		n := min(room, len(text))
		f.b.WriteString(text[:n])
		f.width += n
		text = text[n:]
	}
}
