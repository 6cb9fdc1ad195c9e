package imapd

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// wholeBody is up to what size a message is read at once.
const wholeBody = 64 << 10

// Fetch is FETCH and UID FETCH (RFC 9051 §6.4.5). What arrival has computed is
// served as it is; bodies are opened only where their octets are asked for.
func (s *session) Fetch(w *imapserver.FetchWriter, set imap.NumSet, o *imap.FetchOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	box, err := s.current()
	if err != nil {
		return err
	}
	f := &fetch{session: s, box: box, w: w, o: o}
	if err := f.plan(); err != nil {
		return err
	}
	uids, err := box.view.pick(set, box.saved)
	if err != nil || len(uids) == 0 {
		return err
	}
	err = s.store.Each(s.ctx, box.id, uids, f.want, f.message)
	if err := errors.Join(err, f.markSeen()); err != nil {
		return s.reply("fetch", err)
	}
	if _, numbers := set.(imap.SeqSet); numbers && f.served < len(uids) { // RFC 2180 §4.1.2
		return s.reply("fetch", store.ErrExpunged)
	}
	if f.unknownCTE {
		return no(imap.ResponseCodeUnknownCTE, "A part is encoded in an unknown way")
	}
	return nil
}

// fetch is one FETCH command.
type fetch struct {
	*session
	box *selected
	w   *imapserver.FetchWriter
	o   *imap.FetchOptions

	want       store.Want
	bodies     bool // octets are asked for that are not in the stored header
	sees       bool // what is fetched becomes \Seen
	seen       []store.UID
	served     int
	unknownCTE bool
	through    []byte // what octets are copied through, for all messages
}

// plan decides what to load for each message.
func (f *fetch) plan() error {
	if f.o.Envelope {
		f.want |= store.WantEnvelope
	}
	if f.o.BodyStructure != nil {
		f.want |= store.WantStructure
	}
	for _, section := range f.o.BodySection {
		if err := checkSection(section); err != nil {
			return err
		}
		switch {
		case isHeader(section):
			f.want |= store.WantHeader
		case len(section.Part) > 0 || section.Specifier != imap.PartSpecifierNone:
			f.want |= store.WantStructure
			f.bodies = true
		default:
			f.bodies = true
		}
		f.sees = f.sees || !section.Peek
	}
	for _, section := range f.o.BinarySection {
		if err := checkPart(section.Part, section.Partial); err != nil {
			return err
		}
		f.want |= store.WantStructure
		f.bodies = true
		f.sees = f.sees || !section.Peek
	}
	for _, section := range f.o.BinarySectionSize {
		if err := checkPart(section.Part, nil); err != nil {
			return err
		}
		f.want |= store.WantStructure
		f.bodies = true
	}
	f.sees = f.sees && !f.box.readOnly
	return nil
}

// isHeader reports whether a section is answered from the message's header.
func isHeader(section *imap.FetchItemBodySection) bool {
	return section.Specifier == imap.PartSpecifierHeader && len(section.Part) == 0
}

