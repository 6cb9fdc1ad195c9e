package relay

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"

	"github.com/yubin-mail/yubin/internal/message"
)

// cannotConvert is for messages that are signed, or are no MIME.
func cannotConvert() error {
	return never("6.3", "the message would have to be converted to be sent on, and cannot be")
}

// edit replaces the octets from..to of a message.
type edit struct {
	from, to int64
	write    func(io.Writer) error
}

// convert copies a message to w and re-encodes the parts that hold lines that
// are too long or, where sevenBit is asked for, more than ASCII (RFC 6152 §3).
// Parts under a signature stay as they are or fail.
func convert(w io.Writer, raw io.ReaderAt, size int64, sevenBit bool) error {
	sum, err := message.Summarize(io.NewSectionReader(raw, 0, size))
	if err != nil {
		return err
	}
	c := conversion{raw: raw, sevenBit: sevenBit}
	if err := c.part(sum.Root, true, false); err != nil {
		return err
	}
	at := int64(0)
	for _, e := range append(c.edits, edit{from: size, to: size}) {
		// Between the edits there are delimiters and what nobody reads.
		glue := &inspector{}
		if _, err := io.Copy(io.MultiWriter(w, glue), io.NewSectionReader(raw, at, e.from-at)); err != nil {
			return err
		}
		if glue.long || sevenBit && glue.eightBit {
			return cannotConvert()
		}
		if e.write != nil {
			if err := e.write(w); err != nil {
				return err
			}
		}
		at = e.to
	}
	return nil
}

type conversion struct {
	raw      io.ReaderAt
	sevenBit bool
	edits    []edit
}

// part plans the edits of one part and those below it.
func (c *conversion) part(p *message.Part, root, signed bool) error {
	header := make([]byte, p.HeaderSize)
	if _, err := io.ReadFull(io.NewSectionReader(c.raw, p.Offset, p.HeaderSize), header); err != nil {
		return err
	}
	encoding := ""
	look := &inspector{}
	if len(p.Children) == 0 {
		if _, err := io.Copy(look, io.NewSectionReader(c.raw, p.BodyOffset(), p.Size)); err != nil {
			return err
		}
		switch {
		case !look.long && !(c.sevenBit && look.eightBit):
		case p.Type == "message" || p.Type == "multipart":
			return cannotConvert()
		case p.Type == "text" && p.Encoding != "base64":
			encoding = "quoted-printable"
		default:
			encoding = "base64"
		}
	}
	if encoding == "" && c.sevenBit && (p.Encoding == "8bit" || p.Encoding == "binary") {
		encoding = "7bit"
	}
	changed, err := c.header(header, encoding, root, look.eightBit)
	if err != nil {
		return err
	}
	if changed != nil {
		if signed {
			return cannotConvert()
		}
		c.edits = append(c.edits, edit{p.Offset, p.BodyOffset(), func(w io.Writer) error {
			_, err := w.Write(changed)
			return err
		}})
	}
	if encoding == "quoted-printable" || encoding == "base64" {
		c.edits = append(c.edits, edit{p.BodyOffset(), p.BodyOffset() + p.Size, func(w io.Writer) error {
			return encode(w, p.Decode(io.NewSectionReader(c.raw, p.BodyOffset(), p.Size)), encoding)
		}})
	}
	signed = signed || p.Type == "multipart" && (p.Subtype == "signed" || p.Subtype == "encrypted")
	for _, child := range p.Children {
		if err := c.part(child, false, signed); err != nil {
			return err
		}
	}
	return nil
}

// header gives a part's new header, or nil when it may stay.
func (c *conversion) header(header []byte, encoding string, root, eightBit bool) ([]byte, error) {
	look := &inspector{}
	_, _ = look.Write(header) // it never fails
	if c.sevenBit && look.eightBit {
		return nil, cannotConvert()
	}
	if encoding == "" && !look.long {
		return nil, nil
	}
	if encoding != "" {
		fields := message.HeaderFields(header, []string{"Content-Transfer-Encoding"}, true)
		fields = bytes.TrimSuffix(fields, []byte("\r\n")) // the blank line
		if root && len(message.Field(fields, "MIME-Version")) == 0 {
			fields = append(fields, "MIME-Version: 1.0\r\n"...)
			if eightBit && len(message.Field(fields, "Content-Type")) == 0 {
				fields = append(fields, "Content-Type: text/plain; charset=unknown-8bit\r\n"...) // RFC 1428 §3
			}
		}
		header = append(fields, "Content-Transfer-Encoding: "+encoding+"\r\n\r\n"...)
	}
	return foldLines(header)
}

// foldLines breaks long header lines where they hold white space, which
// changes nothing of what they mean (RFC 5322 §2.2.3).
func foldLines(header []byte) ([]byte, error) {
	var out []byte
	for line := range bytes.Lines(header) {
		for len(bytes.TrimRight(line, "\r\n")) > maxLine {
			at := bytes.LastIndexAny(line[:maxLine], " \t")
			if at < 1 || len(bytes.TrimSpace(line[:at])) == 0 {
				return nil, never("6.0", "the message's header has a line that is too long to be sent")
			}
			out = append(append(out, line[:at]...), "\r\n"...)
			line = line[at:]
		}
		out = append(out, line...)
	}
	return out, nil
}

// encode writes a decoded body anew.
func encode(w io.Writer, body io.Reader, encoding string) error {
	var e io.WriteCloser
	lines := &wrapper{w: w}
	if encoding == "base64" {
		e = base64.NewEncoder(base64.StdEncoding, lines)
	} else {
		e = quotedprintable.NewWriter(w)
	}
	if _, err := io.Copy(e, body); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	return lines.close()
}

// wrapper breaks base64 into lines of 76 (RFC 2045 §6.8).
type wrapper struct {
	w io.Writer
	n int
}

func (l *wrapper) Write(b []byte) (int, error) {
	const width = 76
	total := len(b)
	for len(b) > 0 {
		k := min(len(b), width-l.n)
		if _, err := l.w.Write(b[:k]); err != nil {
			return 0, err
		}
		if l.n += k; l.n == width {
			if _, err := io.WriteString(l.w, "\r\n"); err != nil {
				return 0, err
			}
			l.n = 0
		}
		b = b[k:]
	}
	return total, nil
}

func (l *wrapper) close() error {
	if l.n == 0 {
		return nil
	}
	_, err := io.WriteString(l.w, "\r\n")
	return err
}

// inspector looks for what may not be sent.
type inspector struct {
	eightBit, long bool
	line           int
}

func (i *inspector) Write(b []byte) (int, error) {
	for _, c := range b {
		switch {
		case c == '\n':
			i.line = 0
			continue
		case c >= 0x80:
			i.eightBit = true
		}
		if i.line++; i.line > maxLine && c != '\r' {
			i.long = true
		}
	}
	return len(b), nil
}
