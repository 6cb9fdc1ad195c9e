package pop3d

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// However a message is cut into pieces, it is stuffed the same.
func TestDotsAreStuffedAcrossPieces(t *testing.T) {
	for _, test := range []struct{ raw, want string }{
		{"", ""},
		{".\r\n", "..\r\n"},
		{"..\r\n", "...\r\n"},
		{"a\r\n.\r\n", "a\r\n..\r\n"},
		{"a.\r\n.b\r\n\r\n..c\r\n", "a.\r\n..b\r\n\r\n...c\r\n"},
		{"\r\n.\r\n.\r\n", "\r\n..\r\n..\r\n"},
	} {
		for cut := range len(test.raw) + 1 {
			var got bytes.Buffer
			w := bufio.NewWriter(&got)
			d := dotWriter{w: w}
			d.Write([]byte(test.raw[:cut]))
			d.Write([]byte(test.raw[cut:]))
			w.Flush()
			if got.String() != test.want {
				t.Errorf("%q cut at %d: %q, want %q", test.raw, cut, got.String(), test.want)
			}
		}
	}
}

func TestTopTakesTheHeaderAndSomeLines(t *testing.T) {
	const raw = "A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n"
	for lines, want := range []string{
		"A: 1\r\nB: 2\r\n\r\n",
		"A: 1\r\nB: 2\r\n\r\none\r\n",
		"A: 1\r\nB: 2\r\n\r\none\r\n\r\n",
		raw,
		raw,
	} {
		for cut := range len(raw) + 1 {
			var got strings.Builder
			top := topWriter{to: &got, lines: uint64(lines)}
			if _, err := top.Write([]byte(raw[:cut])); err == nil {
				top.Write([]byte(raw[cut:]))
			}
			if got.String() != want {
				t.Errorf("%d lines, cut at %d: %q", lines, cut, got.String())
			}
		}
	}
	for _, whole := range []string{"", "A: 1\r\n", "\r\n"} {
		var got strings.Builder
		fmt.Fprint(&topWriter{to: &got}, whole)
		if got.String() != whole {
			t.Errorf("%q became %q", whole, got.String())
		}
	}
}
