package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
)

const (
	// chunkSize is how much of a body one row holds: what a partial FETCH
	// reads at least, and what a reader of a large body holds at most.
	chunkSize = 256 << 10
	// stageSize is the size from which a body is written ahead of the
	// transaction that makes it visible, so that it does not delay small ones.
	stageSize = 1 << 20
)

// arrival is a message that has been read, described and, when it is large,
// written ahead.
type arrival struct {
	s       *Store
	size    int64
	columns []any  // of its blob row, from sent to thread
	data    []byte // whole, unless staged
	staged  BlobID // chunks are in the file already, unclaimed
	claimed bool
}

// receive reads a message once: it verifies I3, computes the summary, and
// stages a large body.
func (s *Store) receive(ctx context.Context, src Source) (*arrival, error) {
	if err := s.room(ctx, src.Size()); err != nil {
		return nil, err
	}
	r, err := src.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	in := &arrival{s: s, size: src.Size()}
	var verify message.Verifier
	sum := message.NewSummarizer()
	all := io.TeeReader(r, io.MultiWriter(&verify, sum))
	if in.size < stageSize {
		buf := bytes.NewBuffer(make([]byte, 0, in.size+bytes.MinRead))
		_, err = buf.ReadFrom(all)
		in.data = buf.Bytes()
		if err == nil && int64(len(in.data)) != in.size {
			err = io.ErrUnexpectedEOF
		}
	} else {
		err = in.stage(ctx, all)
	}
	if err == nil {
		err = verify.Close()
	}
	if err == nil {
		in.columns, err = describe(sum.Summary())
	}
	if err != nil {
		in.release()
		if errors.Is(err, message.ErrNotCanonical) {
			err = ErrNotCanonical
		}
		return nil, err
	}
	return in, nil
}

// receiveAll reads notices ahead of the transaction that keeps them. Call
// release in any case.
func (s *Store) receiveAll(ctx context.Context, notices []Delivery) (ins []*arrival, release func(), err error) {
	release = func() {
		for _, in := range ins {
			in.release()
		}
	}
	for _, d := range notices {
		in, err := s.receive(ctx, d.Body)
		if err != nil {
			return ins, release, err
		}
		ins = append(ins, in)
	}
	return ins, release, nil
}

// stage writes a large body's chunks in transactions of their own. Until the
// blob is claimed nobody can see it; a crash leaves it to sweepUnclaimed.
func (in *arrival) stage(ctx context.Context, r io.Reader) error {
	var id BlobID // not ours before the commit: undone, it is given out again
	err := in.s.write(ctx, func(t *tx) error {
		return t.row(ctx, `INSERT INTO blob (size, claimed) VALUES ($1, 0) RETURNING id`, in.size).Scan(&id)
	})
	if err != nil {
		return err
	}
	in.staged = id
	var done int64
	buf := make([]byte, stageSize)
	for seq := 0; ; {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if err := in.s.room(ctx, in.size-done); err != nil { // others are being written too
				return err
			}
			first := seq
			if err := in.s.write(ctx, func(t *tx) error { return t.chunks(in.staged, first, buf[:n]) }); err != nil {
				return err
			}
			seq += (n + chunkSize - 1) / chunkSize
			done += int64(n)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if done != in.size {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// release undoes staging when the message was not kept after all.
func (in *arrival) release() {
	if in.staged == 0 || in.claimed {
		return
	}
	err := in.s.write(context.Background(), func(t *tx) error { return t.dropBlobs(in.staged) })
	if err != nil {
		in.s.log.Warn("drop a staged body", "blob", in.staged, "err", err)
	}
}

// describe makes the columns of a blob row that tell of the message. It is done
// before the writer's turn, for which all others wait.
func describe(sum *message.Summary) ([]any, error) {
	envelope, err := json.Marshal(&sum.Envelope)
	if err != nil {
		return nil, fmt.Errorf("describe the envelope: %w", err)
	}
	structure, err := json.Marshal(sum.Root)
	if err != nil {
		return nil, fmt.Errorf("describe the structure: %w", err)
	}
	var refs []byte
	if len(sum.References) > 0 {
		if refs, err = json.Marshal(sum.References); err != nil {
			return nil, fmt.Errorf("describe the references: %w", err)
		}
	}
	var header any
	if sum.HeaderSize <= message.MaxHeader {
		header = sum.Header
	}
	ident, thread := idents(sum)
	return []any{sentDate(sum.Envelope.Date), sum.Attachments, sum.Preview, string(envelope), string(refs), string(structure), header, ident, thread}, nil
}

// claim makes the body's row, or finishes the row of a staged one.
func (t *tx) claim(in *arrival) (BlobID, error) {
	t.then(in.s.fts.hint)
	if in.staged != 0 {
		t.then(func() { in.claimed = true })
		return in.staged, t.must(`UPDATE blob SET sent = $1, attachments = $2, preview = $3, envelope = $4, refs = $5, structure = $6, header = $7, ident = $8, thread = $9,
			claimed = 1 WHERE id = $10`, append(in.columns, in.staged)...)
	}
	made, err := t.exec(`INSERT INTO blob (sent, attachments, preview, envelope, refs, structure, header, ident, thread, size, claimed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1)`, append(in.columns, in.size)...)
	if err != nil {
		return 0, err
	}
	id, err := made.LastInsertId()
	if err != nil {
		return 0, err
	}
	return BlobID(id), t.chunks(BlobID(id), 0, in.data)
}

// sentDate is the Date field's own calendar day as yyyymmdd, or 0: SENTSINCE
// disregards time and zone (RFC 9051 §6.4.4).
func sentDate(t time.Time) int {
	if t.IsZero() {
		return 0
	}
	return t.Year()*10000 + int(t.Month())*100 + t.Day()
}

// chunks writes a piece of a body from chunk number seq on.
func (t *tx) chunks(id BlobID, seq int, data []byte) error {
	for piece := range slices.Chunk(data, chunkSize) {
		if err := t.must(`INSERT INTO chunk (blob_id, seq, data) VALUES ($1, $2, $3)`, id, seq, piece); err != nil {
			return err
		}
		seq++
	}
	return nil
}
