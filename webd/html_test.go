package webd

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// bad finds what must not be in a mail that is shown: anything that runs, is
// fetched, or leaves its place.
func bad(t testing.TB, text string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		tok := z.Token()
		if slices.Contains([]string{"script", "style", "link", "meta", "base", "iframe", "object", "embed", "form", "input", "button", "svg", "math", "video", "audio", "source", "template", "textarea", "noscript", "select", "frame", "frameset", "applet", "title", "head", "body", "html", "portal", "xmp", "plaintext", "use", "image"}, tok.Data) {
			t.Errorf("<%s> is left in %q", tok.Data, text)
		}
		for _, a := range tok.Attr {
			value := strings.ToLower(strings.Join(strings.Fields(a.Val), ""))
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "srcset", a.Key == "background", a.Key == "srcdoc", a.Key == "id", a.Key == "name", a.Key == "ping", a.Key == "download", a.Key == "formaction", a.Key == "poster":
				t.Errorf("%s=%q is left", a.Key, a.Val)
			case a.Key == "src" && !strings.HasPrefix(value, "data:image/"):
				t.Errorf("src=%q is left", a.Val)
			case a.Key == "href" && !strings.HasPrefix(value, "http") && !strings.HasPrefix(value, "/compose?"):
				t.Errorf("href=%q is left", a.Val)
			case a.Key == "style" && (strings.Contains(value, "url") || strings.Contains(value, "position") || strings.Contains(value, "expression") || strings.Contains(value, "\\") || strings.Contains(value, "@")):
				t.Errorf("style=%q is left", a.Val)
			}
		}
	}
}

