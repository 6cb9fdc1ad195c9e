package message

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// crlf makes a message of a readable literal.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func summarize(t testing.TB, raw string) *Summary {
	t.Helper()
	s, err := Summarize(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// outline writes the tree as one line per part: number, type, and what its
// offsets cut out of raw.
func outline(raw string, root *Part) string {
	var b strings.Builder
	root.Walk(func(path []int, p *Part) bool {
		body := raw[p.BodyOffset() : p.BodyOffset()+p.Size]
		if len(p.Children) > 0 {
			body = "…"
		}
		fmt.Fprintf(&b, "%v %s/%s %d %q\n", path, p.Type, p.Subtype, p.Lines, body)
		return true
	})
	return b.String()
}

const mixed = `From: =?utf-8?Q?Alice?= <alice@example.test>
To: bob@example.test
Subject: three parts
Date: Mon, 6 Jan 2025 10:00:00 +0900
Message-ID: <1@example.test>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

preamble
--outer
Content-Type: text/plain; charset=utf-8

hello
world
--outer
Content-Type: multipart/alternative; boundary="inner"

--inner
Content-Type: text/plain

inner text

--inner
Content-Type: text/html

<p>inner</p>
--inner--
epilogue
--outer
Content-Type: message/rfc822
Content-Disposition: attachment; filename=x.eml

From: carol@example.test
Subject: enclosed

enclosed body
--outer--
the end
`

func TestOffsetsCutParts(t *testing.T) {
	raw := crlf(mixed)
	s := summarize(t, raw)
	want := `[] multipart/mixed 30 "…"
[1] text/plain 2 "hello\r\nworld"
[2] multipart/alternative 11 "…"
[2 1] text/plain 1 "inner text\r\n"
[2 2] text/html 1 "<p>inner</p>"
[3] message/rfc822 4 "…"
[3 1] text/plain 1 "enclosed body"
`
	if got := outline(raw, s.Root); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if s.Preview != "hello world" {
		t.Errorf("preview %q", s.Preview)
	}
	if s.Attachments != 1 || s.Root.Find([]int{3}).Envelope.Subject != "enclosed" {
		t.Errorf("attachments %d", s.Attachments)
	}
	if string(s.Header) != raw[:s.HeaderSize] || s.Size != int64(len(raw)) {
		t.Errorf("header %q", s.Header)
	}
}

// check holds for every summary of every input.
func check(t testing.TB, raw string, s *Summary) {
	t.Helper()
	if s.Size != int64(len(raw)) || s.Root.Offset != 0 || s.HeaderSize+s.Root.Size != s.Size {
		t.Fatalf("size %d, header %d, body %d of %d", s.Size, s.HeaderSize, s.Root.Size, len(raw))
	}
	if string(s.Header) != raw[:min(s.HeaderSize, MaxHeader)] {
		t.Fatal("header block differs")
	}
	parts := 0
	var visit func(p *Part, depth int)
	visit = func(p *Part, depth int) {
		parts++
		if p.Offset < 0 || p.HeaderSize < 0 || p.Size < 0 || p.BodyOffset()+p.Size > s.Size || p.Lines < 0 || p.Lines > p.Size {
			t.Fatalf("part %+v lies outside the message", p)
		}
		if p.Type == "" || p.Subtype == "" || p.Type == "multipart" && len(p.Children) == 0 {
			t.Fatalf("part %+v has no type", p)
		}
		if p.Type != "multipart" && len(p.Children) > 0 && (p.Envelope == nil || len(p.Children) != 1) {
			t.Fatalf("leaf %+v with children", p)
		}
		if depth > MaxDepth {
			t.Fatal("too deep")
		}
		end := p.BodyOffset()
		for _, c := range p.Children {
			if c.Offset < end || c.BodyOffset()+c.Size > p.BodyOffset()+p.Size {
				t.Fatalf("part %+v leaves its parent %+v", c, p)
			}
			end = c.BodyOffset() + c.Size
			visit(c, depth+1)
		}
	}
	visit(s.Root, 1)
	if parts > MaxParts+1 {
		t.Fatalf("%d parts", parts)
	}
	eachString(reflect.ValueOf(s).Elem(), func(v string) {
		if !utf8.ValidString(v) || strings.ContainsAny(v, "\r\n\x00") {
			t.Fatalf("string %q", v)
		}
	})
	j, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(j) > 6*maxKept+200*parts+4*MaxHeader {
		t.Fatalf("summary of %d octets", len(j))
	}
}

func eachString(v reflect.Value, fn func(string)) {
	switch v.Kind() {
	case reflect.String:
		fn(v.String())
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			eachString(v.Elem(), fn)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			eachString(v.Index(i), fn)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			eachString(k, fn)
			eachString(v.MapIndex(k), fn)
		}
	case reflect.Struct:
		if v.Type().PkgPath() == "time" {
			return
		}
		for i := range v.NumField() {
			eachString(v.Field(i), fn)
		}
	}
}

func sameInPieces(t testing.TB, raw string, want *Summary) {
	t.Helper()
	got, err := Summarize(iotest.OneByteReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		t.Fatalf("in pieces\n%s\nwhole\n%s", a, b)
	}
}

func TestPiecesDoNotMatter(t *testing.T) {
	for _, raw := range []string{crlf(mixed), mixed, "", "\r\n", "x", "a: b", "a: b\r\n\r\nc"} {
		s := summarize(t, raw)
		check(t, raw, s)
		sameInPieces(t, raw, s)
	}
}
