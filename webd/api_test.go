package webd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/url"
	"strings"
	"testing"
)

// Each operation is called once, and answers what the document says.
func TestAPIAnswersAsDescribed(t *testing.T) {
	ended := uint64(0)
	o := newOfficeTest(t, func(c *Config) {
		c.Operation.Sessions = func() []LiveSession {
			return []LiveSession{{ID: 7, Proto: "imaps", User: "bob@example.test", Device: "d", Remote: "192.0.2.7:1", TLS: "TLS 1.3 X", State: "selected", Wire: 3}}
		}
		c.Operation.Disconnect = func(id uint64) error { ended = id; return nil }
	})
	d := readDescription(t)
	ada := basic("ada")
	called := map[string]bool{}
	get := func(pattern, target, body string, want int) map[string]any {
		t.Helper()
		method, path, _ := strings.Cut(pattern, " ")
		header := []string{"Authorization", ada}
		if body != "" {
			header = append(header, "Content-Type", "application/json")
		}
		answer := o.do(method, target, body, header...)
		called[pattern] = true
		b, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != want {
			t.Errorf("%s %s: %d, want %d\n%s", method, target, answer.StatusCode, want, b)
			return nil
		}
		if answer.Header.Get("Cache-Control") == "" || answer.Header.Get("X-Content-Type-Options") != "nosniff" || answer.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", pattern, answer.Header)
		}
		kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
		described := d.at("paths", path, strings.ToLower(method), "responses", fmt.Sprint(want))
		if described == nil {
			t.Errorf("%s: %d is not described", pattern, want)
			return nil
		}
		content, _ := described["content"].(map[string]any)
		if content == nil {
			if len(b) > 0 {
				t.Errorf("%s: %q, but nothing is described", pattern, b)
			}
			return nil
		}
		if !strings.HasSuffix(kind, "json") {
			return map[string]any{"raw": string(b), "type": kind}
		}
		var value map[string]any
		if err := json.Unmarshal(b, &value); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
		d.check(pattern, content[kind].(map[string]any)["schema"].(map[string]any), value)
		return value
	}
	get("GET /api/v1/openapi.json", "/api/v1/openapi.json", "", 200)
	cursor := get("POST /api/v1/cursor", "/api/v1/cursor", "", 200)["cursor"].(string)
	if n := get("POST /api/v1/seed", "/api/v1/seed", "", 201)["delivered"]; n != 6.0 {
		t.Errorf("%v samples", n)
	}
	list := get("GET /api/v1/messages", "/api/v1/messages?limit=4", "", 200)
	if next, _ := list["next"].(string); len(get("GET /api/v1/messages", next, "", 200)["messages"].([]any)) != 2 {
		t.Errorf("the second page, %s", next)
	}
	found := get("GET /api/v1/wait", "/api/v1/wait?subject~=CONFIRM&timeout=0&after="+cursor, "", 200)
	m := found["message"].(map[string]any)
	if fmt.Sprint(m["codes"], m["links"]) != "[482913] [https://shop.example/confirm?token=r2d2]" {
		t.Errorf("%v %v", m["codes"], m["links"])
	}
	get("GET /api/v1/wait", "/api/v1/wait?subject=nothing+like+it&timeout=1ms&after="+cursor, "", 408)
	get("GET /api/v1/search", "/api/v1/search?q="+url.QueryEscape("has:attachment 議事録"), "", 200)
	hits := get("GET /api/v1/search", "/api/v1/search?limit=1&q="+url.QueryEscape("from:佐藤"), "", 200)
	if hits["total"] != 2.0 || hits["next"] == nil {
		t.Errorf("%v hits, next %v", hits["total"], hits["next"])
	}
	files := get("GET /api/v1/search", "/api/v1/search?q=has:attachment", "", 200)["messages"].([]any)
	id := files[0].(map[string]any)["id"].(string)
	whole := get("GET /api/v1/messages/{id}", "/api/v1/messages/"+id, "", 200)
	attached := whole["attachments"].([]any)
	first, second := attached[0].(map[string]any), attached[1].(map[string]any)
	if first["name"] != "議事録.txt" || second["type"] != "image/png" {
		t.Errorf("%v", attached)
	}
	file := get("GET /api/v1/messages/{id}/attachments/{part}", "/api/v1/messages/"+id+"/attachments/"+first["part"].(string), "", 200)
	if text, _ := file["raw"].(string); !strings.HasPrefix(text, "議事録\n") {
		t.Errorf("%v", file)
	}
	raw := get("GET /api/v1/messages/{id}/raw", "/api/v1/messages/"+id+"/raw", "", 200)
	if raw["type"] != "message/rfc822" || !strings.Contains(raw["raw"].(string), "\r\n\r\n--parts\r\n") {
		t.Errorf("%v", raw)
	}
	get("DELETE /api/v1/messages/{id}", "/api/v1/messages/"+id, "", 204)
	get("POST /api/v1/send", "/api/v1/send", `{"to":["Bob <bob@example.test>"],"bcc":["ada@example.test"],"subject":"昼食?","text":"正午に","save":true,"attachments":[{"name":"地図.txt","content":"6YO15L6/"}]}`, 202)

	made := get("POST /api/v1/tokens", "/api/v1/tokens", `{"name":"ci","scopes":["read"],"expires":"2027-01-01T00:00:00Z"}`, 201)
	get("GET /api/v1/tokens", "/api/v1/tokens", "", 200)
	get("DELETE /api/v1/tokens/{id}", fmt.Sprintf("/api/v1/tokens/%v", made["id"]), "", 204)

	get("POST /api/v1/users", "/api/v1/users", `{"address":"Cyd@example.test","password":"secret","quota":1000,"pop3":"keep-days:14"}`, 201)
	get("GET /api/v1/users", "/api/v1/users", "", 200)
	if u := get("GET /api/v1/users/{address}", "/api/v1/users/cyd@example.test", "", 200); u["pop3"] != "keep-days:14" {
		t.Errorf("%v", u)
	}
	if u := get("PATCH /api/v1/users/{address}", "/api/v1/users/cyd@example.test", `{"suspended":true,"name":"Cyd"}`, 200); u["suspended"] != true || u["quota"] != 1000.0 {
		t.Errorf("%v", u)
	}
	get("DELETE /api/v1/users/{address}", "/api/v1/users/cyd@example.test", "", 204)
	get("POST /api/v1/aliases", "/api/v1/aliases", `{"address":"info@example.test","target":"bob@example.test"}`, 201)
	get("GET /api/v1/aliases", "/api/v1/aliases", "", 200)
	get("DELETE /api/v1/aliases/{address}", "/api/v1/aliases/info@example.test?target=bob@example.test", "", 204)

	get("GET /api/v1/sessions", "/api/v1/sessions", "", 200)
	get("DELETE /api/v1/sessions/{id}", "/api/v1/sessions/7", "", 204)
	if ended != 7 {
		t.Errorf("session %d was ended", ended)
	}

	for _, seconds := range []string{"0", "-1", "2592001", `"2h"`} {
		if status, p := o.json(basic("ada"), "POST", "/api/v1/queue/advance", `{"seconds":`+seconds+`}`); status != 400 {
			t.Errorf("%s: %d %v", seconds, status, p)
		}
	}
	if n := get("POST /api/v1/queue/advance", "/api/v1/queue/advance", `{"seconds":7200}`, 200)["queued"]; n != 0.0 {
		t.Errorf("%v recipients", n)
	}

	if n := get("POST /api/v1/reset", "/api/v1/reset", "", 200)["messages"]; n != 8.0 { // 5 samples, 2 copies, 1 in Sent
		t.Errorf("%v messages", n)
	}
	if left := get("GET /api/v1/messages", "/api/v1/messages", "", 200)["messages"].([]any); len(left) != 0 {
		t.Errorf("%v", left)
	}
	for _, e := range o.s.endpoints() {
		if !called[e.pattern] {
			t.Errorf("%s has not been tried", e.pattern)
		}
	}
}

