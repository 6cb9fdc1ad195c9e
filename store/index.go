package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/yubin-mail/yubin/internal/message"
)

// The search index narrows a search; it never decides one.
//
// It is an FTS5 table over tokens cut here: runs of ASCII letters and digits
// are words, and runs of other letters are overlapping pairs, which serves
// scripts without spaces (会議 in 予算会議室) and those with them alike.
// IMAP SEARCH finds substrings. Where what is looked for shows that a word ends,
// the index is asked for that word; a piece of a word is looked up among all
// known words first, or, when the word begins with it, left to the index. A message whose words are not all in the index (too much
// text, a word too long) carries the mark, and is always looked at.
//
// Indexing runs behind deliveries. The row fts_upto in meta says up to which
// blob the index is true; what is newer is looked at. The table is made
// outside the numbered migrations, because SQLite may have been built without
// FTS5 (build tag sqlite_fts5): such a program scans, and one with FTS5
// that comes later catches up and forgets what is gone.
type index struct {
	available bool // in this program
	wake      chan struct{}
}

// markToken stands in every message that the index does not hold whole.
const markToken = "§"

const (
	maxWord        = 64      // octets of a word in the index
	maxIndexedText = 1 << 20 // octets of one message's text in the index
	indexBatch     = 64      // messages per transaction, so that deliveries wait little
	indexDelay     = 200 * time.Millisecond
	indexPatience  = 10 // delays that a busy writer is given between two batches
	busyWriter     = 20 // requests within one delay
)