var attacks = []string{
	`<script>alert(1)</script>`, `<SCRIPT SRC=//e.example/x.js></SCRIPT>`, `<scr<script>ipt>alert(1)</script>`, `<script/x>alert(1)</script x>`,
	`<img src=x onerror=alert(1)>`, `<img src="x" ONERROR = alert(1)>`, `<img/src=x/onerror=alert(1)>`, "<img src=x\x00onerror=alert(1)>", `<img src="javascript:alert(1)">`,
	`<a href="javascript:alert(1)">x</a>`, `<a href=" java	script:alert(1)">x</a>`, `<a href="&#106;avascript:alert(1)">x</a>`, `<a href="vbscript:x">x</a>`, `<a href="data:text/html,<script>alert(1)</script>">x</a>`, `<a href="//e.example">x</a>`, `<a href="/act?do=delete">x</a>`, `<a href="blob:https://x">x</a>`, `<a href="file:///etc/passwd">x</a>`, `<a href="cid:x">x</a>`,
	`<svg onload=alert(1)>`, `<svg><animate attributeName=href values=javascript:alert(1) /><a id=x><text x=20 y=20>x</text></a>`, `<svg><script>alert(1)</script></svg>`, `<svg><image href="https://e.example/x"/></svg>`, `<svg><filter><feImage href="https://e.example/x"/></filter></svg>`, `<svg><use href="data:image/svg+xml,<svg id='x' xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>#x"/></svg>`, `<svg><foreignObject><iframe src=javascript:alert(1)></foreignObject></svg>`, `<svg><style><img src=x onerror=alert(1)></style></svg>`,
	`<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">`, `<math href="javascript:alert(1)">x</math>`, `<math><annotation-xml encoding="text/html"><script>alert(1)</script></annotation-xml></math>`,
	`<form action="https://e.example"><input name=password><button>log in</button></form>`, `<button formaction=javascript:alert(1)>x</button>`, `<input type=image src=https://e.example/x>`, `<isindex action=javascript:alert(1)>`,
	`<iframe src="https://e.example">`, `<iframe srcdoc="<script>alert(1)</script>">`, `<object data="https://e.example">`, `<embed src="https://e.example">`, `<applet code=x>`, `<frameset><frame src=javascript:alert(1)></frameset>`, `<portal src=https://e.example>`,
	`<base href="https://e.example/"><a href="x">x</a>`, `<meta http-equiv=refresh content="0;url=https://e.example">`, `<link rel=stylesheet href=https://e.example/x.css>`, `<link rel=dns-prefetch href=//e.example>`, `<link rel=preconnect href=https://e.example>`,
	`<style>@import "https://e.example/x.css"; body{background:url(https://e.example/x)}</style>`, `<style></style><img src=x onerror=alert(1)>`, `<div style="background:url(https://e.example/x)">x</div>`, `<div style="background-image:image-set('https://e.example/x' 1x)">x</div>`, `<div style="width:expression(alert(1))">x</div>`, `<div style="position:fixed;inset:0">overlay</div>`, `<div style="background:u\72l(https://e.example)">x</div>`, `<div style="-moz-binding:url(https://e.example)">x</div>`, `<div style="list-style:url(https://e.example/x)">x</div>`, `<div style="color:red;background:\75rl('https://e.example')">x</div>`, `<p style="font-family:'x;background:url(//e.example)'">x</p>`, `<div style="content:url(https://e.example)">x</div>`, `<div style="color:red}*{background:url(//e.example)}">x</div>`,
	`<img src="https://e.example/pixel.gif">`, `<img srcset="https://e.example/x 1x">`, `<img lowsrc=https://e.example dynsrc=https://e.example>`, `<table background="https://e.example/x"><td background=https://e.example/y>x</table>`, `<body background="https://e.example/x">`, `<video poster=https://e.example/x src=https://e.example/y></video>`, `<audio src=https://e.example autoplay></audio>`, `<picture><source srcset=https://e.example/x><img src=x></picture>`, `<bgsound src=https://e.example>`, `<img src="//e.example/x">`, `<img src="http:&#x2f;&#x2f;e.example/x">`, `<input type=image src=x>`,
	`<img src="data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+">`, `<img src="data:text/html;base64,PHNjcmlwdD4=">`, `<img src="cid:../../act">`, `<img src="cid:missing">`,
	`<noscript><p title="</noscript><img src=x onerror=alert(1)>">`, `<textarea><img title="</textarea><img src=x onerror=alert(1)>">`, `<title><img title="</title><img src=x onerror=alert(1)>">`, `<xmp><img title="</xmp><img src=x onerror=alert(1)>">`, `<!--><img src=x onerror=alert(1)>-->`, `<!--[if IE]><script>alert(1)</script><![endif]-->`, `<![CDATA[<img src=x onerror=alert(1)>]]>`, `<template><img src=x onerror=alert(1)></template>`, `<plaintext><script>`, `</p></div></body></html><script>alert(1)</script>`, `<select><style></select><img src=x onerror=alert(1)></style>`, `<a id=x name=cookie>clobber</a><form id=document>`, `<div id=list><div id=reader>`,
	`<div style="background:0\10">x</div>`, `<div style="background:\110000 url(//e.example)">x</div>`, `<p STYLE="BACKGROUND:u\000072 l(//e.example)">x</p>`,
	`<?xml-stylesheet href="javascript:alert(1)"?>`, `<x onclick=alert(1) onmouseover=alert(2)>x`, `<marquee onstart=alert(1)>x</marquee>`, `<details open ontoggle=alert(1)>x</details>`, `<a ping=https://e.example href=https://e.example>x</a>`, `<a href="https://e.example" target=_top>x</a>`, "<a href=\"jav\nascript:alert(1)\">x</a>", `<p style="color:red" onclick=alert(1) class="card top" id=act>x</p>`,
}

func TestAttacksInHTMLAreTakenApart(t *testing.T) {
	for _, attack := range attacks {
		clean := sanitised(attack, false, func(string) string { return "" })
		bad(t, clean)
		if again := sanitised(clean, false, func(string) string { return "" }); again != clean {
			bad(t, again)
		}
	}
}

func FuzzHTMLMail(f *testing.F) {
	for _, attack := range attacks {
		f.Add(attack)
	}
	f.Fuzz(func(t *testing.T, text string) { bad(t, sanitised(text, false, func(string) string { return "" })) })
}

