package relay

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

func lines(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

const (
	eightBitMail = "From: ada@alpha.test\nSubject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße = aus Köln.\n"
	mixedMail    = "From: ada@alpha.test\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\npreamble\n--b\n" +
		"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße\n--b\nContent-Type: application/x\nContent-Transfer-Encoding: binary\n\n\xff\xfe\x01\n--b\n" +
		"Content-Type: text/plain\n\nplain\n--b\nContent-Type: message/rfc822\n\nSubject: inner\nContent-Type: text/plain; charset=utf-8\n\nÄ\n--b--\n"
	signedMail = "From: ada@alpha.test\nMIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\nGrüße\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n"
)

func TestConversion(t *testing.T) {
	long := strings.Repeat("word ", 300)
	cases := []struct {
		name, in string
		sevenBit bool
		status   string // of the refusal
	}{
		{"8-bit text", eightBitMail, true, ""},
		{"8-bit text without MIME", "From: a@b\n\nGr\xfc\xdfe\n", true, ""},
		{"several parts", mixedMail, true, ""},
		{"a long line", "From: a@b\n\n" + long + "\n" + long + "\n", false, ""},
		{"a long line in one part", strings.Replace(mixedMail, "plain\n--b", long+"\n--b", 1), false, ""},
		{"long base64", "From: a@b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("QUJD", 400) + "\n", false, ""},
		{"a long header", "From: a@b\nReferences: " + strings.Repeat("<x@y> ", 300) + "\n\nx\n", false, ""},
		{"a long word in the header", "From: a@b\nX: " + strings.Repeat("x", 2000) + "\n\nx\n", false, "5.6.0"},
		{"signed", signedMail, true, "5.6.3"},
		{"8-bit header", "From: a@b\nSubject: Gr\xfc\xdfe\n\nx\n", true, "5.6.3"},
		{"8-bit preamble", strings.Replace(mixedMail, "preamble", "pr\xe9", 1), true, "5.6.3"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := lines(c.in)
			var out bytes.Buffer
			err := convert(&out, strings.NewReader(in), int64(len(in)), c.sevenBit)
			var v *verdict
			if errors.As(err, &v) && v.status() == c.status {
				return
			}
			if err != nil || c.status != "" {
				t.Fatalf("%v, want %q", err, c.status)
			}
			look := &inspector{}
			_, _ = look.Write(out.Bytes())
			if look.long || c.sevenBit && look.eightBit || !message.IsCanonical(out.Bytes()) {
				t.Errorf("converted to %q", out.String())
			}
			before, after := decoded(t, in), decoded(t, out.String())
			if before != after {
				t.Errorf("before %q\nafter  %q\nin %q", before, after, out.String())
			}
		})
	}
}

// decoded is what a reader sees of a message.
func decoded(t *testing.T, raw string) string {
	t.Helper()
	s, err := message.Summarize(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	s.Root.Walk(func(_ []int, p *message.Part) bool {
		if len(p.Children) == 0 {
			b.WriteString(p.Type + "/" + p.Subtype + ": " + text(p, raw) + "|")
		}
		return true
	})
	return b.String()
}

// A message that needs no conversion is not touched.
func TestConversionLeavesTheRestAlone(t *testing.T) {
	for _, in := range []string{eightBitMail, mixedMail, signedMail, letter} {
		in = lines(strings.ReplaceAll(in, "\r\n", "\n"))
		var out bytes.Buffer
		if err := convert(&out, strings.NewReader(in), int64(len(in)), false); err != nil || out.String() != in {
			t.Errorf("%q became %q, %v", in, out.String(), err)
		}
	}
}

// What the next server lacks leads to a conversion or to a clear refusal.
func TestServersThatLackExtensions(t *testing.T) {
	utf8Mail := "From: Ada <ada@alpha.test>\nSubject: Grüße\nMIME-Version: 1.0\n\nHi.\n"
	cases := []struct {
		name, to, body string
		utf8           bool
		offers         []string
		status         string // "" is delivered
		from, rcpt     string // parts of the commands
	}{
		{"8BITMIME", "bob@beta.test", eightBitMail, false, []string{"8BITMIME"}, "", "<ada@alpha.test> BODY=8BITMIME", "<bob@beta.test>"},
		{"no 8BITMIME", "bob@beta.test", eightBitMail, false, nil, "", "<ada@alpha.test>", "<bob@beta.test>"},
		{"no 8BITMIME for what is signed", "bob@beta.test", signedMail, false, nil, "5.6.3", "", ""},
		{"SIZE", "bob@beta.test", eightBitMail, false, []string{"SIZE 100", "8BITMIME"}, "5.3.4", "", ""},
		{"SIZE without a limit", "bob@beta.test", signedMail, false, []string{"SIZE", "8BITMIME"}, "", "SIZE=", ""},
		{"SIZE 0", "bob@beta.test", signedMail, false, []string{"SIZE 0", "8BITMIME"}, "", "SIZE=", ""},
		{"SMTPUTF8", "郵便@beta.test", utf8Mail, true, []string{"SMTPUTF8", "8BITMIME"}, "", "BODY=8BITMIME SMTPUTF8", "<郵便@beta.test>"},
		{"no SMTPUTF8 for the address", "郵便@beta.test", "From: a@b\n\nx\n", true, []string{"8BITMIME"}, "5.6.7", "", ""},
		{"no SMTPUTF8 for the header", "bob@beta.test", utf8Mail, true, []string{"8BITMIME"}, "5.6.7", "", ""},
		{"no need for SMTPUTF8", "bob@beta.test", "From: a@b\n\nx\n", true, []string{"8BITMIME"}, "", "<ada@alpha.test>", "<bob@beta.test>"},
		{"quoted", `"bob b"@beta.test`, "From: a@b\n\nx\n", false, nil, "", "", `<"bob b"@beta.test>`},
		{"quoted again", `bob@home@beta.test`, "From: a@b\n\nx\n", false, nil, "", "", `<"bob@home"@beta.test>`},
		{"a long line", "bob@beta.test", "From: a@b\n\n" + strings.Repeat("x ", 2000) + "\n", false, nil, "", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			p := w.beta(nil)
			p.offers = c.offers
			w.run()
			recipient := store.Recipient{Remote: c.to}
			if _, err := store.CanonicalAddress(c.to); err != nil {
				t.Skip("the store takes no such address")
			}
			w.accept(store.Delivery{Sender: "ada@alpha.test", UTF8: c.utf8, Body: store.Bytes(lines(c.body)), Recipients: []store.Recipient{recipient}})
			o := w.one()
			if o.Status != c.status || (o.Event == Delivered) != (c.status == "") {
				t.Fatalf("%+v", o)
			}
			if c.status != "" {
				if n := w.notices(); len(n) != 1 {
					t.Errorf("%d notices", len(n))
				}
				return
			}
			got := p.got()
			if len(got) != 1 || !strings.Contains(got[0].from, c.from) || !strings.Contains(got[0].to[0], c.rcpt) {
				t.Fatalf("%+v", got)
			}
			look := &inspector{}
			_, _ = look.Write([]byte(got[0].text))
			if look.long || look.eightBit && !strings.Contains(strings.Join(c.offers, " "), "8BITMIME") {
				t.Errorf("got %q", got[0].text)
			}
		})
	}
}

// A large mail is read and sent in pieces; dots are stuffed wherever the
// pieces begin.
func TestLargeMails(t *testing.T) {
	body := letter + strings.Repeat(".\r\n..\r\n. x\r\n"+strings.Repeat("y", 55)+"\r\n", 20000)
	w := newWorld(t, nil)
	p := w.beta(nil)
	w.run()
	w.accept(store.Delivery{Sender: "ada@alpha.test", Body: store.Bytes(body), Recipients: to("bob@beta.test", store.DSN{})})
	if o := w.one(); o.Event != Delivered {
		t.Fatalf("%+v", o)
	}
	if got, want := p.got()[0].text, body[strings.Index(body, "Received:"):]; got != want {
		t.Errorf("%d octets instead of %d", len(got), len(want))
	}
}

// FuzzReplies gives the parser what servers may say.
func FuzzReplies(f *testing.F) {
	for _, s := range []string{"250 ok", "250-ok", "250", "25", "999 x", "2500", "250\tx", "", "550 5.1.1 \x1b[0m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		code, text, _, err := parseReplyLine(line)
		if err != nil {
			return
		}
		if code < 200 || code > 599 {
			t.Errorf("code %d", code)
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
			t.Errorf("text %q", text)
		}
	})
}

// FuzzConvert: whatever is converted can be sent, and says what it said.
func FuzzConvert(f *testing.F) {
	for _, s := range []string{eightBitMail, mixedMail, signedMail, letter, "\xff", "Content-Type: multipart/mixed; boundary=x\n\n--x\n\n\xff\n--x--"} {
		f.Add(lines(s))
	}
	f.Fuzz(func(t *testing.T, in string) {
		if !message.IsCanonical([]byte(in)) {
			return
		}
		var out bytes.Buffer
		if err := convert(&out, strings.NewReader(in), int64(len(in)), true); err != nil {
			return
		}
		look := &inspector{}
		_, _ = look.Write(out.Bytes())
		if look.long || look.eightBit || !message.IsCanonical(out.Bytes()) {
			t.Errorf("%q became %q", in, out.String())
		}
	})
}
