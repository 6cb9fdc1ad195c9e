package message

import "strings"

// DecodeHeader makes unfolded header text readable: encoded words (RFC 2047)
// are decoded from any charset, raw 8-bit text is guessed. The result is valid
// UTF-8 on one line.
//
// Neighbours of the same charset are joined as octets before they are decoded,
// since many senders cut words in the middle of a character or of an escape.
// Words are found wherever they stand, inside quotes and beside text too. What
// cannot be decoded is shown as it is.
func DecodeHeader(s string) string {
	s = toUTF8(s)
	if !strings.Contains(s, "=?") {
		return clean(s)
	}
	var out strings.Builder
	var run encodedRun
	for s != "" {
		i := strings.Index(s, "=?")
		if i < 0 {
			break
		}
		w, n, ok := cutEncodedWord(s[i:])
		if !ok {
			run.flush(&out)
			out.WriteString(s[:i+n])
			s = s[i+n:]
			continue
		}
		if gap := s[:i]; strings.Trim(gap, " \t\r\n") != "" || !run.joins(w) {
			between := strings.Trim(gap, " \t\r\n") != "" || run.charset == ""
			run.flush(&out)
			if between {
				out.WriteString(gap)
			}
		}
		run.add(w, s[i:i+n])
		s = s[i+n:]
	}
	run.flush(&out)
	out.WriteString(s)
	return clean(out.String())
}

type encodedWord struct {
	charset string
	octets  []byte
}

// encodedRun is a row of words in one charset.
type encodedRun struct {
	charset string
	octets  []byte
	source  strings.Builder
}

func (r *encodedRun) joins(w encodedWord) bool {
	return r.charset != "" && strings.EqualFold(r.charset, w.charset)
}

func (r *encodedRun) add(w encodedWord, source string) {
	r.charset = w.charset
	r.octets = append(r.octets, w.octets...)
	if r.source.Len() > 0 {
		r.source.WriteByte(' ')
	}
	r.source.WriteString(source)
}

// flush writes what the run says, or its source when its charset is unknown.
func (r *encodedRun) flush(out *strings.Builder) {
	if r.charset == "" {
		return
	}
	switch d := charsetDecoder(r.charset); {
	case d != nil:
		out.WriteString(decodeAll(choose(r.charset, r.octets, true), r.octets))
	case is7bit(r.octets) || isASCIIName(r.charset):
		out.WriteString(toUTF8(string(r.octets)))
	default:
		out.WriteString(r.source.String())
	}
	*r = encodedRun{octets: r.octets[:0]}
}

func isASCIIName(charset string) bool {
	charset = strings.ToLower(charset)
	return charset == "us-ascii" || charset == "ascii" || strings.Contains(charset, "unknown") || charset == "default"
}

// cutEncodedWord reads the encoded word at the start of s, which begins with
// "=?", and returns its length. When it is not ok, that much of s is text: all
// that was read to find it out, so that reading stays linear.
func cutEncodedWord(s string) (w encodedWord, n int, ok bool) {
	const maxCharset = 64
	rest := s[2:]
	q := strings.IndexByte(rest[:min(len(rest), maxCharset)], '?')
	if q <= 0 || len(rest) < q+3 || rest[q+2] != '?' {
		return w, 2, false
	}
	w.charset, _, _ = strings.Cut(rest[:q], "*") // RFC 2231 §5: the language
	if w.charset == "" || strings.ContainsAny(w.charset, " \t=<>\"") {
		return w, 2, false
	}
	encoding, text := lower(rest[q+1]), rest[q+3:]
	if encoding != 'b' && encoding != 'q' {
		return w, 2, false
	}
	end := strings.Index(text, "?=")
	if end < 0 {
		return w, len(s), false
	}
	text = text[:end]
	n = len(s) - len(rest) + q + 3 + end + 2
	if encoding == 'q' {
		w.octets = decodeQ(text)
	} else if w.octets = decodeB(text); len(w.octets) == 0 && text != "" {
		return w, n, false
	}
	return w, n, true
}

func decodeQ(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '_':
			out = append(out, ' ')
		case c == '=' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			out = append(out, hexValue(s[i+1])<<4|hexValue(s[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

// decodeB decodes base64 leniently: other octets are skipped, padding may be
// missing or stand between two pieces.
func decodeB(s string) []byte {
	out := make([]byte, 0, len(s)*3/4+3)
	var d base64State
	for i := 0; i < len(s); i++ {
		out = d.add(out, s[i])
	}
	return d.flush(out)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func hexValue(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
