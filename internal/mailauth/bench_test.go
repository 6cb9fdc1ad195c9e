package mailauth

import (
	"bytes"
	"strings"
	"testing"
)

func benchmarkSizes(b *testing.B, run func(b *testing.B, raw []byte)) {
	for _, c := range []struct {
		name string
		size int
	}{{"4KiB", 4 << 10}, {"50MB", 50_000_000}} {
		raw := append([]byte{}, letter...)
		line := strings.Repeat("all work and no play ", 3) + "\r\n"
		raw = append(raw, strings.Repeat(line, c.size/len(line)+1)[:c.size-len(letter)-2]...)
		raw = append(raw, "\r\n"...)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			run(b, raw)
		})
	}
}

// BenchmarkSign makes both signatures.
func BenchmarkSign(b *testing.B) {
	s := testSigner()
	benchmarkSizes(b, func(b *testing.B, raw []byte) {
		for b.Loop() {
			if _, err := s.Sign(b.Context(), "author.test", bytes.NewReader(raw), int64(len(raw))); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkVerify checks everything, with DNS in memory.
func BenchmarkVerify(b *testing.B) {
	v := testVerifier(arcZone())
	benchmarkSizes(b, func(b *testing.B, raw []byte) {
		raw = sign(b, testSigner(), "author.test", raw)
		for b.Loop() {
			r, err := v.Check(b.Context(), testFacts, bytes.NewReader(raw), int64(len(raw)))
			if err != nil || r.DKIM[0].Value != Pass || r.DKIM[1].Value != Pass {
				b.Fatal(r, err)
			}
		}
	})
}

// BenchmarkEmptyLines is the body that costs most to those who keep them.
func BenchmarkEmptyLines(b *testing.B) {
	raw := append(bytes.Repeat([]byte("\r\n"), 25_000_000), 'x')
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		h := make(bodies)
		h.need(simple)
		h.need(relaxed)
		if err := h.read(b.Context(), bytes.NewReader(raw), 0, int64(len(raw))); err != nil {
			b.Fatal(err)
		}
		h.sums()
	}
}
