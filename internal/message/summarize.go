package message

import (
	"bytes"
	"io"
)

// More bounds on a summary; see [MaxHeader] and its neighbours.
const (
	maxReferences = 500     // identifiers in References and In-Reply-To
	maxID         = 998     // octets of one identifier
	maxFieldSize  = 1 << 20 // octets of one field that are read
	maxKept       = 4 << 20 // octets that all strings and addresses may take
	maxContent    = 64 << 10

	previewPlain = 4 << 10  // octets of a text part that are kept for the preview
	previewHTML  = 32 << 10 // and of HTML, which begins with its styles
)

// Summarize reads a message once, from beginning to end, and describes it. The
// only errors are those of r.
func Summarize(r io.Reader) (*Summary, error) {
	s := NewSummarizer()
	buf := make([]byte, 32<<10)
	if _, err := io.CopyBuffer(s, struct{ io.Reader }{r}, buf); err != nil {
		return nil, err
	}
	return s.Summary(), nil
}

// Summarizer describes a message that is written to it, in pieces of any size.
// It keeps a few KiB of it beside what the summary holds.
//
// Notes. A message is a stack of frames, the outermost first: a multipart waits
// for its boundary, a message/rfc822 holds another message, the top one is
// being read. A delimiter line ends every frame above the multipart whose
// boundary it has, which may be any of the open ones: parts are often not
// closed. The line end before a delimiter belongs to it (RFC 2046 §5.1.1), so
// a part ends where the line before it does.
type Summarizer struct {
	sum  *Summary
	done bool

	line    []byte // the line that is being read, its first octets
	lineLen int64  // octets of it so far
	start   int64  // where it begins
	lines   int64  // lines before it
	prev    byte   // the last octet seen
	eol     int64  // octets of the line end before it
	content int64  // octets of the line before it, without line end

	stack    []frame
	open     map[string]int // boundary to the innermost frame that waits for it
	inHeader bool           // of the top frame
	field    []byte         // of that header, when it is one that is wanted
	fieldID  fieldID

	parts int
	kept  int // of maxKept

	plain, html sample
	sampling    *sample // what the body being read is copied to
}

// sample is the beginning of a body.
type sample struct {
	part *Part
	buf  []byte
	max  int
}

// NewSummarizer starts a summary.
func NewSummarizer() *Summarizer {
	s := &Summarizer{
		sum:   &Summary{Root: new(Part)},
		parts: 1,
		plain: sample{max: previewPlain},
		html:  sample{max: previewHTML},
	}
	s.push(s.sum.Root, &s.sum.Envelope, false)
	return s
}

// Write takes the next octets of the message. It never fails.
func (s *Summarizer) Write(p []byte) (int, error) {
	if s.done {
		return len(p), nil
	}
	if s.inHeader && len(s.stack) == 1 {
		defer s.keepHeader(p, s.sum.Size)
	}
	s.sum.Size += int64(len(p))
	for b := p; len(b) > 0; {
		if !s.inHeader && len(s.open) == 0 && s.lineLen == 0 && s.sampling == nil {
			s.skip(b)
			break
		}
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			s.extend(b)
			break
		}
		eol := int64(1)
		if end > 0 && b[end-1] == '\r' || end == 0 && s.lineLen > 0 && s.prev == '\r' {
			eol = 2
		}
		if s.lineLen == 0 {
			s.lineLen = int64(end + 1)
			s.endLine(b[:end], eol)
		} else {
			s.extend(b[:end+1])
			s.endLine(s.line, eol)
		}
		s.prev = '\n'
		b = b[end+1:]
	}
	return len(p), nil
}

// keepHeader keeps of p, which begins at an offset, the octets of the message's
// own header.
func (s *Summarizer) keepHeader(p []byte, offset int64) {
	if s.stack[0].inBody {
		p = p[:s.sum.Root.HeaderSize-offset]
	}
	p = p[:min(len(p), MaxHeader-len(s.sum.Header))]
	s.sum.Header = append(s.sum.Header, p...)
}

// extend takes a piece of a line.
func (s *Summarizer) extend(b []byte) {
	if s.lineLen == 0 {
		s.line = s.line[:0]
	}
	s.line = append(s.line, b[:min(len(b), max(0, maxContent+2-len(s.line)))]...)
	s.lineLen += int64(len(b))
	s.prev = b[len(b)-1]
}

