package message

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

func encode(t testing.TB, e encoding.Encoding, s string) string {
	t.Helper()
	out, err := e.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

const greeting = "こんにちは、世界。会議は三時からです。"

func TestDecodeText(t *testing.T) {
	jis := encode(t, japanese.ISO2022JP, greeting)
	sjis := encode(t, japanese.ShiftJIS, greeting)
	euc := encode(t, japanese.EUCJP, greeting)
	for _, c := range []struct{ name, charset, in, want string }{
		{"JIS", "iso-2022-jp", jis, greeting},
		{"JIS, name in capitals and quotes", `"ISO-2022-JP"`, jis, greeting},
		{"JIS, no charset", "", jis, greeting},
		{"JIS called us-ascii", "us-ascii", jis, greeting},
		{"JIS called UTF-8", "utf-8", jis, greeting},
		{"JIS called latin 1", "iso-8859-1", jis, greeting},
		{"JIS of an unknown name", "x-klingon", jis, greeting},
		{"UTF-8 called JIS", "iso-2022-jp", greeting, greeting},
		{"Shift_JIS called JIS", "iso-2022-jp", sjis, greeting},
		{"Shift_JIS", "Shift_JIS", sjis, greeting},
		{"Shift_JIS, no charset", "", sjis, greeting},
		{"Shift_JIS called UTF-8", "utf-8", sjis, greeting},
		{"Shift_JIS called EUC-JP", "euc-jp", sjis, greeting},
		{"cp932", "CP932", sjis, greeting},
		{"windows-31j", "Windows-31J", sjis, greeting},
		{"EUC-JP", "EUC-JP", euc, greeting},
		{"EUC-JP, no charset", "", euc, greeting},
		{"EUC-JP called Shift_JIS", "shift_jis", euc + euc, greeting + greeting},
		{"UTF-8, no charset", "", greeting, greeting},
		{"UTF-8 after much ASCII", "", strings.Repeat("plain ", 5000) + greeting, strings.Repeat("plain ", 5000) + greeting},
		{"UTF-8 longer than the sample", "", strings.Repeat(greeting, 500), strings.Repeat(greeting, 500)},
		{"JIS longer than the sample", "us-ascii", strings.Repeat(jis+"\r\n", 500), strings.Repeat(greeting+"\r\n", 500)},
		{"circled one, CP50220", "iso-2022-jp", "\x1b$B-!\x1b(B", "①"},
		{"half-width kana by escape", "iso-2022-jp", "\x1b(I1\x1b(B", "ｱ"},
		{"half-width kana by shift", "iso-2022-jp", "a\x0e1\x0fb", "aｱb"},
		{"half-width kana in 8 bits", "cp50221", "\xb1\x1b$B$\"\x1b(B", "ｱあ"},
		{"JIS X 0212", "iso-2022-jp-1", "\x1b$(D0!\x1b(B", "丂"},
		{"a line that does not return", "iso-2022-jp", "\x1b$B$\"\r\nplain\r\n", "あ\r\nplain\r\n"},
		{"an escape at the end", "iso-2022-jp", "\x1b$B$\"\x1b", "あ"},
		{"half a character at the end", "iso-2022-jp", "\x1b$B$\"$", "あ\ufffd"},
		{"latin 1, no charset", "", "caf\xe9 \xe0 la cr\xe8me, d\xe9j\xe0 vu", "café à la crème, déjà vu"},
		{"quotes of windows-1252", "", "don\x92t \x93quote\x94", "don’t “quote”"},
		{"windows-1252 called latin 1", "iso-8859-1", "\x80 5", "€ 5"},
		{"KOI8-R", "koi8-r", encode(t, charmap.KOI8R, "Привет"), "Привет"},
		{"windows-1251", "windows-1251", encode(t, charmap.Windows1251, "Привет"), "Привет"},
		{"cp1251", "cp1251", encode(t, charmap.Windows1251, "Привет"), "Привет"},
		{"GB18030", "gb18030", encode(t, simplifiedchinese.GB18030, "你好，世界"), "你好，世界"},
		{"gb2312", "GB2312", encode(t, simplifiedchinese.GBK, "你好"), "你好"},
		{"HZ", "hz-gb-2312", encode(t, simplifiedchinese.HZGB2312, "你好"), "你好"},
		{"Big5", "big5", encode(t, traditionalchinese.Big5, "你好"), "你好"},
		{"EUC-KR", "ks_c_5601-1987", encode(t, korean.EUCKR, "안녕"), "안녕"},
		{"UTF-16", "utf-16", encode(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM), "héé"), "héé"},
		{"UTF-16LE", "utf-16le", encode(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "日本"), "日本"},
		{"UTF-7", "utf-7", "+ZeVnLIqe- A+ImIDkQ. 1 +- 1 +2D3eAA-", "日本語 A≢Α. 1 + 1 😀"},
		{"broken UTF-8", "utf-8", "a\xff b", "a\ufffd b"},
		{"truncated UTF-8", "utf-8", "日本\xe8\xaa", "日本\ufffd\ufffd"},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
			got, err := io.ReadAll(DecodeText(c.charset, r))
			if string(got) != c.want || err != nil {
				t.Errorf("%s: got %.60q %v, want %.60q", c.name, got, err, c.want)
			}
		}
	}
}

