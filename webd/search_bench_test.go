package webd

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// BenchmarkSearch searches an inbox of 100 000 mails, each with a text of its
// own of about 2 KiB, of which a hundred are about the meeting.
func BenchmarkSearch(b *testing.B) {
	s := newMailSite(b, nil)
	v := s.login("alice")
	box, err := s.Store.Mailbox(b.Context(), s.alice.ID, "INBOX")
	if err != nil {
		b.Fatal(err)
	}
	const size, batch, hits = 100_000, 500, 100
	for from := 0; from < size; from += batch {
		var some []store.Appended
		for i := from; i < from+batch; i++ {
			text := strings.Repeat(fmt.Sprintf("Line of mail %d about invoice %d. 明細 %d 件です。\n", i, i*7919%size, i), 30)
			if i%(size/hits) == 0 {
				text += "次の会議は15時からです。\n"
			}
			raw := fmt.Sprintf("From: Person %d <p%d@example.jp>\nTo: alice@yubin.test\nSubject: report %d\nMessage-ID: <%d@example.jp>\nContent-Type: text/plain; charset=utf-8\n\n%s", i%500, i%500, i, i, text)
			some = append(some, store.Appended{Body: store.Bytes(strings.ReplaceAll(raw, "\n", "\r\n"))})
		}
		if _, _, err := s.Store.Append(b.Context(), box.ID, some); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Store.Index(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, q := range []string{"会議", "from:p77@example.jp 会議", "subject:99999", "nowhere-to-be-found", "is:unread"} {
		b.Run(q, func(b *testing.B) {
			for b.Loop() {
				v.get("/search?" + url.Values{"q": {q}}.Encode())
			}
		})
	}
	b.Run("open a message with its conversation", func(b *testing.B) {
		for b.Loop() {
			v.get("/m/inbox/50000")
		}
	})
}
