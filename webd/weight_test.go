package webd

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// TestTheInboxIsLight adds up what a browser loads to show an inbox, without
// what the mails themselves say.
func TestTheInboxIsLight(t *testing.T) {
	s := newMailSite(t, nil)
	v := s.login("alice")
	for i := range pageSize {
		s.deliver(s.alice, plainMail("b@x.jp", fmt.Sprint(i), "t"))
	}
	v.get("/m/inbox?lang=ja") // words of more octets
	page := v.get("/m/inbox")
	wants(t, page, `<html lang="ja"`)
	total := len(page)
	report := fmt.Sprintf("page %d", len(page))
	seen := map[string]bool{}
	var load func(text, base string)
	load = func(text, base string) {
		for _, m := range regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"|from "\./([^"]+)"|import "\./([^"]+)"`).FindAllStringSubmatch(text, -1) {
			path := m[1]
			if path == "" {
				path = base + m[2] + m[3]
			}
			if seen[path] {
				continue
			}
			seen[path] = true
			body := v.get(path)
			total += len(body)
			report += fmt.Sprintf(", %s %d", path[len(assetsAt):], len(body))
			load(body, assetsAt)
		}
	}
	load(page, assetsAt)
	t.Logf("%d octets: %s", total, report)
	if total > 100_000 {
		t.Errorf("the inbox weighs %d octets, more than 100 KB: %s", total, report)
	}
}

// BenchmarkOpenFolder opens folders of 100 and of 100 000 messages.
func BenchmarkOpenFolder(b *testing.B) {
	for _, size := range []int{100, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := newMailSite(b, nil)
			v := s.login("alice")
			s.fill(b, "INBOX", size)
			for b.Loop() {
				v.get("/m/inbox")
			}
		})
	}
}

// fill puts n messages from a hundred people into a mailbox of Alice's.
func (s *mailSite) fill(b *testing.B, name string, n int) {
	box, err := s.Store.Mailbox(b.Context(), s.alice.ID, name)
	if err != nil {
		b.Fatal(err)
	}
	var uids []store.UID
	for i := range 100 {
		raw := strings.ReplaceAll(plainMail(fmt.Sprintf("bob%d@yubin.test", i), fmt.Sprint("number ", i), "text"), "\n", "\r\n")
		made, _, err := s.Store.Append(b.Context(), box.ID, []store.Appended{{Body: store.Bytes(raw)}})
		if err != nil {
			b.Fatal(err)
		}
		uids = append(uids, made...)
	}
	for range n/100 - 1 {
		if _, _, err := s.Store.Copy(b.Context(), box.ID, uids, box.ID); err != nil {
			b.Fatal(err)
		}
	}
}