func TestPartText(t *testing.T) {
	jis := encode(t, japanese.ISO2022JP, greeting)
	qp := strings.NewReplacer("\x1b", "=1B", "=", "=3D").Replace(jis)
	for _, c := range []struct {
		encoding, charset, in, want string
	}{
		{"quoted-printable", "iso-2022-jp", qp, greeting},
		{"quoted-printable", "", qp, greeting},
		{"base64", "shift_jis", b64(encode(t, japanese.ShiftJIS, greeting)), greeting},
		{"quoted-printable", "utf-8", "a=\r\nb =  \r\nc  \r\nd=3D=E3=81=82 =zz =", "ab c\r\nd=あ =zz "},
		{"base64", "utf-8", "44G\r\nC!!44GC", "ああ"},
		{"base64", "utf-8", "YQ==Yg==\r\nYw", "abc"},
		{"base64", "utf-8", "YWI", "ab"},
		{"", "utf-8", "=41", "=41"},
		{"x-unknown", "utf-8", "as it is", "as it is"},
	} {
		p := &Part{Type: "text", Subtype: "plain", Encoding: c.encoding, Params: map[string]string{"charset": c.charset}}
		for _, r := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
			got, err := io.ReadAll(p.Text(r))
			if string(got) != c.want || err != nil {
				t.Errorf("%s %s %q: got %q %v, want %q", c.encoding, c.charset, c.in, got, err, c.want)
			}
		}
	}
}

