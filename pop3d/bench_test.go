package pop3d

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// BenchmarkDrain compares fetching 10 000 mails of 4 KiB by POP3, over a
// socket, with a bare loop that reads the same bodies from the store.
func BenchmarkDrain(b *testing.B) {
	const mails = 10_000
	h := newHouse(b)
	u := h.ada()
	raw := "Subject: a letter\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 56)
	for range mails / 1000 {
		h.mail(u, slicesOf(raw, 1000)...)
	}

	perMail := func(b *testing.B) {
		b.ReportMetric(float64(b.N*mails)/b.Elapsed().Seconds(), "mails/s")
	}
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			d, err := h.store.OpenMaildrop(b.Context(), u.ID)
			if err != nil {
				b.Fatal(err)
			}
			for _, m := range d.Messages {
				if body, err := h.store.ReadBody(b.Context(), m.Blob, small); err != nil || int64(len(body)) != m.Size {
					b.Fatal(err)
				}
			}
			d.Close()
		}
		perMail(b)
	})
	b.Run("pipelined", func(b *testing.B) {
		for b.Loop() {
			drain(b, h, u, mails, 50)
		}
		perMail(b)
	})
	b.Run("one-by-one", func(b *testing.B) {
		for b.Loop() {
			drain(b, h, u, mails, 1)
		}
		perMail(b)
	})
}

func slicesOf(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// drain fetches all, with a number of commands under way at a time.
func drain(b *testing.B, h *house, u store.User, mails, window int) {
	c := h.login(u)
	defer c.Close()
	r := bufio.NewReaderSize(c.Conn, 64<<10)
	next := 1
	var batch bytes.Buffer
	for done := 0; done < mails; done += window {
		batch.Reset()
		for ; next <= min(done+window, mails); next++ {
			fmt.Fprintf(&batch, "RETR %d\r\n", next)
		}
		if _, err := c.Write(batch.Bytes()); err != nil {
			b.Fatal(err)
		}
		for range window {
			readReply(b, r)
		}
	}
	fmt.Fprint(c, "QUIT\r\n")
	if _, err := io.Copy(io.Discard, r); err != nil {
		if _, timeout := err.(net.Error); timeout {
			b.Fatal(err)
		}
	}
}

// readReply reads a multi-line reply.
func readReply(b *testing.B, r *bufio.Reader) {
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		if first && line[0] != '+' {
			b.Fatalf("%s", line)
		}
		if string(line) == ".\r\n" {
			return
		}
	}
}