func (s *Store) openIndex(ctx context.Context) error {
	s.fts.wake = make(chan struct{}, 1)
	var n int
	err := s.readers.row(ctx, `SELECT count(*) FROM pragma_compile_options WHERE compile_options = 'ENABLE_FTS5'`).Scan(&n)
	if err != nil || n == 0 {
		return err
	}
	err = s.write(ctx, func(t *tx) error {
		for _, q := range []string{
			`CREATE VIRTUAL TABLE IF NOT EXISTS fts USING fts5 (tokens, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii')`,
			`CREATE VIRTUAL TABLE IF NOT EXISTS fts_words USING fts5vocab (fts, 'row')`,
			`INSERT INTO meta (name, value) VALUES ('fts_upto', 0) ON CONFLICT (name) DO NOTHING`,
		} {
			if err := t.must(q); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("make the search index: %w", err)
	}
	s.fts.available = true
	return nil
}

func (x *index) hint() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// keepIndex indexes what arrives, a little later.
func (s *Store) keepIndex(ctx context.Context) {
	if !s.fts.available {
		return
	}
	if err := s.forgetIndexed(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("forget removed messages in the search index", "err", err)
	}
	for {
		n, err := s.indexSome(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Error("index messages", "err", err)
		}
		if n < indexBatch || err != nil {
			select {
			case <-ctx.Done():
				return
			case <-s.fts.wake:
			}
		}
		if !s.giveWay(ctx) {
			return
		}
	}
}

// giveWay waits until deliveries leave the processor and the writer some time,
// but not for ever: a search that has to read what is not indexed costs time
// as well. It reports false when ctx has ended.
func (s *Store) giveWay(ctx context.Context) bool {
	for range indexPatience {
		before := s.writer.stats.requests.Load()
		select {
		case <-ctx.Done():
			return false
		case <-time.After(indexDelay):
		}
		if s.writer.stats.requests.Load()-before < busyWriter {
			break
		}
	}
	return true
}

// Index brings the search index up to date now; the serving process does so
// by itself.
func (s *Store) Index(ctx context.Context) error {
	for s.fts.available {
		if n, err := s.indexSome(ctx); err != nil || n < indexBatch {
			return err
		}
	}
	return nil
}

// indexSome indexes the next few messages and returns how many. It stops
// before a body that is still being written: the index is true up to there, so
// no such body has been passed and none need be looked for among those before.
func (s *Store) indexSome(ctx context.Context) (int, error) {
	upto, err := s.indexedUpTo(ctx)
	if err != nil {
		return 0, err
	}
	type doc struct {
		id        BlobID
		structure []byte
		tokens    string
	}
	docs, err := list(ctx, s.readers, func(r scanner) (d doc, err error) {
		err = r.Scan(&d.id, &d.structure)
		return d, err
	}, `SELECT id, structure FROM blob WHERE id > $1 AND id < coalesce((SELECT min(id) FROM blob WHERE id > $1 AND claimed = 0), id + 1) ORDER BY id LIMIT $2`, upto, indexBatch)
	if err != nil || len(docs) == 0 {
		return 0, err
	}
	for i := range docs {
		var root *message.Part
		if err := json.Unmarshal(docs[i].structure, &root); err != nil {
			return 0, fmt.Errorf("structure of body %d: %w", docs[i].id, err)
		}
		if docs[i].tokens, err = s.tokens(ctx, docs[i].id, root); err != nil {
			return 0, err
		}
	}
	err = s.write(ctx, func(t *tx) error {
		for _, d := range docs {
			// Another process may have indexed it meanwhile.
			if err := t.must(`DELETE FROM fts WHERE rowid = $1`, d.id); err != nil {
				return err
			}
			if err := t.must(`INSERT INTO fts (rowid, tokens) VALUES ($1, $2)`, d.id, d.tokens); err != nil {
				return err
			}
		}
		return t.must(`UPDATE meta SET value = max(value, $1) WHERE name = 'fts_upto'`, docs[len(docs)-1].id)
	})
	return len(docs), err
}

func (s *Store) indexedUpTo(ctx context.Context) (id BlobID, err error) {
	err = s.readers.row(ctx, `SELECT value FROM meta WHERE name = 'fts_upto'`).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

// forgetIndexed removes what a program without FTS5 has deleted meanwhile.
func (s *Store) forgetIndexed(ctx context.Context) error {
	stale, err := list(ctx, s.readers, scanOne[BlobID], `SELECT rowid FROM fts WHERE rowid NOT IN (SELECT id FROM blob)`)
	if err != nil {
		return err
	}
	for ids := range slices.Chunk(stale, 100) {
		err := s.write(ctx, func(t *tx) error {
			for _, id := range ids {
				if err := t.must(`DELETE FROM fts WHERE rowid = $1`, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tokens gives all tokens of a message's header and text, each once.
func (s *Store) tokens(ctx context.Context, id BlobID, root *message.Part) (string, error) {
	body, err := s.OpenBody(ctx, id)
	if err != nil {
		return "", gone(err)
	}
	defer body.Close()
	c := cutter{seen: map[string]struct{}{}}
	head, err := io.ReadAll(io.LimitReader(body.Section(0, root.HeaderSize), message.MaxHeader))
	if err != nil {
		return "", gone(err)
	}
	if root.HeaderSize > message.MaxHeader {
		c.add(markToken)
	}
	c.cut(message.Fold(message.DecodedHeader(head)))
	left := int64(maxIndexedText)
	err = message.ReadText(body, root, body.Size(), maxIndexedText+1, func(_ *message.Part, r io.Reader) error {
		var text strings.Builder
		n, err := io.Copy(&text, io.LimitReader(message.FoldReader(r), left))
		if left -= n; left <= 0 {
			c.add(markToken)
		}
		c.cut(text.String())
		return err
	})
	return c.out.String(), gone(err)
}

// cutter collects tokens, each once.
type cutter struct {
	seen map[string]struct{}
	out  strings.Builder
}

func (c *cutter) add(token string) {
	if _, ok := c.seen[token]; ok {
		return
	}
	c.seen[strings.Clone(token)] = struct{}{}
	c.out.WriteString(token)
	c.out.WriteByte(' ')
}

func (c *cutter) cut(folded string) {
	for _, run := range runs(folded) {
		switch {
		case run[0] >= utf8.RuneSelf:
			for pair := range pairs(run) {
				c.add(pair)
			}
		case len(run) <= maxWord:
			c.add(run)
		default:
			c.add(markToken)
		}
	}
}

// runs cuts folded text into runs of ASCII letters and digits and runs of
// other letters, digits and marks, and says where they begin. What is neither
// separates.
func runs(s string) func(yield func(int, string) bool) {
	const (
		none = iota
		ascii
		other
	)
	kind := func(r rune) int {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			return ascii
		case r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)):
			return other
		}
		return none
	}
	return func(yield func(int, string) bool) {
		start, was := 0, none
		for i, r := range s {
			k := kind(r)
			if k == was {
				continue
			}
			if was != none && !yield(start, s[start:i]) {
				return
			}
			start, was = i, k
		}
		if was != none {
			yield(start, s[start:])
		}
	}
}

// pairs gives the overlapping pairs of a run's characters.
func pairs(run string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		_, w := utf8.DecodeRuneInString(run)
		for i, j := 0, w; j < len(run); {
			_, next := utf8.DecodeRuneInString(run[j:])
			if !yield(run[i : j+next]) {
				return
			}
			i, j = j, j+next
		}
	}
}