func TestDecodeHeader(t *testing.T) {
	jis := encode(t, japanese.ISO2022JP, "日本語の件名")
	sjis := encode(t, japanese.ShiftJIS, "表示能力")
	word := func(charset, s string) string { return "=?" + charset + "?B?" + b64(s) + "?=" }
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{word("iso-2022-jp", jis), "日本語の件名"},
		{word("ISO-2022-JP", jis[:9]) + " " + word("iso-2022-jp", jis[9:]), "日本語の件名"},
		{word("iso-2022-jp", jis[:9]+"\x1b(B") + " \t " + word("iso-2022-jp", "\x1b$B"+jis[9:]), "日本語の件名"},
		{word("shift_jis", sjis[:3]) + " " + word("Shift_JIS", sjis[3:]), "表示能力"},
		{word("utf-8", "日本"[:4]) + " " + word("utf-8", "日本"[4:]), "日本"},
		{word("utf-8", "日本") + word("utf-8", "語"), "日本語"},
		{word("utf-8", "日") + " " + word("shift_jis", encode(t, japanese.ShiftJIS, "本")), "日本"},
		{"Re: " + word("utf-8", "件") + " (2)", "Re: 件 (2)"},
		{word("utf-8", "件") + " x " + word("utf-8", "名"), "件 x 名"},
		{"a" + word("utf-8", "件") + "b", "a件b"},
		{"=?utf-8?Q?hello=20_world?=", "hello  world"},
		{"=?utf-8?Q?hello world?=", "hello world"},
		{"=?utf-8?q?=E3=81=82?= =?utf-8?b?44GC?=", "ああ"},
		{"=?UTF-8*ja?Q?=E3=81=82?=", "あ"},
		{"=?iso-8859-1?Q?caf=E9?=", "café"},
		{"=?us-ascii?Q?caf=C3=A9?=", "café"},
		{"=?iso-2022-jp?B?" + b64("\x1b$B-!\x1b(I1\x1b(B") + "?=", "①ｱ"},
		{"=?utf-7?Q?+ZeVnLIqe-?=", "日本語"},
		{"=?euc-jp?B?" + b64(encode(t, japanese.EUCJP, "郵便")) + "?=", "郵便"},
		{"=?iso-2022-jp?B?" + b64("郵便") + "?=", "郵便"},
		{"=?utf-8?B?44GC", "=?utf-8?B?44GC"},
		{"=?utf-8?X?44GC?=", "=?utf-8?X?44GC?="},
		{"=?x-klingon?B?/////w==?=", "=?x-klingon?B?/////w==?="},
		{"=?x-klingon?Q?ascii?=", "ascii"},
		{"=??Q?a?= =?", "=??Q?a?= =?"},
		{"=?utf-8?Q?a=0D=0AB:=00c?=", "a  B: c"},
		{"=?utf-8?B?!!!!?=", "=?utf-8?B?!!!!?="},
		{"=?utf-8?Q??=x", "x"},
		{"=?utf-8?B?44GC?=\t=?=", "あ\t=?="},
		{jis, "日本語の件名"},
		{encode(t, japanese.ShiftJIS, "日本語の件名です"), "日本語の件名です"},
		{encode(t, japanese.EUCJP, "日本語の件名です"), "日本語の件名です"},
		{"caf\xe9", "café"},
		{"日本\xff", "日本\ufffd"},
	} {
		want := strings.ReplaceAll(c.want, "\t", " ")
		if c.in == "日本\xff" { // whichever charset is guessed, it is readable text
			if got := DecodeHeader(c.in); strings.ContainsRune(got, 0) {
				t.Errorf("%q", got)
			}
			continue
		}
		if got := DecodeHeader(c.in); got != want {
			t.Errorf("%q: got %q, want %q", c.in, got, want)
		}
	}
}

func FuzzDecodeHeader(f *testing.F) {
	for _, s := range []string{
		"", "=?utf-8?B?44GC?= =?utf-8?Q?=E3=81=82?=", "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\x1b$BF|K\\\x1b(B",
		"=?utf-7?Q?+ZeVnLIqe-?=", "=?shift_jis?Q?=83e=83X=83g?=", "=?=?=?=?=", "=?a?Q?=?a?Q?", "caf\xe9", "\x93\xfa\x96\x7b",
		"=?hz-gb-2312?Q?~{VPND~}?=", "=?utf-16?B?/v8AYQ==?=", "=?gb18030?B?gTCBMA==?=",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := DecodeHeader(s)
		if clean(got) != got {
			t.Fatalf("%q gives %q", s, got)
		}
		if len(got) > 16*len(s)+16 {
			t.Fatalf("%d octets give %d", len(s), len(got))
		}
	})
}

