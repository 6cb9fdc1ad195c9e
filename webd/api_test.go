package webd

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/leak"
	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// officeTest is a site with Ada, who is an administrator, and Bob.
type officeTest struct {
	*testing.T
	s        *Server
	ada, bob store.User
	now      time.Time
}

func newOfficeTest(t *testing.T, change func(*Config)) *officeTest {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { leak.Check(t, before) })
	dir := t.TempDir()
	o := &officeTest{T: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return o.now }
	db, err := store.Open(t.Context(), store.Options{Dir: dir, Iterations: 4096, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	add := func(n store.NewUser) store.User {
		u, err := db.CreateUser(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	o.ada = add(store.NewUser{Address: "ada@example.test", Name: "Ada", Password: "secret", Admin: true})
	o.bob = add(store.NewUser{Address: "bob@example.test", Name: "Bob", Password: "secret"})
	c := Config{
		Hostname: "mail.example.test", Store: db, Now: clock, Demo: true,
		Auth:      auth.New(db, auth.NewLimiter(auth.LimiterConfig{Pause: -1}), nil),
		Operation: Operation{DataDir: dir},
	}
	if change != nil {
		change(&c)
	}
	o.s = New(c)
	t.Cleanup(func() {
		if err := o.s.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return o
}

// do makes a request from this machine.
func (o *officeTest) do(method, target, body string, header ...string) *http.Response {
	o.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host, r.RemoteAddr = "localhost:8025", "127.0.0.1:4321"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		if header[i] == "Remote" {
			r.RemoteAddr = header[i+1]
			continue
		}
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	o.s.Handler().ServeHTTP(w, r)
	return w.Result()
}

func basic(name string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+"@example.test:secret"))
}

// json makes a call as somebody and decodes what comes back.
func (o *officeTest) json(who, method, target, body string) (int, map[string]any) {
	o.Helper()
	header := []string{"Authorization", who}
	if body != "" {
		header = append(header, "Content-Type", "application/json")
	}
	answer := o.do(method, target, body, header...)
	var value map[string]any
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		o.Fatal(err)
	}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &value); err != nil {
			o.Fatalf("%s %s: %v\n%s", method, target, err, b)
		}
	}
	return answer.StatusCode, value
}

func (o *officeTest) token(u store.User, some ...string) string {
	o.Helper()
	secret, _, err := o.s.Store.CreateToken(o.Context(), u.ID, "test", some, time.Time{})
	if err != nil {
		o.Fatal(err)
	}
	return "Bearer " + secret
}

func (o *officeTest) mail(to store.User, text string) {
	o.Helper()
	raw, err := io.ReadAll(message.NewCanonicalReader(strings.NewReader(text)))
	if err == nil {
		_, err = o.s.Store.Accept(o.Context(), store.Delivery{Body: store.Bytes(raw), Recipients: []store.Recipient{{Address: to.Address, User: to.ID}}})
	}
	if err != nil {
		o.Fatal(err)
	}
}

// described is api.json, for looking into.
type described struct {
	t   *testing.T
	doc map[string]any
}

func readDescription(t *testing.T) described {
	t.Helper()
	d := described{t: t}
	if err := json.Unmarshal(apiDescription, &d.doc); err != nil {
		t.Fatal(err)
	}
	return d
}

// at follows keys into the document.
func (d described) at(keys ...string) map[string]any {
	d.t.Helper()
	here := d.doc
	for _, k := range keys {
		next, ok := here[k].(map[string]any)
		if !ok {
			return nil
		}
		if ref, ok := next["$ref"].(string); ok {
			next = d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			if next == nil {
				d.t.Fatalf("%s leads nowhere", ref)
			}
		}
		here = next
	}
	return here
}

