package message

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding/japanese"
)

func TestFind(t *testing.T) {
	// the example of RFC 9051 §6.4.5.1
	inner := &Part{Type: "multipart", Children: []*Part{{Type: "text", Subtype: "plain"}, {Type: "application"}}}
	third := &Part{Type: "message", Subtype: "rfc822", Children: []*Part{inner}}
	image := &Part{Type: "image"}
	fourInner := &Part{Type: "multipart", Children: []*Part{image, {Type: "message", Subtype: "rfc822", Children: []*Part{{Type: "multipart", Children: []*Part{
		{Type: "text"}, {Type: "multipart", Children: []*Part{{Type: "text"}, {Type: "text", Subtype: "richtext"}}}}}}}}}
	root := &Part{Type: "multipart", Children: []*Part{{Type: "text"}, {Type: "application"}, third, fourInner}}
	var seen []string
	root.Walk(func(path []int, p *Part) bool {
		seen = append(seen, strings.Trim(fmt.Sprint(path), "[]"))
		if p.Type != "multipart" && root.Find(path) != p {
			t.Errorf("%v finds another part", path)
		}
		return true
	})
	want := "|1|2|3|3|3 1|3 2|4|4 1|4 2|4 2|4 2 1|4 2 2|4 2 2 1|4 2 2 2"
	if got := strings.Join(seen, "|"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, path := range [][]int{{0}, {5}, {-1}, {1, 1}, {3, 3}, {4, 1, 1}, {3, 1, 1}} {
		if root.Find(path) != nil {
			t.Errorf("%v should not exist", path)
		}
	}
	if root.Find(nil) != root || root.Find([]int{3}) != third || root.Find([]int{4}) != fourInner {
		t.Error("wrong part")
	}
	leaf := &Part{Type: "text"}
	if leaf.Find([]int{1}) != leaf || leaf.Find([]int{2}) != nil || leaf.Find([]int{1, 1}) != nil {
		t.Error("a message of one part is part 1")
	}
	wrapped := &Part{Type: "message", Subtype: "rfc822", Children: []*Part{leaf}}
	if wrapped.Find([]int{1}) != wrapped || wrapped.Find([]int{1, 1}) != leaf || wrapped.Find([]int{1, 1, 1}) != nil {
		t.Error("a message that is a message")
	}
}

func TestIsAttachment(t *testing.T) {
	for _, c := range []struct {
		part Part
		want bool
	}{
		{Part{Type: "text", Subtype: "plain"}, false},
		{Part{Type: "text", Subtype: "plain", Disposition: "attachment"}, true},
		{Part{Type: "text", Subtype: "csv", Params: map[string]string{"name": "a.csv"}}, true},
		{Part{Type: "application", Subtype: "pdf"}, true},
		{Part{Type: "image", Subtype: "png", Disposition: "inline", ID: "<a@b>"}, false},
		{Part{Type: "image", Subtype: "png", ID: "<a@b>"}, false},
		{Part{Type: "image", Subtype: "png", Disposition: "attachment", ID: "<a@b>"}, true},
		{Part{Type: "message", Subtype: "rfc822"}, true},
		{Part{Type: "message", Subtype: "delivery-status"}, false},
		{Part{Type: "application", Subtype: "pgp-signature"}, false},
		{Part{Type: "multipart", Subtype: "mixed", Disposition: "attachment"}, false},
	} {
		if got := c.part.IsAttachment(); got != c.want {
			t.Errorf("%+v: %v", c.part, got)
		}
	}
}

func TestHTMLText(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                "plain",
		"<p>one</p><p>two</p>": "one\ntwo",
		"a <b>bold</b> word":   "a bold word",
		"a\n\n  b<br>c<br/>d":  "a b\nc\nd",
		"<style>p{}</style><script>x<y</script>t":           "t",
		"<STYLE>p{}</sTyLe >t":                              "t",
		"<title>no</title>yes":                              "yes",
		"<!-- no <p> -- > no -->yes<!-->y<!doctype html>":   "yesy",
		"a&amp;b &lt;c&gt; &eacute;&#12354;&#x3042;&nbsp;x": "a&b <c> éああ x",
		"a & b &unknown; &amp":                              "a & b &unknown; &",
		"1 < 2 and <3":                                      "1 < 2 and <3",
		`<img alt="a > b" src='x>y'>t`:                      "t",
		`<a href=it's>t</a>`:                                "t",
		"<td>a</td><td>b</td>":                              "a b",
		"<script>never ends":                                "",
		"<p":                                                "",
		"x<":                                                "x<",
		"<img src=\"data:" + strings.Repeat("A", 1<<20) + "\">t": "t",
		"<script></scripty></script>t":                           "t",
		"<script><</script>t":                                    "t",
		"日<b>本</b>語":                                             "日本語",
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
			got, err := io.ReadAll(HTMLText(r))
			if string(got) != want || err != nil {
				t.Errorf("%.60q: got %q %v, want %q", in, got, err, want)
			}
		}
	}
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"":                                   "",
		"Hello  World\r\n next":              "hello world next",
		" a ":                                " a ",
		"ＡＢＣ　１２３":                            "abc 123",
		"ｶﾞｷﾞ":                               "ガギ",
		"か\u3099":                            "が",
		"J\u030c \u01f0":                     "\u01f0 \u01f0",
		"e\u0301É":                           "éé",
		"℡ Ⓐ ①":                              "tel a 1",
		"会議の資\r\n料です":                        "会議の資料です",
		"会議 の資料":                             "会議 の資料",
		"ｾ\r\nﾞか\n\u3099":                    "ゼが",
		"word\r\n語":                          "word 語",
		"a\xffB":                             "a\ufffdb",
		"a\u00a0b":                           "a b",
		strings.Repeat("aé ", 5000):          strings.Repeat("aé ", 5000),
		strings.Repeat("A", 9000) + "\u0301": strings.Repeat("a", 8999) + "á",
	} {
		got := Fold(in)
		if got != want {
			t.Errorf("%.40q: got %.60q, want %.60q", in, got, want)
		}
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
			b, err := io.ReadAll(FoldReader(r))
			if string(b) != Fold(in) || err != nil {
				t.Errorf("%.40q: reader gives %.60q %v", in, b, err)
			}
		}
	}
}