// skip takes octets of a body that nothing can follow.
func (s *Summarizer) skip(b []byte) {
	s.lines += int64(bytes.Count(b, []byte{'\n'}))
	last := bytes.LastIndexByte(b, '\n')
	s.start = s.sum.Size - int64(len(b)-last-1)
	if last+1 < len(b) {
		s.extend(b[last+1:])
	}
}

// endLine takes a complete line; eol is the length of its line end, 0 for the
// last line of a message without one.
func (s *Summarizer) endLine(b []byte, eol int64) {
	content := s.lineLen - eol
	b = b[:min(int64(len(b)), content, maxContent)]
	if i, last := s.delimiter(b); i >= 0 {
		s.delimit(i, last)
	} else if s.inHeader {
		s.headerLine(b, eol)
	} else if s.sampling != nil {
		s.sampling.add(b)
		if len(s.sampling.buf) >= s.sampling.max {
			s.sampling = nil
		}
	}
	s.start += s.lineLen
	if eol > 0 {
		s.lines++
	}
	s.eol, s.content, s.lineLen = eol, content, 0
}

func (p *sample) add(line []byte) {
	if p.buf == nil {
		p.buf = make([]byte, 0, previewPlain+1)
	}
	p.buf = append(p.buf, line[:min(len(line), p.max-len(p.buf))]...)
	p.buf = append(p.buf, '\n')
}

// delimiter finds the frame whose boundary the line is, -1 when it is none, and
// whether it closes it. Blanks after the boundary are padding.
func (s *Summarizer) delimiter(b []byte) (i int, last bool) {
	if len(s.open) == 0 || len(b) < 3 || b[0] != '-' || b[1] != '-' {
		return -1, false
	}
	b = bytes.TrimRight(b[2:], " \t")
	i, closing := -1, -1
	if n, ok := s.open[string(b)]; ok {
		i = n
	}
	if b, ok := bytes.CutSuffix(b, []byte("--")); ok {
		if n, ok := s.open[string(b)]; ok {
			closing = n
		}
	}
	if closing > i {
		return closing, true
	}
	return i, false
}

// headerLine takes a line of a header. Only an empty line ends one: a line that
// is no field is skipped, as most readers do.
func (s *Summarizer) headerLine(b []byte, eol int64) {
	if len(b) == 0 && eol > 0 {
		s.endField()
		s.beginBody(s.start + s.lineLen)
		return
	}
	if b[0] == ' ' || b[0] == '\t' {
		if s.fieldID != 0 && len(s.field)+len(b) <= maxFieldSize {
			s.field = append(s.field, b...)
		}
		return
	}
	s.endField()
	name := fieldName(b)
	if name == nil {
		return
	}
	f := &s.stack[len(s.stack)-1]
	id := lookupField(name)
	if id == 0 || f.seen&(1<<id) != 0 && !id.repeats() || id < firstContent && f.envelope == nil {
		return
	}
	f.seen |= 1 << id
	if id == fieldReceived {
		if len(s.stack) == 1 {
			s.sum.Received++
		}
		return
	}
	s.fieldID = id
	s.field = append(s.field[:0], b[bytes.IndexByte(b, ':')+1:]...)
}

// sample starts to keep the beginning of the first text and the first HTML.
func (s *Summarizer) sample(p *Part) {
	var to *sample
	switch p.Type + "/" + p.Subtype {
	case "text/plain", "text/markdown", "text/enriched":
		to = &s.plain
	case "text/html":
		to = &s.html
	default:
		return
	}
	if to.part == nil && !p.IsAttachment() {
		to.part = p
		s.sampling = to
	}
}

// Summary ends the message and returns its description, the same one each time.
func (s *Summarizer) Summary() *Summary {
	if s.done {
		return s.sum
	}
	s.done = true
	if s.lineLen > 0 {
		s.endLine(s.line, 0)
	}
	for len(s.stack) > 0 {
		s.pop(s.sum.Size)
	}
	sum := s.sum
	sum.HeaderSize = sum.Root.HeaderSize
	sum.Preview = s.preview()
	sum.Root.Walk(func(_ []int, p *Part) bool {
		if p.IsAttachment() {
			sum.Attachments++
			return false
		}
		return true
	})
	s.line, s.field, s.plain, s.html, s.open = nil, nil, sample{}, sample{}, nil
	return sum
}
