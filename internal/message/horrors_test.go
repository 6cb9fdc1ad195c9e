package message

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// nest wraps a text in n multiparts.
func nest(n int, boundary func(int) string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\n", boundary(i), boundary(i))
	}
	b.WriteString("\r\ndeep\r\n")
	for i := n - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "--%s--\r\n", boundary(i))
	}
	return b.String()
}

func numbered(i int) string { return fmt.Sprintf("b%d", i) }

// Messages that others have died of. Whatever the tree, it must be sound, the
// same in pieces, and there within a moment.
func TestHorrors(t *testing.T) {
	many := func(n int, s string) string { return strings.Repeat(s, n) }
	multipart := func(boundary string) string {
		return "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n"
	}
	for name, raw := range map[string]string{
		"multipart 100 deep":           nest(100, numbered),
		"multipart 10000 deep":         nest(10000, numbered),
		"one boundary 1000 deep":       nest(1000, func(int) string { return "same" }),
		"boundaries that are prefixes": nest(90, func(i int) string { return "b" + strings.Repeat("-", i%7) + strings.Repeat("b", i) }),
		"rfc822 10000 deep":            many(10000, "Content-Type: message/rfc822\r\n\r\n") + "Subject: x\r\n\r\ndeep\r\n",
		"digest of digests":            many(3000, "Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\n"),
		"100000 parts":                 multipart("a") + many(100000, "--a\r\n\r\nx\r\n") + "--a--\r\n",
		"100000 parts without ends":    multipart("a") + many(100000, "--a\r\n"),
		"parts with parameters":        multipart("a") + many(9000, "--a\r\nContent-Type: text/plain; "+many(100, "a=b; ")+"\r\n\r\n"),
		"parts with long names":        multipart("a") + many(9000, "--a\r\nContent-ID: <"+many(900, "x")+">\r\nContent-Type: text/plain; name="+many(900, "y")+"\r\n\r\n"),
		"messages with addresses":      multipart("a") + many(9000, "--a\r\nContent-Type: message/rfc822\r\n\r\nTo: "+many(500, "a,")+"\r\n\r\n"),
		"delimiters of nothing":        multipart("a") + many(500000, "--\r\n"),
		"empty boundary":               multipart(`""`) + "--\r\n\r\nx\r\n----\r\n",
		"no boundary":                  "Content-Type: multipart/mixed\r\n\r\n--a\r\n\r\nx\r\n",
		"boundary of 900 octets":       nest(3, func(i int) string { return many(900, "x") + numbered(i) }),
		"boundary of 9000 octets":      nest(3, func(i int) string { return many(9000, "x") + numbered(i) }),
		"boundary never seen":          multipart("a") + "text\r\n",
		"closed before it begins":      multipart("a") + "--a--\r\n--a\r\n\r\nx\r\n",
		"delimiter in the header":      multipart("a") + "--a\r\nContent-Type: multipart/mixed; boundary=b\r\n--a\r\nContent-Type: message/rfc822\r\n--a--\r\n",
		"delimiter in inner header":    multipart("a") + "--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n--a--\r\n",
		"base64 message":               "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp4DQo=\r\n",
		"base64 multipart":             "Content-Transfer-Encoding: base64\r\n" + multipart("a") + "LS1hDQo=\r\n",
		"100000 To fields":             many(100000, "To: a@example.test\r\n") + "\r\n",
		"100000 From fields":           many(100000, "From: a@example.test\r\n") + "\r\n",
		"a field of 5 MB":              "Subject: " + many(100000, strings.Repeat("x", 50)+"\r\n ") + "\r\n\r\n",
		"a line of 5 MB":               "Subject: " + many(5<<20, "x") + "\r\n\r\nbody\r\n",
		"a body line of 5 MB":          multipart("a") + "--a\r\n\r\n" + many(5<<20, "x") + "\r\n--a--\r\n",
		"50000 addresses":              "To: " + many(50000, "\"A\" <a@example.test>,\r\n ") + "x\r\n\r\n",
		"tiny addresses":               "To: " + many(250000, "a,") + "x\r\nCc: " + many(250000, "a,") + "x\r\n\r\n",
		"5000 parameters":              "Content-Type: text/plain" + many(5000, ";\r\n a%d=b") + "\r\n\r\n",
		"10000 continuations":          "Content-Type: text/plain" + continuations(10000) + "\r\n\r\n",
		"50000 continuations":          "Content-Type: text/plain" + continuations(50000) + "\r\n\r\n",
		"continuations of one number":  "Content-Type: text/plain" + many(10000, ";\r\n name*0=x") + "\r\n\r\n",
		"huge continuation number":     "Content-Type: text/plain; name*99999999999999999999=x; name*18446744073709551616=y\r\n\r\n",
		"encoded words":                "Subject: " + many(20000, "=?utf-8?B?44GC?= ") + "\r\n\r\n",
		"beginnings of words":          "Subject: " + many(200000, "=?a?Q?") + "\r\n\r\n",
		"nested comments":              "To: " + many(300000, "(") + "\r\nDate: " + many(300000, "(") + "\r\n\r\n",
		"open groups":                  "To: " + many(100000, "a:") + many(100000, "b;") + "\r\n\r\n",
		"open brackets":                "To: " + many(200000, "<") + "\r\nCc: " + many(200000, "<a") + "\r\nBcc: " + many(200000, "[") + "\r\n\r\n",
		"open quotes":                  "To: " + many(200000, `<"\">`) + "\r\nCc: " + many(100000, `"\`) + "\r\nFrom: " + many(100000, `\"`) + "\r\n\r\n",
		"100000 references":            "References: " + many(100000, "<a@b> ") + "\r\nIn-Reply-To: " + many(100000, "<a@b> ") + "\r\n\r\n",
		"open references":              "References: " + many(300000, "<") + "\r\n\r\n",
		"no header":                    "\r\nonly text\r\n",
		"no blank line":                "Subject: x\r\nTo: y@example.test\r\n",
		"no header at all":             "just some words\r\n",
		"continuation first":           " folded\r\nSubject: x\r\n\r\ny\r\n",
		"From_ first":                  "From alice Mon Jan  6 10:00:00 2025\r\nSubject: x\r\n\r\ny\r\n",
		"mbox quoted":                  ">From alice Mon Jan  6 10:00:00 2025\r\nSubject: x\r\n\r\ny\r\n",
		"NUL":                          "Subject: a\x00b\r\nContent-Type: text/plain; name=\"a\x00b\"\r\n\r\na\x00b\r\n",
		"invalid UTF-8":                "Subject: \xff\xfe\xe8\xaa\r\nFrom: \xc3 <\xc3@\xe6>\r\nContent-Type: text/\xe3; charset=\xff\r\nContent-ID: \xe6\r\nMessage-ID: <\xe6>\r\n\r\n\xff\r\n",
		"bare line ends":               "Subject: a\rb\nTo: c@d\n\nx\ny",
		"colons only":                  many(1000, ":\r\n") + many(1000, " :\r\n") + many(1000, "a b: c\r\n"),
		"unknown encodings":            "Content-Transfer-Encoding: x-uuencode; foo\r\nContent-Type: text/plain; charset=x-no\r\n\r\n\xe9\r\n",
		"Content-Type of garbage":      "Content-Type: ;;;=\"\r\nContent-Disposition: ===\r\nContent-Language: ,,,\r\n\r\n",
		"Content-Type twice":           "Content-Type: text/html\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n",
		"escapes":                      "Subject: " + many(100000, "\x1b$B") + "\r\n\r\n" + many(100000, "\x1b") + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			s := summarize(t, raw)
			if d := time.Since(start); d > 3*time.Second {
				t.Errorf("took %v", d)
			}
			check(t, raw, s)
			if len(raw) < 6<<20 {
				sameInPieces(t, raw, s)
			}
			err := ReadText(strings.NewReader(raw), s.Root, s.Size, 1<<20, func(p *Part, r io.Reader) error {
				text, err := io.ReadAll(r)
				if clean(string(text)) != clean(strings.ToValidUTF8(string(text), "?")) {
					t.Errorf("%.40q is not UTF-8", text)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func continuations(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ";\r\n name*%d*=%%41", n-1-i)
	}
	return b.String()
}

func TestHorrorsAreDescribedWell(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{"Content-Type: multipart/mixed; boundary=a\n\n--a--\n", `[1] text/plain 1 "--a--\r\n"` + "\n"},
		{"Content-Type: multipart/mixed\n\nx\n", `[1] text/plain 1 "x\r\n"` + "\n"},
		{"Content-Type: multipart/digest; boundary=a\n\n--a\n\nSubject: x\n\ny\n--a\nContent-Type: text/plain\n\nz\n--a--\n",
			"[] multipart/digest 10 \"…\"\n[1] message/rfc822 3 \"…\"\n[1 1] text/plain 1 \"y\"\n[2] text/plain 1 \"z\"\n"},
		{"Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a--\n",
			"[1] message/rfc822 6 \"…\"\n[1] multipart/mixed 4 \"…\"\n[1 1] text/plain 1 \"x\"\n"},
		{"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\neA==\n", `[1] message/rfc822 1 "eA==\r\n"` + "\n"},
		{"Content-Type: multipart/mixed; boundary=\"a \"\n\n--a  \n\nx\n--a--  \n", "[] multipart/mixed 4 \"…\"\n[1] text/plain 1 \"x\"\n"},
		{"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=aa\n\n--aa\n\nx\n--a\n\ny\n--a--\n",
			"[] multipart/mixed 10 \"…\"\n[1] multipart/mixed 3 \"…\"\n[1 1] text/plain 1 \"x\"\n[2] text/plain 1 \"y\"\n"},
		{"Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx", "[] multipart/mixed 3 \"…\"\n[1] text/plain 1 \"x\"\n"},
		{"Content-Type: text\n\nx\n", `[1] text/plain 1 "x\r\n"` + "\n"},
		{"Content-Type: TEXT/HTML (a comment); Charset=utf-8\n\nx\n", `[1] text/html 1 "x\r\n"` + "\n"},
	} {
		raw := crlf(c.raw)
		s := summarize(t, raw)
		check(t, raw, s)
		if got := outline(raw, s.Root); got != c.want {
			t.Errorf("%s\ngot\n%swant\n%s", c.raw, got, c.want)
		}
	}
}

// A large message costs no more memory than a small one.
func TestMemoryIsBounded(t *testing.T) {
	line := []byte(strings.Repeat("TWFueSBoYW5kcyBtYWtl", 3) + "\r\n")
	s := NewSummarizer()
	io.WriteString(s, crlf("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range (50 << 20) / len(line) {
		s.Write(line)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("50 MB of body allocate %d octets", n)
	}
	if sum := s.Summary(); sum.Attachments != 1 || sum.Root.Children[0].Size < 49<<20 {
		t.Errorf("%+v", sum.Root.Children[0])
	}
}

// Words that begin and say nothing are not read again and again.
func TestDecodeHeaderIsLinear(t *testing.T) {
	for _, s := range []string{
		strings.Repeat("=?-?b?!", 10_000) + "?=",
		strings.Repeat("=?utf-8?b?", 10_000),
		strings.Repeat("=?utf-8?q?=", 10_000) + "?=",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		DecodeHeader(s)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 100*uint64(len(s)) {
			t.Errorf("%d octets, %.20s…, allocate %d", len(s), s, n)
		}
	}
}

func FuzzSummarize(f *testing.F) {
	for _, s := range []string{
		crlf(mixed), mixed, "", "a: b", nest(3, numbered), nest(3, func(int) string { return "same" }),
		"Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\nTo: x:a@b;\r\n--a--",
		"Content-Type: text/html; charset=iso-2022-jp\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=1B$B$\"=1B(B",
		"Content-Disposition: attachment; filename*0*=utf-8''%41; filename*1=b\r\nSubject: \x1b$BF|K\\\x1b(B\r\n\r\n",
		"Date: Mon, 6 Jan 2025 10:00:00 +0900\r\nReferences: <a@b> <c>\r\nReceived: x\r\nReceived: y\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := summarize(t, string(raw))
		check(t, string(raw), s)
		sameInPieces(t, string(raw), s)
		s.Root.Walk(func(path []int, p *Part) bool {
			if p.Type != "multipart" && s.Root.Find(path) != p {
				t.Fatalf("%v finds another part", path)
			}
			return true
		})
		ReadText(strings.NewReader(string(raw)), s.Root, s.Size, 1<<16, func(p *Part, r io.Reader) error {
			text, err := io.ReadAll(r)
			if got := Fold(string(text)); err == nil && Fold(got) != got {
				t.Fatalf("%q folds twice: %q", text, got)
			}
			return err
		})
	})
}

const small = `Return-Path: <alice@example.test>
Received: from client.example.test (host.example.test [192.0.2.1])
	by mx.example.test with ESMTPS (TLS1.3 TLS_AES_128_GCM_SHA256)
	id abcdefgh for <bob@example.test>; Mon, 6 Jan 2025 10:00:00 +0900
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.test; s=s1;
	h=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;
	b=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR
From: "Alice Example" <alice@example.test>
To: Bob <bob@example.test>, Carol <carol@example.test>
Subject: =?utf-8?B?5Lya6K2w44Gu44GK55+l44KJ44Gb?=
Date: Mon, 6 Jan 2025 10:00:00 +0900
Message-ID: <20250106100000.1@example.test>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

`

func BenchmarkSummarize4K(b *testing.B) {
	raw := crlf(small + strings.Repeat("The quick brown fox jumps over the lazy dog.\n", 65))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		s := NewSummarizer()
		io.WriteString(s, raw)
		s.Summary()
	}
}

func BenchmarkSummarize4KMultipart(b *testing.B) {
	raw := crlf(mixed + strings.Repeat("The quick brown fox jumps over the lazy dog.\n", 70))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		s := NewSummarizer()
		io.WriteString(s, raw)
		s.Summary()
	}
}

func BenchmarkSummarize50M(b *testing.B) {
	raw := []byte(crlf("Content-Type: multipart/mixed; boundary=a\n\n--a\n\ntext\n--a\nContent-Type: application/pdf\n\n") +
		strings.Repeat("TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsuTWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsuIGFn\r\n", (50<<20)/78) + "--a--\r\n")
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		s := NewSummarizer()
		for i := 0; i < len(raw); i += 64 << 10 {
			s.Write(raw[i:min(len(raw), i+64<<10)])
		}
		s.Summary()
	}
}

func BenchmarkCanonical(b *testing.B) {
	raw := strings.Repeat(strings.Repeat("x", 76)+"\r\n", (1<<20)/78)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		io.Copy(io.Discard, NewCanonicalReader(strings.NewReader(raw)))
	}
}

func BenchmarkFold(b *testing.B) {
	for name, text := range map[string]string{"ascii": "The quick brown Fox jumps over the lazy dog.\r\n", "japanese": "こんにちは、世界。会議は三時からです。ｶﾞｷﾞ\r\n"} {
		b.Run(name, func(b *testing.B) {
			s := strings.Repeat(text, 1000)
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				io.Copy(io.Discard, FoldReader(strings.NewReader(s)))
			}
		})
	}
}

func BenchmarkHTMLText(b *testing.B) {
	s := strings.Repeat("<tr><td style=\"color: red\">The quick &amp; brown fox</td></tr>\r\n", 1000)
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		io.Copy(io.Discard, HTMLText(strings.NewReader(s)))
	}
}
