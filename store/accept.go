package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
)

// A message arrives: Accept and Append read it once (arrival), write its
// bytes once (blob and chunk rows), and in one durable transaction add a row
// to each mailbox and a queue row for each remote recipient.

const (
	// chunkSize is how much of a body one row holds: what a partial FETCH
	// reads at least, and what a reader of a large body holds at most.
	chunkSize = 256 << 10
	// stageSize is the size from which a body is written ahead of the
	// transaction that makes it visible, so that it does not delay small ones.
	stageSize = 1 << 20
)

// Accept keeps a message for all its recipients or for none (I4). When it
// returns nil the mail survives power loss (I9) and may be acknowledged. It
// does not look at quotas: whoever was accepted at RCPT gets the mail. It
// answers ErrNotCanonical, ErrFull, or ErrNoSuchUser when a recipient has
// been deleted meanwhile. A message for nobody is an error too: it would be
// acknowledged and be nowhere.
func (s *Store) Accept(ctx context.Context, d Delivery) (Accepted, error) {
	if len(d.Recipients) == 0 {
		return Accepted{}, errors.New("accept a message for nobody")
	}
	in, err := s.receive(ctx, d.Body)
	if err != nil {
		return Accepted{}, err
	}
	defer in.release()
	var acc Accepted
	err = s.write(ctx, func(t *tx) error {
		acc = Accepted{Size: in.size}
		blob, err := t.claim(in)
		if err != nil {
			return err
		}
		acc.Blob = blob
		if acc.Delivered, err = t.deliver(ctx, s, d, in, blob); err != nil {
			return err
		}
		acc.Queued, err = t.enqueue(s, d, blob)
		return err
	})
	if err != nil {
		return Accepted{}, err
	}
	return acc, nil
}

// deliver adds one message row to a mailbox of each local recipient.
func (t *tx) deliver(ctx context.Context, s *Store, d Delivery, in *arrival, blob BlobID) ([]Delivered, error) {
	var all []Delivered
	for _, r := range d.Recipients {
		if r.User == 0 || slices.ContainsFunc(all, func(d Delivered) bool { return d.User == r.User }) {
			continue
		}
		mailbox, err := t.destination(ctx, r.User, d.Junk)
		if err != nil {
			return nil, err
		}
		all = append(all, Delivered{User: r.User, Mailbox: mailbox})
	}
	slices.SortFunc(all, func(a, b Delivered) int { return int(a.Mailbox - b.Mailbox) }) // I8
	for i := range all {
		uids, _, err := t.insert(ctx, all[i].Mailbox, []row{{blob: blob, size: in.size, received: s.now().UnixMilli()}})
		if err != nil {
			return nil, err
		}
		all[i].UID = uids[0]
	}
	return all, nil
}

// destination is the mailbox that mail for a user goes to: INBOX, or the one
// for junk, unless the user has removed it (RFC 6154 §2).
func (t *tx) destination(ctx context.Context, u UserID, junk bool) (id MailboxID, err error) {
	if junk {
		err = t.row(ctx, `SELECT id FROM mailbox WHERE user_id = $1 AND special_use = '\Junk' LIMIT 1`, u).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return id, err
		}
	}
	err = t.row(ctx, `SELECT id FROM mailbox WHERE user_id = $1 AND name = 'INBOX'`, u).Scan(&id)
	return id, found(err, ErrNoSuchUser)
}

