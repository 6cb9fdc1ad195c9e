package webd

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/mail"
	"net/textproto"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// letter is a message that is being written.
type letter struct {
	ID          string // of its Message-ID, without brackets
	Date        time.Time
	From        message.Address
	To, Cc, Bcc []message.Address
	Subject     string
	Text        string
	InReplyTo   string
	References  []string
	Files       []enclosure
}

// enclosure is a file to be sent with a letter.
type enclosure struct {
	Name string
	Type string // "" is found out from the name
	Size int64
	Open func() (io.ReadCloser, error)
}

// recipients are all addresses, each as it was given.
func (l *letter) recipients() []message.Address { return slices.Concat(l.To, l.Cc, l.Bcc) }

// errHeader: a field holds what would end it. Browsers never send that in a
// line of a form.
var errHeader = &problem{http.StatusBadRequest, "error.header"}

// singleLine refuses text that is not one line of a header.
func singleLine(texts ...string) error {
	for _, s := range texts {
		if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\t' || r == '\u2028' || r == '\u2029' }) || !utf8.ValidString(s) {
			return errHeader
		}
	}
	return nil
}

// write writes the letter as a message, without Bcc and trace fields.
func (l *letter) write(w io.Writer) error {
	if err := singleLine(l.Subject, l.ID, l.InReplyTo); err != nil {
		return err
	}
	var h bytes.Buffer
	field(&h, "From", addressList([]message.Address{l.From}))
	field(&h, "To", addressList(l.To))
	field(&h, "Cc", addressList(l.Cc))
	field(&h, "Subject", encoded(l.Subject))
	field(&h, "Date", message.NewDate(l.Date))
	field(&h, "Message-ID", "<"+l.ID+">")
	if l.InReplyTo != "" {
		field(&h, "In-Reply-To", "<"+l.InReplyTo+">")
	}
	if len(l.References) > 0 {
		field(&h, "References", "<"+strings.Join(l.References, ">\r\n <")+">")
	}
	field(&h, "MIME-Version", "1.0")
	field(&h, "User-Agent", "yubin")
	if _, err := w.Write(h.Bytes()); err != nil {
		return err
	}
	if len(l.Files) == 0 {
		return l.writeText(func(h textproto.MIMEHeader) (io.Writer, error) { return w, writeFields(w, h) })
	}
	parts := multipart.NewWriter(w)
	kind := mime.FormatMediaType("multipart/mixed", map[string]string{"boundary": parts.Boundary()})
	if err := writeFields(w, textproto.MIMEHeader{"Content-Type": {kind}}); err != nil {
		return err
	}
	if err := l.writeText(parts.CreatePart); err != nil {
		return err
	}
	for _, f := range l.Files {
		if err := f.write(parts); err != nil {
			return err
		}
	}
	return parts.Close()
}

// writeFields writes the last fields of a header, and its end.
func writeFields(w io.Writer, h textproto.MIMEHeader) error {
	var b bytes.Buffer
	for _, name := range []string{"Content-Type", "Content-Transfer-Encoding"} {
		if v := h.Get(name); v != "" {
			field(&b, name, v)
		}
	}
	b.WriteString("\r\n")
	_, err := w.Write(b.Bytes())
	return err
}

func (l *letter) writeText(create func(textproto.MIMEHeader) (io.Writer, error)) error {
	text := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(strings.ToValidUTF8(l.Text, "\uFFFD"), "\r\n", "\n"), "\r", "\n"), "\x00", "")
	text = strings.ReplaceAll(strings.TrimRight(text, "\n")+"\n", "\n", "\r\n")
	wide := 0
	for _, r := range text {
		if r > unicode.MaxASCII {
			wide++
		}
	}
	h := textproto.MIMEHeader{"Content-Type": {"text/plain; charset=utf-8"}}
	if wide*6 > len(text) { // then base64 is shorter
		h.Set("Content-Transfer-Encoding", "base64")
		w, err := create(h)
		if err != nil {
			return err
		}
		return writeBase64(w, strings.NewReader(text))
	}
	h.Set("Content-Transfer-Encoding", "quoted-printable")
	w, err := create(h)
	if err != nil {
		return err
	}
	q := quotedprintable.NewWriter(w)
	if _, err := io.WriteString(q, text); err != nil {
		return err
	}
	if err := q.Close(); err != nil {
		return err
	}
	return nil
}