// message answers for one message. Everything that can fail is done before the
// first octet of the answer, because a literal once announced must be sent. Once
// begun, the answer must be closed: the library holds a lock until then.
func (f *fetch) message(m *store.Message) error {
	seq, ok := f.box.view.seq(m.UID)
	if !ok {
		return nil
	}
	b, err := f.open(m)
	if errors.Is(err, store.ErrExpunged) {
		return nil
	}
	if err != nil {
		return err
	}
	defer b.close()
	sections, err := f.sections(b)
	if err != nil {
		return err
	}
	binaries, err := f.binaries(b)
	if err != nil {
		return err
	}
	if f.o.Flags {
		if err := f.announce(f.box, m.Flags); err != nil {
			return err
		}
	}

	w := f.w.CreateMessage(seq)
	f.attributes(w, m)
	for _, p := range append(sections, binaries...) {
		if err := p.send(w); err != nil {
			f.conn.kill() // the client waits for octets that will not come
			return errors.Join(err, w.Close())
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	f.served++
	if f.sees && !m.Flags.Has(store.Seen) {
		f.seen = append(f.seen, m.UID)
	}
	return nil
}

// attributes writes what needs no octets of the message.
func (f *fetch) attributes(w *imapserver.FetchResponseWriter, m *store.Message) {
	if f.o.UID {
		w.WriteUID(imap.UID(m.UID))
	}
	if f.o.Flags {
		w.WriteFlags(flagsOf(m.Flags))
	}
	if f.o.InternalDate {
		w.WriteInternalDate(m.Received.In(time.UTC))
	}
	if f.o.RFC822Size {
		w.WriteRFC822Size(m.Size)
	}
	if f.o.Envelope {
		w.WriteEnvelope(envelope(m.Envelope))
	}
	if f.o.BodyStructure != nil {
		w.WriteBodyStructure(bodyStructure(m.Structure))
	}
}

// markSeen sets \Seen on what has been sent, and tells so. It is done at the
// end: a mail that did not reach its reader is still unread.
func (f *fetch) markSeen() error {
	if len(f.seen) == 0 {
		return nil
	}
	now, err := f.store.SetFlags(f.ctx, f.box.id, f.seen, store.AddFlags, store.Flags{System: store.Seen})
	if err != nil {
		return err
	}
	return f.tellStored(f.box, now, false)
}

// body is the octets of one message, as far as they are needed.
type body struct {
	io.ReaderAt
	m     *store.Message
	close func()
}

func (f *fetch) open(m *store.Message) (*body, error) {
	b := &body{m: m, close: func() {}}
	if !f.bodies && (f.want&store.WantHeader == 0 || m.Header != nil) {
		return b, nil
	}
	data, err := f.store.ReadBody(f.ctx, m.Blob, wholeBody)
	if err != nil {
		return nil, err
	}
	if data != nil {
		b.ReaderAt = bytes.NewReader(data)
		return b, nil
	}
	long, err := f.store.OpenBody(f.ctx, m.Blob)
	if err != nil {
		return nil, err
	}
	b.ReaderAt, b.close = long, func() { long.Close() }
	return b, nil
}

// structure is the message's, also where it was not loaded: for a header that
// is too large to be stored apart.
func (f *fetch) structure(m *store.Message) (*message.Part, error) {
	if m.Structure != nil {
		return m.Structure, nil
	}
	root := (*message.Part)(nil)
	err := f.store.Each(f.ctx, f.box.id, []store.UID{m.UID}, store.WantStructure, func(m *store.Message) error {
		root = m.Structure
		return nil
	})
	if err == nil && root == nil {
		err = store.ErrExpunged
	}
	return root, err
}

// piece is an item that is sent as a literal.
type piece struct {
	begin func(w *imapserver.FetchResponseWriter) io.WriteCloser
	write func(w io.Writer) error
	plain func(w *imapserver.FetchResponseWriter) // instead, for a number
}

func (p *piece) send(w *imapserver.FetchResponseWriter) error {
	if p.plain != nil {
		p.plain(w)
		return nil
	}
	lit := p.begin(w)
	return errors.Join(p.write(lit), lit.Close())
}

// sections prepares BODY[…] and its older spellings.
func (f *fetch) sections(b *body) ([]*piece, error) {
	var all []*piece
	for _, section := range f.o.BodySection {
		r, whole, err := f.section(b, section)
		if err != nil {
			return nil, err
		}
		part := cut(whole.n, section.Partial)
		all = append(all, &piece{
			begin: func(w *imapserver.FetchResponseWriter) io.WriteCloser {
				return w.WriteBodySection(section, part.n)
			},
			write: func(w io.Writer) error {
				if f.through == nil {
					f.through = make([]byte, 32<<10)
				}
				_, err := io.CopyBuffer(w, io.NewSectionReader(r, whole.off+part.off, part.n), f.through)
				return err
			},
		})
	}
	return all, nil
}

// section finds the octets of a section and what to read them from.
func (f *fetch) section(b *body, section *imap.FetchItemBodySection) (io.ReaderAt, span, error) {
	r, where := b.ReaderAt, span{0, b.m.Size}
	var header []byte
	switch {
	case isHeader(section) && b.m.Header != nil:
		header = b.m.Header
		r, where = bytes.NewReader(header), span{0, int64(len(header))}
	case len(section.Part) > 0 || section.Specifier != imap.PartSpecifierNone:
		root, err := f.structure(b.m)
		if err != nil {
			return nil, span{}, err
		}
		where = locate(root, b.m.Size, section)
	}
	if !filtered(section) || where.n == 0 {
		return r, where, nil
	}
	if header == nil {
		var err error
		if header, err = io.ReadAll(io.NewSectionReader(r, where.off, where.n)); err != nil {
			return nil, span{}, err
		}
	}
	fields := filter(header, section)
	return bytes.NewReader(fields), span{0, int64(len(fields))}, nil
}

// binaries prepares BINARY[…] and BINARY.SIZE[…] (RFC 3516). How long decoded
// octets are is known only when they have been decoded once.
func (f *fetch) binaries(b *body) ([]*piece, error) {
	var all []*piece
	for _, section := range f.o.BinarySection {
		open, size, err := f.decoded(b, section.Part)
		if err != nil {
			return nil, err
		}
		if open == nil {
			continue
		}
		part := cut(size, section.Partial)
		all = append(all, &piece{
			begin: func(w *imapserver.FetchResponseWriter) io.WriteCloser {
				return w.WriteBinarySection(section, part.n)
			},
			write: func(w io.Writer) error { return skipCopy(w, open(), part) },
		})
	}
	for _, section := range f.o.BinarySectionSize {
		open, size, err := f.decoded(b, section.Part)
		if err != nil {
			return nil, err
		}
		if open == nil {
			continue
		}
		all = append(all, &piece{plain: func(w *imapserver.FetchResponseWriter) {
			w.WriteBinarySectionSize(section, uint32(size))
		}})
	}
	return all, nil
}

// decoded gives a part with its transfer encoding undone, or nil when that
// cannot be done.
func (f *fetch) decoded(b *body, part []int) (open func() io.Reader, size int64, err error) {
	if len(part) == 0 { // the message itself
		return func() io.Reader { return io.NewSectionReader(b, 0, b.m.Size) }, b.m.Size, nil
	}
	root, err := f.structure(b.m)
	if err != nil {
		return nil, 0, err
	}
	p := root.Find(part)
	if p == nil {
		return func() io.Reader { return bytes.NewReader(nil) }, 0, nil
	}
	if !decodable(p) {
		f.unknownCTE = true
		return nil, 0, nil
	}
	where := bodyOf(p)
	open = func() io.Reader { return p.Decode(io.NewSectionReader(b, where.off, where.n)) }
	size, err = io.Copy(io.Discard, open())
	return open, size, err
}
