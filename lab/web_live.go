package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/wiretap"
)

// listener is a device that is told what happens without asking.
type listener interface {
	// Idle lets the server tell what happens.
	Idle() error
	listening() bool
	// Hear waits until the server has told of n things of a kind, and applies
	// what it told to the local store.
	Hear(ctx context.Context, want kind, n int) error
	// hearAll applies what comes until nothing has come for a while.
	hearAll(ctx context.Context, quiet time.Duration)
}

// webPush is one event of the page's stream.
type webPush struct {
	line int // in the conversation
	Data struct {
		Changes []struct {
			Box   string `json:"box"`
			Flags []struct {
				UID    uint32 `json:"uid"`
				Unread bool   `json:"unread"`
			} `json:"flags"`
			Gone []uint32 `json:"gone"`
		} `json:"changes"`
	}
}

// Idle opens the stream that keeps a page up to date, and waits until it
// flows.
func (d *WebDevice) Idle() error {
	ctx, cancel := context.WithCancel(context.Background()) // hang ends it
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+d.conn.remote+"/live", nil)
	if err != nil {
		cancel()
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	patient := &http.Client{Transport: d.conn.web, Jar: d.http.Jar}
	late := time.AfterFunc(patience, cancel)
	resp, err := patient.Do(r)
	if err != nil {
		cancel()
		return err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		cancel()
		return fmt.Errorf("GET /live: %s: %w", resp.Status, errPage)
	}
	d.heard = make(chan webPush, pushes)
	var reading sync.WaitGroup
	flows := make(chan struct{})
	reading.Go(func() {
		defer resp.Body.Close()
		d.conn.web.events(bufio.NewScanner(resp.Body), d.heard, flows)
	})
	hang := d.conn.hang
	d.conn.hang = sync.OnceFunc(func() {
		cancel()
		reading.Wait()
		hang()
	})
	<-flows
	late.Stop()
	return nil
}

// events reads a stream until it ends. What it begins with is how things
// are; flows is closed then.
func (w *weblog) events(lines *bufio.Scanner, heard chan<- webPush, flows chan struct{}) {
	lines.Buffer(nil, maxEvent)
	first := sync.OnceFunc(func() { close(flows) })
	defer first()
	began := false
	name := ""
	for lines.Scan() {
		line := lines.Text()
		if rest, ok := strings.CutPrefix(line, "event: "); ok {
			name = rest
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		w.say(wiretap.Server, false, "event: %s", name)
		n := w.say(wiretap.Server, true, "%s", line)
		push := webPush{line: n}
		if name != "mail" || json.Unmarshal([]byte(data), &push.Data) != nil {
			continue
		}
		if !began {
			began = true
			first()
			continue
		}
		select {
		case heard <- push:
		default: // nobody listens any more
		}
	}
}

// maxEvent is more than an event may have.
const maxEvent = 4 << 20

// apply changes what the page shows, as its script would. It reports whether
// there is a mail that only a new page can show.
func (d *WebDevice) apply(p webPush) (news bool) {
	ref := Ref{d.conn.id, p.line, p.line}
	for _, change := range p.Data.Changes {
		if change.Box != "inbox" {
			continue
		}
		for _, f := range change.Flags {
			e := d.keyed(fmt.Sprintf("inbox/%d", f.UID))
			if e == nil {
				news = true
				d.note(heardMail, ref)
				continue
			}
			e.seen = !f.Unread
			d.note(heardFlag, ref).mail = e.mail
		}
		for _, uid := range change.Gone {
			key := fmt.Sprintf("inbox/%d", uid)
			kept := d.shelf[:0:0]
			for _, e := range d.shelf {
				if e.folder != inbox || e.key != key {
					kept = append(kept, e)
				}
			}
			d.shelf = kept
			d.note(heardGone, ref)
		}
	}
	return news
}

func (d *WebDevice) keyed(key string) *entry {
	for _, e := range d.shelf {
		if e.folder == inbox && e.key == key {
			return e
		}
	}
	return nil
}

// Hear is for listener.
func (d *WebDevice) Hear(ctx context.Context, want kind, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n > 0 {
		select {
		case p := <-d.heard:
			before := len(d.events)
			d.apply(p)
			for _, e := range d.events[before:] {
				if e.kind == want {
					n--
				}
			}
		case <-ctx.Done():
			return nil // the facts will tell that nothing came
		}
	}
	return nil
}

func (d *WebDevice) listening() bool { return d.heard != nil }

func (d *WebDevice) hearAll(ctx context.Context, quiet time.Duration) {
	if d.conn == nil || d.heard == nil {
		return
	}
	stop := time.NewTimer(quiet)
	defer stop.Stop()
	news := false
	for {
		select {
		case p := <-d.heard:
			news = d.apply(p) || news
			stop.Reset(quiet)
		case <-ctx.Done():
			return
		case <-stop.C:
			if news {
				_ = d.Fetch(ctx) // a refusal is in the conversation
			}
			return
		}
	}
}
