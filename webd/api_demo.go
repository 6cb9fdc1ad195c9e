package webd

import (
	"bytes"
	"crypto/rand"
	"embed"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// What only a demonstration has: a clean start for the next test, and mail to
// look at.

//go:embed api_samples/*.eml
var samples embed.FS

// samplesFor are the sample messages, ready to be delivered. Those of one
// call belong together as a conversation.
func samplesFor(s *Server, to string) ([][]byte, error) {
	names, err := fs.Glob(samples, "api_samples/*.eml")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	fill := strings.NewReplacer("{to}", to, "{id}", strings.ToLower(rand.Text()[:10]))
	var all [][]byte
	for _, name := range names {
		text, err := samples.ReadFile(path.Clean(name))
		if err != nil {
			return nil, err
		}
		raw, err := io.ReadAll(message.NewCanonicalReader(strings.NewReader(fill.Replace(string(text)))))
		if err != nil {
			return nil, err
		}
		head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
		all = append(all, append(message.AddMissing(append(head, "\r\n\r\n"...), s.Hostname, s.Now()), raw...))
	}
	return all, nil
}

// seedDemo delivers the samples to the caller.
func seedDemo(c *call) error {
	all, err := samplesFor(c.s, c.user.Address)
	if err != nil {
		return err
	}
	for _, raw := range all {
		if err := c.s.greet(c.Context(), c.user, store.Bytes(raw)); err != nil {
			return err
		}
	}
	return c.answer(http.StatusCreated, map[string]int{"delivered": len(all)})
}

// maxAdvance is as far as the queue can be wound at once: mail is returned
// long before.
const maxAdvance = 30 * 24 * time.Hour

// advanceQueue lets time pass for the mail that waits for other servers.
func advanceQueue(c *call) error {
	var in struct {
		Seconds int64 `json:"seconds"`
	}
	if err := c.body(smallForm, &in); err != nil {
		return err
	}
	if in.Seconds < 1 || in.Seconds > int64(maxAdvance/time.Second) {
		return errParameter.about("seconds")
	}
	n, err := c.s.Store.AdvanceQueue(c.Context(), time.Duration(in.Seconds)*time.Second)
	if err != nil {
		return err
	}
	return c.json(map[string]int{"queued": n})
}

// resetDemo removes all mail of everybody, and all that waits to be sent.
// Users, folders and cursors stay good.
func resetDemo(c *call) error {
	ctx := c.Context()
	users, err := c.s.Store.Users(ctx)
	if err != nil {
		return err
	}
	removed := 0
	for _, u := range users {
		boxes, err := c.s.Store.Mailboxes(ctx, u.ID)
		if err != nil {
			return err
		}
		for _, m := range boxes {
			all, err := c.s.Store.Snapshot(ctx, m.ID)
			if err != nil {
				return err
			}
			gone, err := c.s.Store.Remove(ctx, m.ID, all.UIDs)
			if err != nil {
				return err
			}
			removed += len(gone)
		}
	}
	queued, err := c.s.Store.Queue(ctx)
	if err != nil {
		return err
	}
	var ids []store.QueueID
	for _, q := range queued {
		ids = append(ids, q.ID)
	}
	dropped, err := c.s.Store.Drop(ctx, ids...)
	if err != nil {
		return err
	}
	return c.json(map[string]int{"messages": removed, "queued": dropped})
}
