package smtpd

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// benchMail is a message of 4 KiB.
var benchMail = "From: bob@far.test\r\nTo: ada@example.test\r\nSubject: four kibibytes\r\n\r\n" +
	strings.Repeat("The quick brown fox jumps over the lazy dog, and so on, and on.\r\n", 62)

// BenchmarkDelivery compares durable delivery over SMTP with the store alone.
// Each operation is one message.
func BenchmarkDelivery(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprintf("smtp/%d", n), func(b *testing.B) {
			h := benchHouse(b)
			clients := make([]*client, n)
			for i := range clients {
				clients[i] = h.client()
			}
			share(b, n, func(i int) { clients[i].mail(benchMail, "250", fmt.Sprintf("user%d@example.test", i)) })
		})
		b.Run(fmt.Sprintf("pipelined/%d", n), func(b *testing.B) {
			h := benchHouse(b)
			clients := make([]*client, n)
			for i := range clients {
				clients[i] = h.client()
			}
			share(b, n, func(i int) {
				c := clients[i]
				c.send(fmt.Sprintf("MAIL FROM:<bob@far.test>\r\nRCPT TO:<user%d@example.test>\r\nBDAT %d LAST\r\n%s", i, len(benchMail), benchMail))
				c.want("250")
				c.want("250")
				c.want("250 2.0.0")
			})
		})
		b.Run(fmt.Sprintf("store/%d", n), func(b *testing.B) {
			h := benchHouse(b)
			users := make([]store.Recipient, n)
			for i := range users {
				to, err := h.store.Resolve(b.Context(), fmt.Sprintf("user%d@example.test", i))
				if err != nil {
					b.Fatal(err)
				}
				users[i] = to[0]
			}
			share(b, n, func(i int) {
				_, err := h.store.Accept(b.Context(), store.Delivery{Recipients: users[i : i+1], Body: store.Bytes(benchMail)})
				if err != nil {
					b.Error(err)
				}
			})
		})
	}
}

func benchHouse(b *testing.B) *house {
	h := newHouse(b)
	h.config.Log = nil
	for i := range 16 {
		h.user(fmt.Sprintf("user%d@example.test", i), "secret")
	}
	return h
}

// share does b.N things in n goroutines.
func share(b *testing.B, n int, do func(i int)) {
	b.SetBytes(int64(len(benchMail)))
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for i := range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				do(i)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}