func (f *enclosure) write(parts *multipart.Writer) error {
	kind, params, err := mime.ParseMediaType(f.Type)
	if err != nil || strings.HasPrefix(kind, "multipart/") || strings.HasPrefix(kind, "message/") {
		if kind, params, err = mime.ParseMediaType(mime.TypeByExtension(path.Ext(f.Name))); err != nil {
			kind, params = "application/octet-stream", nil
		}
	}
	if params == nil {
		params = map[string]string{}
	}
	name := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, f.Name)
	params["name"] = name
	h := textproto.MIMEHeader{}
	h.Set("Content-Type", mime.FormatMediaType(kind, params))
	h.Set("Content-Disposition", disposition(name))
	h.Set("Content-Transfer-Encoding", "base64")
	w, err := parts.CreatePart(h)
	if err != nil {
		return err
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	return writeBase64(w, r)
}

// writeBase64 writes lines of 76 characters (RFC 2045 §6.8).
func writeBase64(w io.Writer, r io.Reader) error {
	const octets = 57
	in := make([]byte, octets*64)
	out := make([]byte, 0, 80*64)
	for {
		n, err := io.ReadFull(r, in)
		out = out[:0]
		for piece := range slices.Chunk(in[:n], octets) {
			out = append(base64.StdEncoding.AppendEncode(out, piece), '\r', '\n')
		}
		if _, err := w.Write(out); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// field writes a header field; one without a value is left out. Values are
// folded by whoever made them.
func field(b *bytes.Buffer, name, value string) {
	if value != "" {
		b.WriteString(name + ": " + value + "\r\n")
	}
}

// encoded is text for a header: as it is when it is plain, else as
// encoded-words (RFC 2047). What looks like one already is encoded too, so
// that nobody decodes what was never meant.
func encoded(s string) string {
	plain := !strings.Contains(s, "=?") && len(s) < 900 &&
		!strings.ContainsFunc(s, func(r rune) bool { return r > '~' || r < ' ' })
	if plain {
		return folded(s)
	}
	var wordList []string
	const octets = 45 // of text in one word
	for s != "" {
		n := min(len(s), octets)
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		wordList = append(wordList, "=?UTF-8?B?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return strings.Join(wordList, "\r\n ")
}

// folded breaks a long line at its blanks.
func folded(s string) string {
	const width = 76
	var b strings.Builder
	at := 10 // for the name of the field
	for i, w := range strings.Split(s, " ") {
		if i > 0 {
			if w != "" && at+1+len(w) > width {
				b.WriteString("\r\n")
				at = 0
			}
			b.WriteByte(' ')
			at++
		}
		b.WriteString(w)
		at += len(w)
	}
	return b.String()
}

func addressList(all []message.Address) string {
	var some []string
	for _, a := range all {
		some = append(some, addressField(a))
	}
	return strings.Join(some, ",\r\n ")
}

func addressField(a message.Address) string {
	spec := (&mail.Address{Address: a.Mailbox + "@" + asciiHost(a.Host)}).String() // quotes what needs it
	switch name := a.Name; {
	case name == "":
		return strings.Trim(spec, "<>")
	case strings.Contains(name, "=?") || strings.ContainsFunc(name, func(r rune) bool { return r > '~' || r < ' ' }):
		return encoded(name) + " " + spec
	case strings.ContainsAny(name, `()<>[]:;@\,."`):
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `" ` + spec
	}
	return a.Name + " " + spec
}

// asciiHost is a domain as every mail system knows it.
func asciiHost(host string) string {
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		return ascii
	}
	return host
}

// parseRecipients reads what somebody has typed as recipients. With
// store.ErrBadAddress come those that are addresses.
func parseRecipients(s string) ([]message.Address, error) {
	if err := singleLine(s); err != nil {
		return nil, err
	}
	var all []message.Address
	var bad error
	for _, a := range message.ParseAddresses(strings.NewReplacer("、", ",", ";", ",", "，", ",").Replace(s), maxRecipients+1) {
		if a.Host == "" {
			continue
		}
		if a.Host == message.MissingHost || a.Mailbox == message.MissingMailbox {
			bad = store.ErrBadAddress
			continue
		}
		if err := singleLine(a.Name, a.Mailbox, a.Host); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	if len(all) > maxRecipients {
		return nil, store.ErrLimit
	}
	return all, bad
}

// maxRecipients of one letter.
const maxRecipients = 200
