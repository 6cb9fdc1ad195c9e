package message

import "strings"

// frame is an entity that has begun and not ended.
type frame struct {
	part     *Part
	envelope *Envelope // where the fields of its header go; nil in a mere part
	seen     uint64    // fields by fieldID
	boundary string    // what it waits for, "" when it is not or no more a multipart
	outer    int       // the frame that waits for the same boundary further out, or -1
	lines    int64     // lines before its body
	inBody   bool
	digest   bool // it stands in a multipart/digest
}

// beginBody ends the header of the top frame. What its body is decides what
// comes next.
func (s *Summarizer) beginBody(offset int64) {
	f := &s.stack[len(s.stack)-1]
	p := f.part
	s.inHeader = false
	f.inBody, f.lines = true, s.lines+1
	p.HeaderSize = offset - p.Offset
	s.describe(f)
	switch {
	case p.Type == "multipart":
		boundary := strings.TrimRight(p.Params["boundary"], " \t")
		if len(s.stack) >= MaxDepth {
			p.leaf("application", "octet-stream")
		} else if boundary == "" || len(boundary) > MaxBoundary {
			p.leaf("text", "plain")
			s.sample(p)
		} else {
			s.await(f, boundary)
		}
	case p.Envelope != nil:
		s.parts++
		child := &Part{Offset: offset}
		p.Children = []*Part{child}
		s.push(child, p.Envelope, false)
	default:
		s.sample(p)
	}
}

// describe fills in what the header of a part left open.
func (s *Summarizer) describe(f *frame) {
	p := f.part
	if p.Type == "" {
		p.Type, p.Subtype = "text", "plain"
		if f.digest { // RFC 2046 §5.1.5
			p.Type, p.Subtype = "message", "rfc822"
		} else {
			p.Params = usASCII() // RFC 2045 §5.2
		}
	}
	plain := p.Encoding == "" || p.Encoding == "7bit" || p.Encoding == "8bit" || p.Encoding == "binary"
	if isMessage(p) && plain && len(s.stack) < MaxDepth && s.parts < MaxParts {
		p.Envelope = new(Envelope)
	}
}

func usASCII() map[string]string { return map[string]string{"charset": "us-ascii"} }

// isMessage tells whether the part encloses a message (RFC 2046 §5.2.1 and
// RFC 6532 §3.7).
func isMessage(p *Part) bool {
	return p.Type == "message" && (p.Subtype == "rfc822" || p.Subtype == "global")
}

// delimit ends the frames above the i-th and begins its next part.
func (s *Summarizer) delimit(i int, last bool) {
	for end := s.start - s.eol; len(s.stack) > i+1; {
		end = s.pop(end)
	}
	s.inHeader, s.sampling = false, nil
	f := &s.stack[i]
	if last || s.parts >= MaxParts {
		s.forget(f)
		return
	}
	s.parts++
	child := &Part{Offset: s.start + s.lineLen}
	f.part.Children = append(f.part.Children, child)
	s.push(child, nil, f.part.Subtype == "digest")
}

func (s *Summarizer) push(p *Part, envelope *Envelope, digest bool) {
	s.stack = append(s.stack, frame{part: p, envelope: envelope, digest: digest})
	s.inHeader = true
}

// await makes f wait for its boundary.
func (s *Summarizer) await(f *frame, boundary string) {
	f.boundary, f.outer = boundary, -1
	if outer, ok := s.open[boundary]; ok {
		f.outer = outer
	}
	if s.open == nil {
		s.open = make(map[string]int)
	}
	s.open[boundary] = len(s.stack) - 1
}

// forget ends that: what follows is an epilogue.
func (s *Summarizer) forget(f *frame) {
	if f.boundary == "" {
		return
	}
	if f.outer >= 0 {
		s.open[f.boundary] = f.outer
	} else {
		delete(s.open, f.boundary)
	}
	f.boundary = ""
}

// pop ends the top frame at an offset and returns where it ends in truth: not
// before its header does, whose blank line may be the line end before a
// delimiter.
func (s *Summarizer) pop(end int64) int64 {
	f := &s.stack[len(s.stack)-1]
	p := f.part
	if !f.inBody {
		s.endField()
		end = max(end, p.Offset)
		p.HeaderSize = end - p.Offset
		s.describe(f)
	}
	end = max(end, p.BodyOffset())
	if p.Size = end - p.BodyOffset(); p.Size > 0 {
		p.Lines = s.lines - f.lines
		if end < s.start {
			p.Lines-- // its last line end belongs to the delimiter
		}
		if s.content > 0 && (end < s.start || s.eol == 0) {
			p.Lines++ // the line without one
		}
	}
	s.forget(f)
	if p.Type == "multipart" && len(p.Children) == 0 {
		p.leaf("text", "plain")
	}
	if isMessage(p) && p.Envelope != nil && len(p.Children) == 0 { // cut off before it began
		p.Children = []*Part{{Type: "text", Subtype: "plain", Params: usASCII(), Offset: p.BodyOffset()}}
	}
	s.stack = s.stack[:len(s.stack)-1]
	s.inHeader = false
	return end
}

// leaf describes a multipart as what it is in truth.
func (p *Part) leaf(typ, subtype string) {
	p.Type, p.Subtype, p.Params = typ, subtype, nil
	if typ == "text" {
		p.Params = usASCII()
	}
}