func TestHonestHTMLIsKept(t *testing.T) {
	for in, want := range map[string]string{
		`<p style="color:#00694a;text-align:center">hi</p>`:                      `<p style="color: #00694a; text-align: center">hi</p>`,
		`<table bgcolor="#ffffff" width="100%"><tr><td colspan=2>x</td></table>`: `<table bgcolor="#ffffff" width="100%"><tr><td colspan="2">x</td></table>`,
		`<a href="https://e.example/?a=1&amp;b=2">x</a>`:                         `<a href="https://e.example/?a=1&amp;b=2" rel="noreferrer noopener" target="_blank">x</a>`,
		`<a href="mailto:bob@e.example?subject=hi">x</a>`:                        `href="/compose?mailto=bob%40e.example%3Fsubject%3Dhi"`,
		`<img src="cid:logo@x" width=10 alt="&lt;b>">`:                           `src="data:image/png;base64,AAAA"`,
		`<font color=red face="MS ゴシック" size=2>赤</font>`:                         `<font color="red" face="MS ゴシック" size="2">赤</font>`,
	} {
		got := sanitised(in, false, func(id string) string {
			if id == "logo@x" {
				return "data:image/png;base64,AAAA"
			}
			return ""
		})
		if !strings.Contains(got, want) {
			t.Errorf("%s became %s", in, got)
		}
	}
	if got := sanitised(`<img src="https://e.example/x.png">`, true, nil); !strings.Contains(got, `src="https://e.example/x.png" referrerpolicy="no-referrer"`) {
		t.Errorf("an image that is wanted became %s", got)
	}
}

func TestRemoteThingsAreCounted(t *testing.T) {
	n, hosts := remote(`<img src=https://a.example/1><img src="https://a.example/1"><img srcset="//b.example/2 1x, https://b.example/3 2x"><td background=http://c.example>` +
		`<div style="background:url('https://d.example/x')"><style>@import "https://e.example/x";</style><a href="https://not.example">x</a><img src="cid:x"><img src=/local><link href=https://f.example/s.css>`)
	if n != 7 || strings.Join(hosts, " ") != "a.example b.example c.example d.example e.example f.example" {
		t.Errorf("%d from %v", n, hosts)
	}
}

const htmlMail = "From: Hanako <hanako@example.jp>\nTo: alice@yubin.test\nSubject: news\nContent-Type: multipart/related; boundary=b\n\n" +
	"--b\nContent-Type: text/html; charset=utf-8\n\n<p>hello</p><script>alert(1)</script><img src=\"https://tracker.example/a.png\"><img src=\"cid:pic\"><img src=\"cid:evil\">\n" +
	"--b\nContent-Type: image/png\nContent-ID: <pic>\nContent-Transfer-Encoding: base64\n\niVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9\n" +
	"--b\nContent-Type: image/png\nContent-ID: <evil>\n\n<svg onload=alert(1)>\n--b--\n"

func TestRemoteImagesWaitToBeAskedFor(t *testing.T) {
	s := newMailSite(t, nil)
	s.deliver(s.alice, htmlMail)
	v := s.login("alice")
	wants(t, v.get("/m/inbox/1"), "1 remote image blocked (tracker.example).", `sandbox="allow-popups allow-popups-to-escape-sandbox"`, `src="/m/inbox/1/body"`)
	frame := func(path string) (policy, body string) {
		t.Helper()
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		resp, err := v.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Header.Get("Content-Security-Policy"), string(b)
	}
	policy, body := frame("/m/inbox/1/body")
	for _, want := range []string{"default-src 'none'", "img-src data:;", "sandbox allow-popups allow-popups-to-escape-sandbox", "frame-ancestors 'self'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the frame's policy lacks %q: %s", want, policy)
		}
	}
	if strings.Contains(policy, "allow-scripts") || strings.Contains(policy, "allow-same-origin") || strings.Contains(body, "tracker.example") || strings.Contains(body, "alert") {
		t.Errorf("the frame has %s\n%s", policy, body)
	}
	wants(t, body, `src="data:image/png;base64,iVBOR`)

	policy, body = frame("/m/inbox/1/body?images=1")
	wants(t, body, `src="https://tracker.example/a.png"`)
	wants(t, policy, "img-src data: http: https:")
	if _, body = frame("/m/inbox/1/body"); strings.Contains(body, "tracker") {
		t.Error("once was for ever")
	}
	v.post("/images", url.Values{"sender": {"Hanako@Example.JP"}, "back": {"/m/inbox/1"}})
	if _, body = frame("/m/inbox/1/body"); !strings.Contains(body, "tracker") {
		t.Error("always was not")
	}
	wants(t, v.get("/settings"), "hanako@example.jp")
	b := s.login("bob")
	s.deliver(s.bob, htmlMail)
	if page := b.get("/m/inbox/1/body"); strings.Contains(page, "tracker") {
		t.Error("one user's wish is another's")
	}
}

