package imapd

import (
	"testing"

	"github.com/emersion/go-imap/v2"
)

func TestFetchAll(t *testing.T) {
	h := newHouse(t)
	h.putMany(3)
	c := h.client(nil)
	if _, err := c.Select("inbox", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	got, err := c.Fetch(imap.SeqSetNum(1, 2, 3), &imap.FetchOptions{
		UID: true, Flags: true, Envelope: true, RFC822Size: true, InternalDate: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true},
		BodySection:   []*imap.FetchItemBodySection{{}},
	}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[2].Envelope.Subject != "message 3" {
		t.Fatalf("got %+v", got)
	}
}
