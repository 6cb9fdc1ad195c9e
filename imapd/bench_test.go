package imapd

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

const benchMessages = 10_000

func benchHouse(b *testing.B) *house {
	h := newHouse(b, func(c *Config) { c.Log = nil })
	raw := make([]string, 500)
	for i := range benchMessages / len(raw) {
		for j := range raw {
			raw[j] = fmt.Sprintf("Return-Path: <bob@example.test>\nReceived: from a by b; Mon, 7 Sep 2026 10:00:00 +0000\nFrom: Bob Builder <bob@example.test>\n"+
				"To: alice@example.test, carol@example.test\nSubject: message %d about something\nDate: Mon, 7 Sep 2026 10:00:00 +0000\nMessage-ID: <m%d@example.test>\n"+
				"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n%s", i*len(raw)+j, i*len(raw)+j, strings.Repeat("Some text in a line.\n", 150))
		}
		h.put(h.inbox.ID, raw...)
	}
	return h
}

// BenchmarkFetch fetches 10 000 messages, beside a bare loop over the same
// rows. Both report messages per second.
func BenchmarkFetch(b *testing.B) {
	h := benchHouse(b)
	c := h.login("INBOX")
	c.in = bufio.NewReaderSize(c.Conn, 256<<10)
	for _, bench := range []struct {
		name, items string
		want        store.Want
		bodies      bool
	}{
		{"flags", "(UID FLAGS)", 0, false},
		{"envelope", "(UID FLAGS ENVELOPE RFC822.SIZE)", store.WantEnvelope, false},
		{"everything", "(UID FLAGS ENVELOPE RFC822.SIZE BODYSTRUCTURE)", store.WantEnvelope | store.WantStructure, false},
		{"header", "(UID BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])", store.WantHeader, false},
		{"bodies", "BODY.PEEK[]", 0, true},
	} {
		b.Run(bench.name+"/rows", func(b *testing.B) {
			for b.Loop() {
				n := 0
				err := h.store.Each(b.Context(), h.inbox.ID, nil, bench.want, func(m *store.Message) error {
					n++
					if bench.bodies {
						_, err := h.store.ReadBody(b.Context(), m.Blob, wholeBody)
						return err
					}
					return nil
				})
				if err != nil || n != benchMessages {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(benchMessages*float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
		b.Run(bench.name+"/imap", func(b *testing.B) {
			var octets int64
			for b.Loop() {
				octets = c.drain(b, "FETCH 1:* "+bench.items)
			}
			b.ReportMetric(benchMessages*float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			b.ReportMetric(float64(octets)/benchMessages, "B/msg")
		})
	}
}

// drain sends a command and reads until its end, which no message imitates.
func (t *talker) drain(b *testing.B, command string) (octets int64) {
	t.tag++
	t.SetReadDeadline(time.Now().Add(time.Minute))
	end := []byte(fmt.Sprintf("t%d OK ", t.tag))
	t.send(string(end[:len(end)-3]) + command + "\r\n")
	for {
		line, err := t.in.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		octets += int64(len(line))
		if bytes.HasPrefix(line, end) {
			return octets
		}
	}
}