func TestAttachmentsAreSavedNotShown(t *testing.T) {
	s := newMailSite(t, nil)
	svg := `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`
	s.deliver(s.alice, "From: a@example.jp\nSubject: files\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n"+
		"--b\nContent-Type: image/svg+xml; name=x.svg\nContent-Disposition: attachment\n\n"+svg+"\n"+
		"--b\nContent-Type: text/html; name=x.html\nContent-Disposition: inline; filename=x.html\n\n<script>alert(1)</script>\n"+
		"--b\nContent-Type: application/xml\nContent-Disposition: attachment; filename=\"../../etc/pass\\\"wd\n .xml\"\n\n<x/>\n"+
		"--b\nContent-Type: image/png; name=fake.png\nContent-Disposition: attachment\n\n"+svg+"\n"+
		"--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename*=iso-2022-jp''%1B%24B5D%3BvO%3F%1B%28B.txt\n\nx\n"+
		"--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename=\"\x1b$B5D;vO?\x1b(B.txt\"\n\nx\n"+
		"--b\nContent-Type: text/plain; name=\"=?UTF-8?B?6K2w5LqL6Yyy?=.txt\"\nContent-Disposition: attachment\n\nx\n"+
		"--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename*=utf-8''a%E2%80%AEtxt.exe\n\nx\n--b--\n")
	v := s.login("alice")
	page := v.get("/m/inbox/1")
	if n := strings.Count(page, "議事録.txt</span>"); n != 3 {
		t.Errorf("%d of 3 ways to write a Japanese file name are read", n)
	}
	if strings.Contains(page, "<script>alert") {
		t.Error("an attachment is in the page")
	}
	for i := 2; i <= 9; i++ {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s/m/inbox/1/part/%d", s.URL, i), nil)
		resp, err := v.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		kind, disposition, policy := resp.Header.Get("Content-Type"), resp.Header.Get("Content-Disposition"), resp.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(disposition, "attachment") || resp.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(policy, "sandbox") {
			t.Errorf("part %d: %q %q", i, disposition, policy)
		}
		if strings.Contains(kind, "html") || strings.Contains(kind, "svg") || strings.Contains(kind, "xml") {
			t.Errorf("part %d is sent as %s", i, kind)
		}
		if strings.ContainsAny(disposition, "/\\\r\n\u202e") || strings.Contains(disposition, "..") || strings.Contains(disposition, "%E2%80%AE") {
			t.Errorf("part %d is named %q", i, disposition)
		}
	}
	for _, i := range []int{2, 3, 4, 5} {
		if status, _ := v.do(http.MethodGet, fmt.Sprintf("/m/inbox/1/thumb/%d", i), nil); status != http.StatusNotFound {
			t.Errorf("part %d is shown as a picture: %d", i, status)
		}
	}
	for _, path := range []string{"/m/inbox/1/part/0", "/m/inbox/1/part/99", "/m/inbox/1/part/1.1.1", "/m/inbox/1/part/x", "/m/inbox/1/part/-1", "/m/inbox/1/part/" + strings.Repeat("1.", 5000) + "1"} {
		if status, _ := v.do(http.MethodGet, path, nil); status != http.StatusNotFound {
			t.Errorf("%.60s: %d", path, status)
		}
	}
	b := s.login("bob")
	if status, _ := b.do(http.MethodGet, "/m/inbox/1/part/2", nil); status != http.StatusNotFound {
		t.Errorf("another's attachment: %d", status)
	}
}