func TestRawHeadersOfJapan(t *testing.T) {
	for name, e := range map[string]encoding.Encoding{"jis": japanese.ISO2022JP, "sjis": japanese.ShiftJIS, "euc": japanese.EUCJP} {
		raw := crlf("Subject: " + encode(t, e, "請求書を送ります") + "\n" +
			"From: \"" + encode(t, e, "表（おもて）") + "\" <a@example.test>,\n " + encode(t, e, "ソースの係") + " <b@example.test>\n" +
			"Content-Type: application/pdf; name=\"" + encode(t, e, "請求書です.pdf") + "\"\n\n")
		s := summarize(t, raw)
		if s.Envelope.Subject != "請求書を送ります" {
			t.Errorf("%s: subject %q", name, s.Envelope.Subject)
		}
		want := []Address{{"表（おもて）", "a", "example.test"}, {"ソースの係", "b", "example.test"}}
		if len(s.Envelope.From) != 2 || s.Envelope.From[0] != want[0] || s.Envelope.From[1] != want[1] {
			t.Errorf("%s: from %q", name, s.Envelope.From)
		}
		if got := s.Root.Filename(); got != "請求書です.pdf" {
			t.Errorf("%s: file %q", name, got)
		}
	}
}

func TestFileNames(t *testing.T) {
	sjis := func(s string) string { return encode(t, japanese.ShiftJIS, s) }
	percent := func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15])))
		}
		return b.String()
	}
	for _, c := range []struct{ field, want string }{
		{`attachment; filename=plain.txt`, "plain.txt"},
		{`attachment; filename="with space.txt"`, "with space.txt"},
		{`attachment; filename=no quotes.txt; size=3`, "no quotes.txt"},
		{`attachment; filename*=UTF-8'ja'` + percent("資料.pdf"), "資料.pdf"},
		{`attachment; filename*=shift_jis''` + percent(sjis("表.pdf")), "表.pdf"},
		{`attachment; filename*0*=utf-8''` + percent("日本")[:9] + `; filename*1*=` + percent("日本")[9:] + `; filename*2=".txt"`, "日本.txt"},
		{`attachment; filename*2=c; filename*0=a; filename*1=b`, "abc"},
		{`attachment; filename*0=a; filename*2=c`, "a"},
		{`attachment; filename*1=a; filename=b`, "b"},
		{`attachment; filename=old.txt; filename*=utf-8''` + percent("新.txt"), "新.txt"},
		{`attachment; filename="=?iso-2022-jp?B?` + b64(encode(t, japanese.ISO2022JP, "議事録.doc")) + `?="`, "議事録.doc"},
		{`attachment; filename==?utf-8?B?` + b64("議事録.doc") + `?=`, "議事録.doc"},
		{`attachment; filename="=?utf-8?B?` + b64("議事録"[:4]) + "?=\n =?utf-8?B?" + b64("議事録"[4:]+".doc") + `?="`, "議事録.doc"},
		{`attachment; filename*0="=?utf-8?B?` + b64("議事")[:4] + `"; filename*1="` + b64("議事")[4:] + `?="`, "議事"},
		{`attachment; filename="../../etc/passwd"`, "passwd"},
		{`attachment; filename="C:\Users\me\report.doc"`, "report.doc"},
		{`attachment; filename=".."`, ""},
		{`attachment; filename=".bashrc"`, "bashrc"},
		{"attachment; filename*=utf-8''gpj%E2%80%AEexe.txt", "gpjexe.txt"},
		{"attachment; filename*=utf-8''a%0D%0Ab%00c.txt", "a  b c.txt"},
		{`attachment; filename="a<b>c:d.txt"`, "a_b_c_d.txt"},
		{`attachment; filename="a \"q\".txt"`, "a _q_.txt"},
		{`filename=only.txt`, "only.txt"},
		{`attachment; filename="open.txt`, "open.txt"},
		{`attachment; filename=a.txt; filename=b.txt`, "a.txt"},
		{`attachment`, ""},
	} {
		s := summarize(t, crlf("Content-Disposition: "+c.field+"\n\n"))
		if got := s.Root.Filename(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.field, got, c.want)
		}
	}
	long := (&Part{Params: map[string]string{"name": strings.Repeat("長", 300) + ".pdf"}}).Filename()
	if len(long) > 200 || !strings.HasSuffix(long, "長.pdf") {
		t.Errorf("%q", long)
	}
}