// What has been sent arrives as it was meant.
func TestAPISends(t *testing.T) {
	o := newOfficeTest(t, nil)
	status, sent := o.json(basic("ada"), "POST", "/api/v1/send", `{"to":["Bob <bob@example.test>"],"bcc":["ada@example.test"],"subject":"昼食?","text":"正午に\n","in_reply_to":"<a@b>","references":["<a@b>"],"attachments":[{"name":"地図.txt","content":"6YO15L6/"}]}`)
	if status != 202 {
		t.Fatal(status, sent)
	}
	for _, who := range []string{"ada", "bob"} {
		_, found := o.json(basic(who), "GET", "/api/v1/wait?timeout=0", "")
		m, _ := found["message"].(map[string]any)
		if m == nil || m["subject"] != "昼食?" || m["text"] != "正午に\n" || m["message_id"] != sent["message_id"] {
			t.Fatalf("%s: %v", who, found)
		}
		a := m["attachments"].([]any)[0].(map[string]any)
		answer := o.do("GET", "/api/v1/messages/"+m["id"].(string)+"/attachments/"+a["part"].(string), "", "Authorization", basic(who))
		b, _ := io.ReadAll(answer.Body)
		if a["name"] != "地図.txt" || string(b) != "郵便" || !strings.HasPrefix(answer.Header.Get("Content-Disposition"), "attachment;") || !strings.Contains(answer.Header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%v: %q, %v", a, b, answer.Header)
		}
		raw, _ := io.ReadAll(o.do("GET", "/api/v1/messages/"+m["id"].(string)+"/raw", "", "Authorization", basic(who)).Body)
		if bytes.Contains(raw, []byte("Bcc")) || !bytes.Contains(raw, []byte("In-Reply-To: <a@b>\r\n")) || !bytes.Contains(raw, []byte(`From: Ada <ada@example.test>`)) {
			t.Errorf("%s", raw)
		}
	}
}

