package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// limitPages lets the file have n more pages, or any number when n is
// negative: SQLite answers what it answers on a full disk.
func limitPages(t *testing.T, s *Store, n int) {
	t.Helper()
	err := s.write(context.Background(), func(t *tx) error {
		var pages int
		if err := t.row(context.Background(), `PRAGMA page_count`).Scan(&pages); err != nil {
			return err
		}
		limit := pages + n
		if n < 0 {
			limit = 1 << 30
		}
		_, err := t.w.conn.ExecContext(context.Background(), fmt.Sprintf(`PRAGMA max_page_count = %d`, limit))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The disk has room for n pages more, for every n until all fits. Whatever is
// refused is refused as ErrFull and leaves nothing, whatever is acknowledged is
// there, removing works, and when there is room again all goes on.
func TestDiskFullAtEveryPage(t *testing.T) {
	large := Bytes("Subject: large\r\n\r\n" + strings.Repeat("a line of a large message\r\n", 50_000))
	small := Bytes("Subject: small\r\n\r\n" + strings.Repeat("a line of a small message\r\n", 400))
	for n := 0; ; n = n*5/4 + 1 {
		s := openFault(t)
		ctx := t.Context()
		u, err := s.CreateUser(ctx, NewUser{Address: "ada@example.test", Password: "secret"})
		if err != nil {
			t.Fatal(err)
		}
		in, err := s.Mailbox(ctx, u.ID, "INBOX")
		if err != nil {
			t.Fatal(err)
		}
		first, err := s.Accept(ctx, Delivery{Body: small, Recipients: []Recipient{{User: u.ID}}})
		if err != nil {
			t.Fatal(err)
		}
		limitPages(t, s, n)
		there := []UID{first.Delivered[0].UID}
		full := 0
		check := func(what string, err error) bool {
			if err != nil && !errors.Is(err, ErrFull) {
				t.Errorf("room for %d pages: %s: %v, want ErrFull", n, what, err)
			}
			if err != nil {
				full++
			}
			return err == nil
		}
		for _, body := range []Bytes{small, large} {
			acc, err := s.Accept(ctx, Delivery{Body: body, Recipients: []Recipient{{User: u.ID}}})
			if check("accept", err) {
				there = append(there, acc.Delivered[0].UID)
			}
			acc, err = s.Accept(ctx, Delivery{Body: body, Recipients: []Recipient{{User: u.ID}}}, Delivery{Body: body, Recipients: []Recipient{{User: u.ID}}})
			if check("accept with a notice", err) {
				there = append(there, acc.Delivered[0].UID, acc.Delivered[0].UID+1)
			}
			uids, _, err := s.Append(ctx, in.ID, []Appended{{Body: body, Flags: Flags{Keywords: []string{"k"}}}, {Body: body}})
			if check("append", err) {
				there = append(there, uids...)
			}
		}
		if pairs, _, err := s.Copy(ctx, in.ID, there[:1], in.ID); check("copy", err) {
			there = append(there, pairs[0].To)
		}
		if gone, err := s.Remove(ctx, in.ID, there[:1]); err != nil || len(gone) != 1 {
			t.Errorf("room for %d pages: remove: %v %v", n, gone, err)
		}
		there = there[1:]
		if err := s.IntegrityCheck(ctx); err != nil {
			t.Error(err)
		}
		limitPages(t, s, -1)
		acc, err := s.Accept(ctx, Delivery{Body: small, Recipients: []Recipient{{User: u.ID}}})
		if err != nil {
			t.Fatalf("room for %d pages: and with room again: %v", n, err)
		}
		there = append(there, acc.Delivered[0].UID)
		sn, err := s.Snapshot(ctx, in.ID)
		if err != nil || !slices.Equal(sn.UIDs, there) {
			t.Errorf("room for %d pages: the mailbox has %v, acknowledged were %v; %v", n, sn.UIDs, there, err)
		}
		var loose int
		if err := s.readers.row(ctx, `SELECT count(*) FROM blob WHERE claimed = 0`).Scan(&loose); err != nil || loose != 0 {
			t.Errorf("room for %d pages: %d unclaimed bodies left, %v", n, loose, err)
		}
		s.Close()
		if full == 0 {
			t.Logf("all fits into %d pages", n)
			return
		}
	}
}