func TestReadText(t *testing.T) {
	raw := crlf("Subject: outer\nContent-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: text/plain; charset=iso-2022-jp\n\n" +
		encode(t, japanese.ISO2022JP, greeting) + "\n--a\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<p>caf=C3=A9</p>\n" +
		"--a\nContent-Type: application/pdf\n\nPDF\n--a\nContent-Type: message/rfc822\n\nSubject: =?utf-8?B?5Lu25ZCN?=\nFrom: x@y.test\n\ninner\n--a--\n")
	s := summarize(t, raw)
	read := func(max int64) string {
		var b strings.Builder
		err := ReadText(strings.NewReader(raw), s.Root, s.Size, max, func(p *Part, r io.Reader) error {
			text, err := io.ReadAll(r)
			fmt.Fprintf(&b, "%s|", text)
			return err
		})
		if err != nil {
			t.Error(err)
		}
		return b.String()
	}
	if got, want := read(1<<20), greeting+"|café|Subject: 件名\nFrom: x@y.test\n|inner|"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := read(int64(len(greeting)+3)), greeting+"|caf|"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	stop := errors.New("stop")
	if err := ReadText(strings.NewReader(raw), s.Root, s.Size, 1<<20, func(*Part, io.Reader) error { return stop }); err != stop {
		t.Errorf("%v", err)
	}
	// a body that is shorter than its description must not hurt
	if err := ReadText(strings.NewReader("x"), s.Root, 1, 1<<20, func(p *Part, r io.Reader) error { _, err := io.ReadAll(r); return err }); err != nil {
		t.Errorf("%v", err)
	}
}

func TestPreview(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{"\n\n  hello \n\n world\n", "hello world"},
		{"Content-Type: text/html\n\n<style>x{}</style><p>hello</p> &zwnj;&nbsp;&zwnj; world", "hello world"},
		{"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + b64(greeting) + "\n", greeting},
		{"Content-Type: text/plain\n\n" + strings.Repeat("あ", 300), strings.Repeat("あ", 200)},
		{"Content-Type: text/plain\nContent-Disposition: attachment\n\nx\n", ""},
		{"Content-Type: multipart/alternative; boundary=a\n\n--a\n\n \n--a\nContent-Type: text/html\n\n<b>only</b>\n--a--\n", "only"},
		{"Content-Type: text/plain; charset=iso-2022-jp\n\n" + encode(t, japanese.ISO2022JP, greeting), greeting},
		{"Content-Type: application/pdf\n\nx\n", ""},
	} {
		if got := summarize(t, crlf(c.raw)).Preview; got != c.want {
			t.Errorf("%.60q: %q", c.raw, got)
		}
	}
}

func TestSummaryErrorIsTheReaders(t *testing.T) {
	broken := errors.New("broken")
	if _, err := Summarize(iotest.ErrReader(broken)); err != broken {
		t.Errorf("%v", err)
	}
}