// check reports where a value is not as a schema says.
func (d described) check(where string, schema map[string]any, value any) {
	d.t.Helper()
	if ref, ok := schema["$ref"].(string); ok {
		schema = d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	if schema == nil {
		d.t.Errorf("%s: there is no schema", where)
		return
	}
	switch schema["type"] {
	case "object":
		o, ok := value.(map[string]any)
		if !ok {
			d.t.Errorf("%s: %v is no object", where, value)
			return
		}
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, there := o[name.(string)]; !there {
				d.t.Errorf("%s lacks %s", where, name)
			}
		}
		for name, v := range o {
			if p, known := properties[name].(map[string]any); known {
				d.check(where+"."+name, p, v)
			} else if schema["additionalProperties"] == false {
				d.t.Errorf("%s.%s is not described", where, name)
			}
		}
	case "array":
		all, ok := value.([]any)
		if !ok {
			d.t.Errorf("%s: %v is no array", where, value)
		}
		for i, v := range all {
			d.check(fmt.Sprintf("%s[%d]", where, i), schema["items"].(map[string]any), v)
		}
	case "string":
		text, ok := value.(string)
		if !ok {
			d.t.Errorf("%s: %v is no string", where, value)
		}
		if schema["format"] == "date-time" {
			if _, err := time.Parse(time.RFC3339, text); err != nil {
				d.t.Errorf("%s: %v", where, err)
			}
		}
		if some, ok := schema["enum"].([]any); ok && !slices.Contains(some, any(text)) {
			d.t.Errorf("%s: %s is not one of %v", where, text, some)
		}
	case "integer":
		if n, ok := value.(float64); !ok || n != float64(int64(n)) {
			d.t.Errorf("%s: %v is no integer", where, value)
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			d.t.Errorf("%s: %v is no boolean", where, value)
		}
	default:
		d.t.Errorf("%s: a schema of the type %v", where, schema["type"])
	}
}

// Each route of the API is in the document, and the other way round.
func TestAPIIsDescribed(t *testing.T) {
	o := newOfficeTest(t, nil)
	d := readDescription(t)
	if d.doc["openapi"] != "3.1.0" {
		t.Errorf("openapi %v", d.doc["openapi"])
	}
	known := map[string]bool{}
	mux := o.s.routes()
	for _, e := range o.s.endpoints() {
		known[e.pattern] = true
		method, path, _ := strings.Cut(e.pattern, " ")
		op := d.at("paths", path, strings.ToLower(method))
		if op == nil {
			t.Errorf("%s is not described", e.pattern)
			continue
		}
		if want := cmpOr(e.scope, "none"); op["x-scope"] != want {
			t.Errorf("%s: scope %v, want %s", e.pattern, op["x-scope"], want)
		}
		if r, err := http.NewRequest(method, "http://localhost"+strings.NewReplacer("{", "", "}", "").Replace(path), nil); err != nil {
			t.Error(err)
		} else if _, pattern := mux.Handler(r); pattern != e.pattern {
			t.Errorf("%s is answered by %q", e.pattern, pattern)
		}
	}
	ids := map[any]bool{}
	for path, item := range d.at("paths") {
		for method := range item.(map[string]any) {
			where := strings.ToUpper(method) + " " + path
			if !known[where] {
				t.Errorf("%s is described and does not exist", where)
			}
			op := d.at("paths", path, method)
			if ids[op["operationId"]] || op["operationId"] == nil || op["summary"] == nil {
				t.Errorf("%s: operation %v", where, op["operationId"])
			}
			ids[op["operationId"]] = true
			named := ""
			params, _ := op["parameters"].([]any)
			for _, p := range params {
				if p := p.(map[string]any); p["in"] == "path" {
					named += "{" + p["name"].(string) + "}"
				}
			}
			for piece := range strings.SplitSeq(path, "/") {
				if strings.HasPrefix(piece, "{") && !strings.Contains(named, piece) {
					t.Errorf("%s: parameter %s is not described", where, piece)
				}
			}
			d.checkExamples(where, op)
		}
	}
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// checkExamples checks the examples of an operation against its schemas.
func (d described) checkExamples(where string, op map[string]any) {
	d.t.Helper()
	bodies := map[string]any{}
	if body, ok := op["requestBody"].(map[string]any); ok {
		bodies["request"] = body
	}
	for status, r := range op["responses"].(map[string]any) {
		answer := r.(map[string]any)
		if ref, ok := answer["$ref"].(string); ok {
			answer = d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
		bodies[status] = answer
	}
	for name, body := range bodies {
		content, _ := body.(map[string]any)["content"].(map[string]any)
		for kind, c := range content {
			if example, ok := c.(map[string]any)["example"]; ok {
				d.check(where+" "+name, c.(map[string]any)["schema"].(map[string]any), example)
			} else if strings.HasSuffix(kind, "json") && op["operationId"] != "describe" {
				d.t.Errorf("%s %s has no example", where, name)
			}
		}
	}
}

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
