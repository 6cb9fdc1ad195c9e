package store

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	minNarrowing = 3   // characters of a word's piece worth looking up
	maxExpansion = 400 // words that a piece may stand for
)

// narrow says, for a folded text, which bodies may contain it. Where the
// index cannot tell, the answer is yes.
func (s *Store) narrow(ctx context.Context, folded string) (func(BlobID) bool, error) {
	any := func(BlobID) bool { return true }
	if !s.fts.available {
		return any, nil
	}
	// upto is read before the words are looked up: what is indexed after that
	// is then looked at although the index may know it by now.
	upto, err := s.indexedUpTo(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for at, run := range runs(folded) {
		begins, ends := at > 0, at+len(run) < len(folded) // with what stands beside it, so do words
		switch {
		case run[0] >= utf8.RuneSelf:
			for pair := range pairs(run) {
				all = append(all, quoteToken(pair))
			}
		case begins && ends:
			all = append(all, quoteToken(run))
		case begins:
			all = append(all, quoteToken(run)+"*")
		case len(run) >= minNarrowing:
			words, err := s.wordsWith(ctx, run, ends)
			if err != nil {
				return nil, err
			}
			if words != "" {
				all = append(all, words)
			}
		}
	}
	if len(all) == 0 {
		return any, nil
	}
	ids, err := list(ctx, s.readers, scanOne[BlobID], `SELECT rowid FROM fts WHERE fts MATCH $1`,
		quoteToken(markToken)+" OR ("+strings.Join(all, " AND ")+")")
	if err != nil {
		return nil, fmt.Errorf("ask the search index: %w", err)
	}
	set := make(map[BlobID]struct{}, len(ids))
	for _, id := range ids {
		set[id] = struct{}{}
	}
	return func(id BlobID) bool {
		_, ok := set[id]
		return ok || id > upto
	}, nil
}

// wordsWith asks the index for the words that have a piece in them, or at their
// end. It is "" when they are too many.
func (s *Store) wordsWith(ctx context.Context, piece string, atEnd bool) (string, error) {
	pattern := "*" + piece // of letters and digits, which mean themselves
	if !atEnd {
		pattern += "*"
	}
	words, err := list(ctx, s.readers, scanOne[string], `SELECT term FROM fts_words WHERE term GLOB $1 LIMIT $2`, pattern, maxExpansion+1)
	if err != nil {
		return "", fmt.Errorf("look up %q: %w", piece, err)
	}
	switch {
	case len(words) > maxExpansion:
		return "", nil
	case len(words) == 0:
		return quoteToken(markToken), nil // nothing but marked messages
	}
	for i := range words {
		words[i] = quoteToken(words[i])
	}
	return "(" + strings.Join(words, " OR ") + ")", nil
}

func quoteToken(t string) string { return `"` + t + `"` }
