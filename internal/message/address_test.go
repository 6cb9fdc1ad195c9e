package message

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseAddresses(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []Address
	}{
		{"", nil},
		{"a@b.test", []Address{{"", "a", "b.test"}}},
		{"<a@b.test>", []Address{{"", "a", "b.test"}}},
		{"A B <a@b.test>, c@d.test", []Address{{"A B", "a", "b.test"}, {"", "c", "d.test"}}},
		{`"B, A" <a@b.test>`, []Address{{"B, A", "a", "b.test"}}},
		{`"say \"hi\" \\" <a@b.test>`, []Address{{`say "hi" \`, "a", "b.test"}}},
		{`"Doe" J. Q. <a@b.test>`, []Address{{"Doe J. Q.", "a", "b.test"}}},
		{"a@b.test (A B)", []Address{{"A B", "a", "b.test"}}},
		{"A (x (y) z) B <a@b.test>", []Address{{"A B", "a", "b.test"}}},
		{`"john doe"@b.test`, []Address{{"", "john doe", "b.test"}}},
		{`<"john doe"@b.test>`, []Address{{"", "john doe", "b.test"}}},
		{`<"a@b"@c.test>`, []Address{{"", "a@b", "c.test"}}},
		{"<@x.test,@y.test:a@b.test>", []Address{{"", "a", "b.test"}}},
		{"a @ b.test", []Address{{"", "a", "b.test"}}},
		{"a@[127.0.0.1]", []Address{{"", "a", "[127.0.0.1]"}}},
		{"a@[IPv6:::1], b@c.test", []Address{{"", "a", "[IPv6:::1]"}, {"", "b", "c.test"}}},
		{"friends: a@b.test, C <c@d.test>;, e@f.test", []Address{{"", "friends", ""}, {"", "a", "b.test"}, {"C", "c", "d.test"}, {}, {"", "e", "f.test"}}},
		{"undisclosed-recipients:;", []Address{{"", "undisclosed-recipients", ""}, {}}},
		{"open group: a@b.test", []Address{{"", "open group", ""}, {"", "a", "b.test"}, {}}},
		{"root", []Address{{"", "root", MissingHost}}},
		{"Only A Name", []Address{{"Only A Name", MissingMailbox, MissingHost}}},
		{"<>", nil},
		{",,, a@b.test ,,", []Address{{"", "a", "b.test"}}},
		{"a@b.test; c@d.test", []Address{{"", "a", "b.test"}, {"", "c", "d.test"}}},
		{"A <a@b.test, C <c@d.test>", []Address{{"A", "a", "b.test"}, {"C", "c", "d.test"}}},
		{`"open <a@b.test>, c@d.test`, []Address{{"open", "a", "b.test"}, {"", "c", "d.test"}}},
		{"(open a@b.test", nil},
		{"a@b.test <a@b.test>", []Address{{"a@b.test", "a", "b.test"}}},
		{"=?utf-8?B?44GC?= =?utf-8?B?44GC?= <a@b.test>", []Address{{"=?utf-8?B?44GC?= =?utf-8?B?44GC?=", "a", "b.test"}}},
		{"日本 <日本@例え.test>", []Address{{"日本", "日本", "例え.test"}}},
		{"A <a@b.test> trailing, c@d.test", []Address{{"A trailing", "a", "b.test"}, {"", "c", "d.test"}}},
		{"mailto <mailto:a@b.test>", []Address{{"mailto", "a", "b.test"}}},
	} {
		if got := ParseAddresses(c.in, 100); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.in, got, c.want)
		}
	}
	if got := ParseAddresses(strings.Repeat("a@b.test,", 50000), MaxAddress); len(got) != MaxAddress {
		t.Errorf("%d addresses", len(got))
	}
}

