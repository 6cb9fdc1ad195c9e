package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func canonical(raw string) (string, error) {
	b, err := io.ReadAll(NewCanonicalReader(strings.NewReader(raw)))
	return string(b), err
}

func TestCanonicalText(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"", ""},
		{"a\r\n", "a\r\n"},
		{"a", "a\r\n"},
		{"a\nb\n", "a\r\nb\r\n"},
		{"a\r\n\nb\r\n", "a\r\n\r\nb\r\n"},
		{"\n\n", "\r\n\r\n"},
		{".\r\n", ".\r\n"},           // the first line counts as preceded by CRLF
		{"a\r\n.\r\n", "a\r\n.\r\n"}, // was stuffed, and is text
		{"a\r\n.", "a\r\n.\r\n"},
		{"a\n.b\n..\n", "a\r\n.b\r\n..\r\n"},
		{"日本\n", "日本\r\n"},
	} {
		if out, err := canonical(c.in); out != c.out || err != nil {
			t.Errorf("%q: got %q, %v, want %q", c.in, out, err, c.out)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for _, in := range []string{
		"a\n.\nb", "a\n.\r\nb", "a\r\n.\nb", "a\n\n.\r\nb", "a\n.", ".\n",
		"a\r.\rb", "a\r.\r\nb", "a\r\n.\r\r\nb", "a\rb", "a\r", "a\r\r\n", "\r",
		"a\r\n\x00.\r\nb", "a\r\n.\x00\r\nb", "\x00", "a\n.\r\r\n",
	} {
		if out, err := canonical(in + "\r\n"); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%q: got %q, %v", in, out, err)
		}
	}
	if _, err := canonical("a\r"); !errors.Is(err, ErrNotCanonical) {
		t.Error("a CR may not be the last octet")
	}
}

func TestUnstuffedRefusesTheMissingDot(t *testing.T) {
	for in, want := range map[string]error{
		"a\r\n\nb\r\n":   ErrNotCanonical,
		"\nb\r\n":        ErrNotCanonical,
		"a\r\nb\n\nc\n":  nil,
		"a\r\n\r\nb\r\n": nil,
	} {
		if _, err := io.ReadAll(NewUnstuffedReader(strings.NewReader(in))); err != want {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestLongLine(t *testing.T) {
	line := strings.Repeat("x", MaxLine)
	if out, err := canonical(line + "\r\n"); err != nil || len(out) != MaxLine+2 {
		t.Errorf("a line of MaxLine: %v", err)
	}
	if _, err := canonical("a\r\n" + line + "x\r\nb\r\n"); err != ErrLineTooLong {
		t.Errorf("a longer line: %v", err)
	}
}

// The peer must be able to finish: the source is read to its end.
func TestRefusalDrains(t *testing.T) {
	src := strings.NewReader("a\rb\r\n" + strings.Repeat("text\r\n", 50000))
	if _, err := io.ReadAll(NewCanonicalReader(src)); err != ErrNotCanonical || src.Len() != 0 {
		t.Errorf("%v with %d octets left", err, src.Len())
	}
	broken := errors.New("broken")
	r := io.MultiReader(strings.NewReader("a\rb"), iotest.ErrReader(broken))
	if _, err := io.ReadAll(NewCanonicalReader(r)); err != broken {
		t.Errorf("the error of the source is lost: %v", err)
	}
}

func TestVerifier(t *testing.T) {
	for in, ok := range map[string]bool{
		"": true, "a\r\n": true, "\r\n\r\n": true, ".\r\n": true,
		"a": false, "a\n": false, "a\r": false, "a\rb\r\n": false, "a\r\r\n": false, "\x00\r\n": false, "a\r\n\n": false,
	} {
		if IsCanonical([]byte(in)) != ok {
			t.Errorf("%q: want %v", in, ok)
		}
		var v Verifier
		io.Copy(&v, iotest.OneByteReader(strings.NewReader(in)))
		if err := v.Close(); (err == nil) != ok {
			t.Errorf("%q in pieces: %v", in, err)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{
		"", "a\r\nb\r\n", "a\nb", "a\r\n.\r\n", "\n.\n", "\n.\r\n", "\r\n.\n", "\n\n.\r\n",
		"\r.\r", "\r.\r\n", "\r\n.\r\r\n", "\r\n\x00.\r\n", "\r\n.\x00\r\n", ".", ".\r\n.",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := io.ReadAll(NewCanonicalReader(bytes.NewReader(in)))
		slow, slowErr := io.ReadAll(iotest.OneByteReader(NewCanonicalReader(iotest.OneByteReader(bytes.NewReader(in)))))
		if err != slowErr || err == nil && !bytes.Equal(out, slow) {
			t.Fatalf("%q: whole %q %v, in pieces %q %v", in, out, err, slow, slowErr)
		}
		if s := strings.ReplaceAll(string(out), "\r\n", ""); strings.ContainsAny(s, "\r\n\x00") {
			t.Fatalf("%q gives %q", in, out)
		}
		var v Verifier
		_, werr := v.Write(in)
		is := werr == nil && v.Close() == nil
		if is && (err != nil || !bytes.Equal(in, out)) && err != ErrLineTooLong {
			t.Fatalf("canonical %q changed: %q %v", in, out, err)
		}
		if err == nil && !IsCanonical(out) {
			t.Fatalf("%q gives %q", in, out)
		}
		// what is accepted never holds an end of data that was not there
		if err == nil && bytes.Count(out, []byte("\r\n.\r\n")) > bytes.Count(append(in, '\r', '\n'), []byte("\r\n.\r\n")) {
			t.Fatalf("%q gives %q", in, out)
		}
	})
}