// Nothing that a caller sends becomes a field of its own, or an author who
// they are not.
func TestAPISendsNoForeignFields(t *testing.T) {
	o := newOfficeTest(t, nil)
	for field, values := range map[string][]string{
		"from":        {"bob@example.test", "Ada <bob@example.test>", "ada@example.test, bob@example.test", "ada@example.test\r\nBcc: eve@example.test", "nobody"},
		"to":          {"bob@example.test\r\nX: y", "bob@example.test\n", "Bob\r\nX: y <bob@example.test>", "=?utf-8?Q?x=0D=0AX:_y?= <bob@example.test>\r\nX: y"},
		"cc":          {"bob@example.test\r\nX: y"},
		"bcc":         {"bob@example.test\r\nX: y"},
		"subject":     {"hi\r\nX: y", "hi\nX: y", "hi\rX: y", "hi\u2028X: y", "hi\x00"},
		"in_reply_to": {"a@b>\r\nX: y"},
		"references":  {"a@b>\r\nX: y"},
	} {
		for _, value := range values {
			letter := map[string]any{"to": []string{"bob@example.test"}, "subject": "s", "text": "t"}
			letter[field] = value
			if field != "subject" && field != "from" && field != "in_reply_to" {
				letter[field] = []string{value}
			}
			b, err := json.Marshal(letter)
			if err != nil {
				t.Fatal(err)
			}
			if status, problem := o.json(basic("ada"), "POST", "/api/v1/send", string(b)); status < 400 || status >= 500 {
				t.Errorf("%s %q: %d %v", field, value, status, problem)
			}
		}
	}
	// Names of files and encoded words are made harmless, or refused.
	for _, letter := range []string{
		`{"to":["bob@example.test"],"attachments":[{"name":"a\"\r\nX: y","content":""}]}`,
		`{"to":["bob@example.test"],"attachments":[{"name":"a","type":"text/plain\r\nX: y","content":""}]}`,
		`{"to":["=?utf-8?Q?x=0D=0AX:_y?= <bob@example.test>"],"subject":"=?utf-8?Q?x=0D=0AX:_y?="}`,
		`{"to":["bob@example.test"],"attachments":[{"name":"=?utf-8?Q?x=0D=0AX:_y?=","type":"multipart/mixed","content":""}]}`,
		`{"to":["bob@example.test"],"text":"a\r\n.\r\nX: y\r.\n--boundary"}`,
	} {
		o.json(basic("ada"), "POST", "/api/v1/send", letter)
	}
	_, page := o.json(basic("bob"), "GET", "/api/v1/messages", "")
	for _, m := range page["messages"].([]any) {
		_, whole := o.json(basic("bob"), "GET", "/api/v1/messages/"+m.(map[string]any)["id"].(string), "")
		for _, h := range whole["headers"].([]any) {
			if h.(map[string]any)["name"] == "X" {
				t.Errorf("%v", whole)
			}
		}
	}
	if len(page["messages"].([]any)) < 2 {
		t.Errorf("nothing was sent: %v", page)
	}
}