func TestParseDate(t *testing.T) {
	jst := time.FixedZone("", 9*3600)
	want := time.Date(2025, 1, 6, 10, 20, 30, 0, jst)
	for _, in := range []string{
		"Mon, 6 Jan 2025 10:20:30 +0900", "6 Jan 2025 10:20:30 +0900", "Mon, 06 Jan 2025 10:20:30 +0900 (JST)",
		"Mon,6 Jan 2025 10:20:30 +0900", "Mon (a (nested) comment), 6 Jan 25 10:20:30 JST", "6 January 2025 10:20:30 +09:00",
		"Mon Jan  6 10:20:30 2025 +0900", "Mon Jan  6 10:20:30 JST 2025", "2025-01-06T10:20:30+09:00", "06-Jan-2025 10:20:30 +0900",
		"Mon, 6 Jan 125 10:20:30 +0900", "Mon, 6 Jan 2025 10:20:30 GMT+0900", "Sun, 5 Jan 2025 20:20:30 EST", "Mon, 6 Jan 2025 01:20:30",
		"  Mon, 6 JAN 2025 01:20:30 UT", "Mon, 6 Jan 2025 01:20:30 -0000", "Mon, 6 Jan 2025 01:20:30 XYZ",
	} {
		if got := ParseDate(in); !got.Equal(want) {
			t.Errorf("%s: %v", in, got)
		}
	}
	if got := ParseDate("Mon, 6 Jan 2025 10:20 +0900"); !got.Equal(want.Add(-30 * time.Second)) {
		t.Errorf("without seconds: %v", got)
	}
	if _, offset := ParseDate("6 Jan 2025 10:20:30 -0330").Zone(); offset != -(3*3600 + 1800) {
		t.Errorf("offset %d", offset)
	}
	for _, in := range []string{
		"", "yesterday", "Mon, 31 Feb 2025 10:00:00 +0000", "6 Jan 99999 10:00 +0000", "32 Jan 2025 10:00 +0000", "6 Foo 2025 10:00 +0000",
		"6 Jan 2025 25:00:00 +0000", "6 Jan 0000 10:00 +0000", strings.Repeat("(", 1000), "1 2 3 4 5", "-", "- - -", ":", "+",
	} {
		if got := ParseDate(in); !got.IsZero() {
			t.Errorf("%.30q: %v", in, got)
		}
	}
	if got := ParseDate(NewDate(want)); !got.Equal(want) {
		t.Errorf("NewDate: %s", NewDate(want))
	}
}

func TestParseIDs(t *testing.T) {
	for in, want := range map[string][]string{
		"<a@b> <c@d>":                  {"a@b", "c@d"},
		"<a@b><c@d>":                   {"a@b", "c@d"},
		"Your message of Monday <a@b>": {"a@b"},
		"a@b c@d":                      {"a@b", "c@d"},
		"no identifier":                nil,
		"<a @ b>":                      {"a@b"},
		"<open":                        nil,
		"<a@b <c@d>":                   {"a@b", "c@d"},
		"<1> <2> <3> <4> <5> <6> <7>":  {"1", "4", "5", "6", "7"},
		"<> <a@b>":                     {"a@b"},
	} {
		if got := parseIDs(in, 5); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// FuzzFields reads one value as every structured field there is.
func FuzzFields(f *testing.F) {
	for _, s := range []string{
		"Mon, 6 Jan 2025 10:20:30 +0900 (JST)", "0+:", "1-1-1 1:1", `"B, A" <"a b"@c.test>, g: <@r:d@e>;, (x) y@[1.2.3.4]`,
		"<a@b> <c", `attachment; filename*0*=utf-8'ja'%E3%81; filename*1*=%82; x="\"y`, "text/plain (c) charset=x; a*=b",
		"=?iso-2022-jp?B?GyRCRnw=?= =?ISO-2022-JP?B?S1wbKEI=?=", "\x1b$BF|K\\", "\x93\xfa\x96\x7b\x82\xa0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		s := fieldText(raw)
		if clean(s) != s || strings.ContainsAny(s, "\r\n\x00") {
			t.Fatalf("%q", s)
		}
		if at := ParseDate(s); !at.IsZero() {
			if _, err := at.MarshalJSON(); err != nil || !ParseDate(NewDate(at)).Equal(at.Truncate(time.Second)) {
				t.Fatalf("%q is %v", s, at)
			}
		}
		for _, a := range ParseAddresses(s, 100) {
			if a.Mailbox == "" && a != (Address{}) || a.Host == "" && a.Name != "" {
				t.Fatalf("%q: %q", s, a)
			}
		}
		parseIDs(s, 10)
		parseEncoding(s)
		_, disposition := parseDisposition(s)
		typ, subtype, params, ok := parseMediaType(s)
		if ok && (!isToken(typ) || !isToken(subtype)) {
			t.Fatalf("%q: %q/%q", s, typ, subtype)
		}
		for _, m := range []map[string]string{disposition, params} {
			for k, v := range m {
				if clean(v) != v || !isToken(k) {
					t.Fatalf("%q: %q=%q", s, k, v)
				}
			}
		}
		if name := safeName(s); strings.ContainsAny(name, "/\\\x00") || name == ".." {
			t.Fatalf("%q", name)
		}
	})
}