// enqueue writes one queue row for each remote recipient.
func (t *tx) enqueue(s *Store, d Delivery, blob BlobID) (n int, err error) {
	now := s.now().UnixMilli()
	for _, r := range d.Recipients {
		if r.User != 0 {
			continue
		}
		_, domain, err := splitAddress(r.Remote)
		if err != nil {
			return n, err
		}
		err = t.must(`INSERT INTO queue (blob_id, sender, recipient, domain, notify, original, ret, envid, utf8, require_tls, created, next)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			blob, cmp.Or(r.Sender, d.Sender), r.Remote, domain, r.DSN.Notify, r.DSN.Original, r.DSN.Return, r.DSN.EnvelopID, d.UTF8, d.RequireTLS, now, now)
		if err != nil {
			return n, err
		}
		n++
	}
	if n > 0 {
		t.then(s.hub.wakeQueue)
	}
	return n, nil
}

// Append puts messages into one mailbox, all or none (RFC 3502). It answers
// ErrNoSuchMailbox, ErrOverQuota, ErrNotCanonical, ErrLimit or ErrFull.
func (s *Store) Append(ctx context.Context, id MailboxID, msgs []Appended) ([]UID, UIDValidity, error) {
	ins := make([]*arrival, len(msgs))
	var total int64
	for i, m := range msgs {
		in, err := s.receive(ctx, m.Body)
		if err != nil {
			return nil, 0, err
		}
		defer in.release()
		ins[i], total = in, total+in.size
	}
	var uids []UID
	var validity UIDValidity
	err := s.write(ctx, func(t *tx) error {
		m, err := readMailbox(ctx, t, id)
		if err != nil {
			return err
		}
		if err := roomFor(ctx, t, m.User, total); err != nil {
			return err
		}
		rows := make([]row, len(msgs))
		for i, a := range msgs {
			blob, err := t.claim(ins[i])
			if err != nil {
				return err
			}
			at := a.Received
			if at.IsZero() {
				at = s.now()
			}
			flags, err := t.learn(ctx, id, a.Flags)
			if err != nil {
				return err
			}
			rows[i] = row{blob: blob, size: ins[i].size, received: at.UnixMilli(), flags: flags}
		}
		uids, validity, err = t.insert(ctx, id, rows)
		return err
	})
	return uids, validity, err
}

// row is a message about to be added to a mailbox.
type row struct {
	blob     BlobID
	size     int64
	received int64 // unix ms
	flags    Flags
}

// insert adds rows to a mailbox under the next UIDs. The mailbox's own row
// is updated first (I2).
func (t *tx) insert(ctx context.Context, id MailboxID, rows []row) ([]UID, UIDValidity, error) {
	var d counters
	for _, r := range rows {
		d.add(r.flags, r.size, 1)
	}
	m, err := t.touch(ctx, id, d, len(rows))
	if err != nil {
		return nil, 0, err
	}
	uids := make([]UID, len(rows))
	for i, r := range rows {
		uids[i] = m.first + UID(i)
		err := t.must(`INSERT INTO message (mailbox_id, uid, modseq, flags, keywords, received, size, blob_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			id, uids[i], m.modseq, r.flags.System, joinKeywords(r.flags.Keywords), r.received, r.size, r.blob)
		if err != nil {
			return nil, 0, err
		}
	}
	return uids, m.validity, nil
}

// counters is how a change moves a mailbox's sums.
type counters struct{ messages, unseen, deleted, size int64 }

func (c *counters) add(f Flags, size, sign int64) {
	c.messages += sign
	c.size += sign * size
	if !f.Has(Seen) {
		c.unseen += sign
	}
	if f.Has(Deleted) {
		c.deleted += sign
	}
}

type touched struct {
	modseq   ModSeq
	first    UID // the first of the new UIDs
	validity UIDValidity
}

// touch takes a mailbox's next modseq and n UIDs: the update that begins
// every change to a mailbox (I2).
func (t *tx) touch(ctx context.Context, id MailboxID, c counters, n int) (touched, error) {
	var m touched
	var next int64
	var user UserID
	err := t.row(ctx, `UPDATE mailbox SET modseq = modseq + 1, uid_next = uid_next + $1, messages = messages + $2, unseen = unseen + $3,
		deleted = deleted + $4, size = size + $5 WHERE id = $6 RETURNING modseq, uid_next, uid_validity, user_id`,
		n, c.messages, c.unseen, c.deleted, c.size, id).Scan(&m.modseq, &next, &m.validity, &user)
	if err != nil {
		return m, found(err, ErrNoSuchMailbox)
	}
	if next > 1<<32-1 {
		return m, fmt.Errorf("mailbox %d has used up its UIDs: %w", id, ErrLimit)
	}
	m.first = UID(next - int64(n))
	t.wake(user)
	return m, nil
}

// arrival is a message that has been read, described and, when it is large,
// written ahead.
type arrival struct {
	s       *Store
	size    int64
	summary *message.Summary
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
	if err != nil {
		in.release()
		if errors.Is(err, message.ErrNotCanonical) {
			err = ErrNotCanonical
		}
		return nil, err
	}
	in.summary = sum.Summary()
	return in, nil
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

// claim makes the body's row, or finishes the row of a staged one.
func (t *tx) claim(in *arrival) (BlobID, error) {
	sum := in.summary
	envelope, err := json.Marshal(&sum.Envelope)
	if err != nil {
		return 0, fmt.Errorf("describe the envelope: %w", err)
	}
	structure, err := json.Marshal(sum.Root)
	if err != nil {
		return 0, fmt.Errorf("describe the structure: %w", err)
	}
	var refs []byte
	if len(sum.References) > 0 {
		if refs, err = json.Marshal(sum.References); err != nil {
			return 0, fmt.Errorf("describe the references: %w", err)
		}
	}
	var header any
	if sum.HeaderSize <= message.MaxHeader {
		header = sum.Header
	}
	ident, thread := idents(sum)
	t.then(in.s.fts.hint)
	id := in.staged
	if id == 0 {
		err := t.row(context.Background(), `INSERT INTO blob (size, claimed, sent, attachments, preview, envelope, refs, structure, header, ident, thread)
			VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id`,
			in.size, sentDate(sum.Envelope.Date), sum.Attachments, sum.Preview, string(envelope), string(refs), string(structure), header, ident, thread).Scan(&id)
		if err != nil {
			return 0, err
		}
		return id, t.chunks(id, 0, in.data)
	}
	t.then(func() { in.claimed = true })
	return id, t.must(`UPDATE blob SET claimed = 1, sent = $1, attachments = $2, preview = $3, envelope = $4, refs = $5, structure = $6, header = $7, ident = $8, thread = $9 WHERE id = $10`,
		sentDate(sum.Envelope.Date), sum.Attachments, sum.Preview, string(envelope), string(refs), string(structure), header, ident, thread, id)
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
