package mailtest_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A horror is a message that somebody's mail program has died of, or may.
// Its line ends are CRLF and no line has more than 64 KiB: whatever else it
// is, we have to give it back as it came.
type horror struct{ name, raw string }

// horrors returns those that people have met, and as many made up ones as
// it takes to have n. They are the same each time.
func horrors(n int) []horror {
	all := knownHorrors()
	g := &generator{rand.New(rand.NewPCG(4, 600))}
	for i := 0; len(all) < n; i++ {
		all = append(all, horror{fmt.Sprintf("made up %d", i), g.message()})
	}
	return all
}

func many(n int, s string) string { return strings.Repeat(s, n) }

func multipart(boundary string) string {
	return "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n"
}

func each(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func knownHorrors() []horror {
	return []horror{
		{"empty line only", "\r\n"},
		{"no header", "\r\nonly text\r\n"},
		{"no blank line", "Subject: x\r\nTo: y@example.test\r\n"},
		{"no header at all", "just some words\r\n"},
		{"From_ first", "From alice Mon Jan  6 10:00:00 2025\r\nSubject: x\r\n\r\ny\r\n"},
		{"continuation first", " folded\r\n\tagain\r\nSubject: x\r\n\r\ny\r\n"},
		{"white lines", "Subject: x\r\n \r\n\t\r\nTo: y@example.test\r\n \r\n\r\n \r\n"},
		{"dots", "Subject: .\r\n.\r\n..\r\n.x: y\r\n\r\n.\r\n..\r\n...\r\n.x\r\n"},
		{"no colon", many(1000, "nothing to see here\r\n")},
		{"colons only", many(1000, ":\r\n") + many(1000, " :\r\n") + many(1000, "a b: c\r\n")},
		{"multipart 100 deep", each(100, "Content-Type: multipart/mixed; boundary=b%[1]d\r\n\r\n--b%[1]d\r\n") + "\r\ndeep\r\n"},
		{"multipart 10000 deep", each(10000, "Content-Type: multipart/mixed; boundary=b%[1]d\r\n\r\n--b%[1]d\r\n") + "\r\ndeep\r\n"},
		{"one boundary 1000 deep", many(1000, multipart("same")+"--same\r\n") + "\r\ndeep\r\n"},
		{"rfc822 10000 deep", many(10000, "Content-Type: message/rfc822\r\n\r\n") + "Subject: x\r\n\r\ndeep\r\n"},
		{"digest of digests", many(3000, "Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\n")},
		{"100000 parts", multipart("a") + many(100000, "--a\r\n\r\nx\r\n") + "--a--\r\n"},
		{"parts with long names", multipart("a") + many(1000, "--a\r\nContent-ID: <"+many(900, "x")+">\r\nContent-Type: text/plain; name="+many(900, "y")+"\r\n\r\n")},
		{"messages with addresses", multipart("a") + many(1000, "--a\r\nContent-Type: message/rfc822\r\n\r\nTo: "+many(500, "a,")+"\r\n\r\n")},
		{"empty boundary", multipart(`""`) + "--\r\n\r\nx\r\n----\r\n"},
		{"no boundary", "Content-Type: multipart/mixed\r\n\r\n--a\r\n\r\nx\r\n"},
		{"boundary of 9000 octets", multipart(many(9000, "x")) + "--" + many(9000, "x") + "\r\n\r\n"},
		{"boundary with quotes", multipart(`"a\"b\\c"`) + "--a\"b\\c\r\n\r\nx\r\n"},
		{"delimiter in the header", multipart("a") + "--a\r\nContent-Type: multipart/mixed; boundary=b\r\n--a\r\nContent-Type: message/rfc822\r\n--a--\r\n"},
		{"delimiter in inner header", multipart("a") + "--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n--a--\r\n"},
		{"base64 message", "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp4DQo=\r\n"},
		{"base64 multipart", "Content-Transfer-Encoding: base64\r\n" + multipart("a") + "LS1hDQo=\r\n"},
		{"broken base64", "Content-Transfer-Encoding: base64\r\n\r\n====!!!!\xffA=B=C\r\nQUJD\r\n=\r\n"},
		{"broken quoted-printable", "Content-Transfer-Encoding: quoted-printable\r\n\r\n=\r\n==\r\n=G0=1\r\n=0D=0A.=0D=0A\r\n=00=\r\n"},
		{"100000 To fields", many(100000, "To: a@example.test\r\n") + "\r\n"},
		{"a field of 5 MB", "Subject: " + many(100000, many(50, "x")+"\r\n ") + "\r\n\r\n"},
		{"50000 addresses", "To: " + many(50000, "\"A\" <a@example.test>,\r\n ") + "x\r\n\r\n"},
		{"tiny addresses", "To: " + many(30000, "a,") + "x\r\nCc: " + many(30000, "a,") + "x\r\n\r\n"},
		{"5000 parameters", "Content-Type: text/plain" + each(5000, ";\r\n a%d=b") + "\r\n\r\n"},
		{"10000 continuations", "Content-Type: text/plain" + each(10000, ";\r\n name*%d*=%%41") + "\r\n\r\n"},
		{"encoded words", "Subject: " + many(3000, "=?utf-8?B?44GC?= ") + "\r\n\r\n"},
		{"line ends in encoded words", "Subject: =?utf-8?Q?x=0D=0AA1_OK_done=0D=0A?=\r\nFrom: =?utf-8?Q?=22=0D=0A)?= <a@example.test>\r\n\r\n"},
		{"NUL in encoded words", "Subject: =?utf-8?Q?a=00b?=\r\nFrom: =?utf-8?B?AAAA?= <a@example.test>\r\n\r\n"},
		{"beginnings of words", "Subject: " + many(10000, "=?a?Q?") + "\r\n\r\n"},
		{"nested comments", "To: " + many(60000, "(") + "\r\nDate: " + many(60000, "(") + "\r\n\r\n"},
		{"open groups", "To: " + many(15000, "a:") + many(15000, "b;") + "\r\n\r\n"},
		{"groups in groups", "To: a: b: c@d.test;;, e: ;, ;, f: g@h.test\r\n\r\n"},
		{"open brackets", "To: " + many(60000, "<") + "\r\nCc: " + many(30000, "<a") + "\r\nBcc: " + many(60000, "[") + "\r\n\r\n"},
		{"open quotes", "To: " + many(10000, `<"\">`) + "\r\nCc: " + many(30000, `"\`) + "\r\nFrom: " + many(30000, `\"`) + "\r\n\r\n"},
		{"100000 references", "References: " + many(100000, "<a@b>\r\n ") + "\r\nIn-Reply-To: " + many(9000, "<a@b> ") + "\r\n\r\n"},
		{"invalid UTF-8", "Subject: \xff\xfe\xe8\xaa\r\nFrom: \xc3 <\xc3@\xe6>\r\nContent-Type: text/\xe3; charset=\xff\r\nContent-ID: \xe6\r\nMessage-ID: <\xe6>\r\n\r\n\xff\r\n"},
		{"controls", "Subject: a\x01b\x1b[31m\x7f\r\nFrom: \x02 <\x03@x>\r\nContent-Type: text/plain; name=\"\x04\"\r\n\r\n\x05\x0b\x0c\r\n"},
		{"literals in the header", "Subject: {5}\r\nFrom: \"{1+}\" <{2}@x>\r\nMessage-ID: {3}\r\n\r\n* 1 EXPUNGE\r\nA1 OK\r\n"},
		{"unknown encodings", "Content-Transfer-Encoding: x-uuencode; foo\r\nContent-Type: text/plain; charset=x-no\r\n\r\n\xe9\r\n"},
		{"Content-Type of garbage", "Content-Type: ;;;=\"\r\nContent-Disposition: ===\r\nContent-Language: ,,,\r\n\r\n"},
		{"Content-Type twice", "Content-Type: text/html\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"},
		{"escapes of ISO-2022", "Content-Type: text/plain; charset=iso-2022-jp\r\nSubject: " + many(20000, "\x1b$B") + "\r\n\r\n" + many(60000, "\x1b") + "\r\n"},
		{"UTF-7", "Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-alert(1)+ADw-/script+AD4-\r\n"},
		{"a gzip that is none", "Content-Type: application/gzip; name=bomb.gz\r\nContent-Transfer-Encoding: base64\r\n\r\nH4sIAAAAAAAA/wMAAAAAAAAAAAA=\r\n"},
		{"dates", "Date: Mon, 99 Foo 99999 99:99:99 +9999\r\nDate: x\r\n\r\n"},
		{"the longest lines", "Subject: " + many(64<<10-9, "x") + "\r\n\r\n" + many(64<<10, "y") + "\r\n"},
	}
}

// generator makes messages out of the bad habits of others.
type generator struct{ *rand.Rand }

func (g *generator) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g *generator) message() string {
	m := g.pick("", "", "Subject: ") + g.entity(g.IntN(6), "outer")
	if g.IntN(4) == 0 && len(m) > 2 {
		m = m[:1+g.IntN(len(m)-1)]
	}
	b := []byte(m)
	for range g.IntN(4) * g.IntN(8) {
		if at := g.IntN(len(b)); b[at] != '\r' && b[at] != '\n' {
			b[at] = byte(0x0e + g.IntN(0xf2))
		}
	}
	return strings.TrimRight(string(b), "\r\n") + "\r\n"
}

// entity is a header and what it announces, or does not.
func (g *generator) entity(depth int, outer string) string {
	var b strings.Builder
	for range g.IntN(8) {
		b.WriteString(g.field())
	}
	boundary := g.pick("a", outer, outer+"x", outer[:len(outer)/2], `"`, "--", " a ", many(70, "b"), "=_?/", "é")
	switch kind := g.IntN(4); {
	case depth > 0 && kind <= 1:
		b.WriteString("Content-Type: multipart/" + g.pick("mixed", "alternative", "digest", "signed", "", "x;y", "RELATED") + ";" +
			g.pick(" ", "\r\n\t", "") + "boundary" + g.pick("=", "*=us-ascii''", "*0=", " = ") +
			g.pick(boundary, `"`+boundary+`"`, `"`+boundary) + "\r\n" + g.encoding() + g.pick("\r\n", "\r\n", "\r\npreamble\r\n", ""))
		for range g.IntN(4) {
			b.WriteString("--" + boundary + g.pick("", "", " ", "\t", "x") + "\r\n" + g.entity(depth-1, boundary))
		}
		b.WriteString(g.pick("", "--"+boundary+"--\r\n", "--"+boundary+"--", "--"+outer+"--\r\nepilogue\r\n"))
	case depth > 0 && kind == 2:
		b.WriteString("Content-Type: message/" + g.pick("rfc822", "RFC822", "global", "partial", "delivery-status", "external-body") + "\r\n" +
			g.encoding() + g.pick("\r\n", "\r\n", "") + g.entity(depth-1, outer))
	default:
		b.WriteString("Content-Type: " + g.pick("text/plain", "text/html", "image/gif", "text", "/", "application/octet-stream") +
			g.pick("", "; charset="+g.pick("utf-8", "utf-7", "iso-2022-jp", "shift_jis", "x-none", `"us-ascii`, "\xff")) +
			g.pick("", "; name="+g.pick(`"a\"b"`, "=?utf-8?Q?=22=0D=0A?=", "../../etc/passwd", `"é`)) + "\r\n" + g.encoding() + g.pick("\r\n", "\r\n", ""))
		for range g.IntN(5) {
			b.WriteString(g.pick("text", ".", "..", "--"+outer, "--"+outer+"--", "From x", "=E3=81=", "44GC", "\x1b$B2q5D\x1b(B", "会議", "\xff\xfe", "<b>&lt;", ")", "}", "{9}", "") + g.pick("\r\n", "\r\n\r\n", "=\r\n", " \r\n"))
		}
	}
	return b.String()
}

func (g *generator) encoding() string {
	return g.pick("", "", "Content-Transfer-Encoding: "+g.pick("base64", "quoted-printable", "8bit", "7bit", "binary", "BASE64 ", "x-uuencode", "")+"\r\n")
}

func (g *generator) field() string {
	name := g.pick("From", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Sender", "Reply-To", "Bcc",
		"Content-ID", "Content-Disposition", "Content-Language", "Content-Location", "Content-MD5", "Received", "X", "", "é", "a b", "FROM ")
	var b strings.Builder
	b.WriteString(name + g.pick(": ", ":", " : ", "", ":\r\n "))
	for range g.IntN(6) {
		b.WriteString(g.pick("a@example.test", "<", ">", `"`, `\`, "(", ")", "[", ";", ",", "@", ":", "=?utf-8?Q?=0D=0A?=", "=?utf-8?B?44GC",
			"=?iso-2022-jp?B?GyRCMnE1RBsoQg==?=", "会議", "\xe3\x81", "\x1b$B2q", "{5}", "NIL", "*0*=x''", "attachment", "filename*=utf-8''%00%0d%0a",
			"Mon, 1 Jan 2024 00:00:00 +0000", "31 Feb 1899", "<1@example.test>", many(200, "x"), "\x01", "%n", "\t") + g.pick(" ", "", "\r\n ", "\r\n\t"))
	}
	return strings.TrimRight(b.String(), "\r\n\t ") + "\r\n"
}
