package webd

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/store"
)

// What goes wrong, as it is said: a call, and the status, the code and the
// field that answer it.
func TestProblems(t *testing.T) {
	o := newOfficeTest(t, nil)
	o.mail(o.bob, "From: x@y.test\nTo: bob@example.test\nSubject: for bob\n\nhi\n")
	boxes, err := o.s.Store.Mailboxes(t.Context(), o.bob.ID)
	if err != nil {
		t.Fatal(err)
	}
	bobs := apiID(boxes[0], 1)
	read := o.token(o.ada, "read")
	d := readDescription(t)
	for _, line := range strings.Split(strings.TrimSpace(`
		-     GET    /api/v1/messages                                   => 401 no-login
		Bearer GET   /api/v1/messages                                   => 401 bad-token
		Bearer:yubin_X GET /api/v1/messages                             => 401 bad-token
		Basic:YWRhOng= GET /api/v1/messages                             => 401 credentials
		Digest:x GET /api/v1/messages                                   => 401 no-login
		ada   GET    /api/v1/nothing                                    => 404 no-endpoint
		ada   GET    /api/v2/messages                                   => 404 no-endpoint
		ada   PUT    /api/v1/messages                                   => 405 method
		ada   POST   /api/v1/messages/1-2-3                             => 405 method
		read  DELETE /api/v1/messages/1-2-3                             => 403 scope
		read  POST   /api/v1/send {"to":["bob@example.test"]}           => 403 scope
		read  GET    /api/v1/users                                      => 403 scope
		read  POST   /api/v1/tokens {"scopes":["read"]}                 => 403 token-scope
		read  DELETE /api/v1/tokens/999                                 => 403 token-scope
		bob   GET    /api/v1/users                                      => 403 scope
		bob   POST   /api/v1/tokens {"scopes":["admin"]}                => 403 token-scope
		ada   POST   /api/v1/tokens {"scopes":["all"]}                  => 400 parameter scopes
		ada   POST   /api/v1/tokens {"scopes":[]}                       => 400 parameter scopes
		ada   DELETE /api/v1/tokens/999                                 => 404 no-token
		ada   DELETE /api/v1/tokens/x                                   => 404 no-token
		ada   GET    /api/v1/messages/BOBS                              => 404 expunged
		ada   DELETE /api/v1/messages/BOBS                              => 404 expunged
		ada   GET    /api/v1/messages/BOBS/raw                          => 404 expunged
		ada   GET    /api/v1/messages/1-1-1                             => 404 expunged
		ada   GET    /api/v1/messages/x                                 => 404 expunged
		ada   GET    /api/v1/messages/1-2-99999999999999999999          => 404 expunged
		bob   GET    /api/v1/messages/BOBS/attachments/1                => 404 no-part
		ada   GET    /api/v1/messages?mailbox=None                      => 404 no-folder
		ada   GET    /api/v1/messages?limit=0                           => 400 parameter limit
		ada   GET    /api/v1/messages?limit=x                           => 400 parameter limit
		ada   GET    /api/v1/messages?before=x                          => 400 parameter before
		ada   GET    /api/v1/messages?before=BOBS                       => 400 parameter before
		ada   GET    /api/v1/search?skip=-1                             => 400 parameter skip
		ada   GET    /api/v1/search?q=is:odd                            => 400 query
		ada   GET    /api/v1/search?q=in:None                           => 400 query
		ada   GET    /api/v1/wait?subjekt=x                             => 400 parameter subjekt
		ada   GET    /api/v1/wait?timeout=2m                            => 400 parameter timeout
		ada   GET    /api/v1/wait?timeout=-1s                           => 400 parameter timeout
		ada   GET    /api/v1/wait?timeout=soon                          => 400 parameter timeout
		ada   GET    /api/v1/wait?after=!                               => 400 cursor
		ada   GET    /api/v1/wait?after=MTox                            => 400 cursor
		ada   GET    /api/v1/wait?timeout=0                             => 408 timeout
		bob   GET    /api/v1/wait?to=ada@example.test                   => 403 others-mail
		bob   GET    /api/v1/wait?to=nobody@example.test                => 403 others-mail
		bob   GET    /api/v1/wait?to=x@elsewhere.test                   => 403 others-mail
		bob   POST   /api/v1/cursor?to=ada@example.test                 => 403 others-mail
		bob   GET    /api/v1/wait?to=nonsense                           => 400 parameter to
		ada   POST   /api/v1/send {                                     => 400 json
		ada   POST   /api/v1/send {"to":"bob@example.test"}             => 400 json to
		ada   POST   /api/v1/send {"too":[]}                            => 400 unknown-field too
		ada   POST   /api/v1/send {}{}                                  => 400 json
		ada   POST   /api/v1/send null                                  => 422 nobody
		ada   POST   /api/v1/send {"to":[]}                             => 422 nobody
		ada   POST   /api/v1/send {"to":["nobody@example.test"]}        => 422 no-such-user to
		ada   POST   /api/v1/send {"to":["x@elsewhere.test"]}           => 422 no-relay to
		ada   POST   /api/v1/send {"to":["bob@example.test"],"from":"bob@example.test"} => 403 not-yours
		ada   POST   /api/v1/users {"address":"cyd@example.test"}       => 422 user-field password
		ada   POST   /api/v1/users {"password":"x"}                     => 422 user-field address
		ada   POST   /api/v1/users {"address":"cyd","password":"x"}     => 422 bad-address
		ada   POST   /api/v1/users {"address":"bob@example.test","password":"x"} => 409 user-exists
		ada   POST   /api/v1/users {"address":"c@example.test","password":"x","pop3":"never"} => 422 user-field pop3
		ada   PATCH  /api/v1/users/bob@example.test {"quota":-1}        => 422 user-field quota
		ada   PATCH  /api/v1/users/bob@example.test {"password":""}     => 422 user-field password
		ada   PATCH  /api/v1/users/bob@example.test {"address":"b@example.test"} => 422 user-field address
		ada   PATCH  /api/v1/users/ada@example.test {"admin":false}     => 409 yourself
		ada   PATCH  /api/v1/users/ada@example.test {"suspended":true}  => 409 yourself
		ada   DELETE /api/v1/users/ada@example.test                     => 409 yourself
		ada   DELETE /api/v1/users/nobody@example.test                  => 404 user-unknown
		ada   GET    /api/v1/users/nonsense                             => 404 user-unknown
		ada   POST   /api/v1/aliases {"address":"i@elsewhere.test","target":"bob@example.test"} => 422 alias-domain
		ada   GET    /api/v1/messages?mailboox=Sent                      => 400 parameter mailboox
		ada   GET    /api/v1/search?query=x                              => 400 parameter query
		ada   POST   /api/v1/tokens {"name":"x","scopes":["read"],"expires":"2001-01-01T00:00:00Z"} => 400 parameter expires
		ada   POST   /api/v1/tokens {"name":"a\nb","scopes":["read"]}    => 400 parameter name
		ada   POST   /api/v1/aliases {"address":"i@example.test","target":"nobody@example.test"} => 422 alias-target
		ada   POST   /api/v1/aliases {"address":"i@example.test","target":"i@example.test"} => 422 alias-target
		ada   POST   /api/v1/aliases {"address":"bob@example.test","target":"ada@example.test"} => 409 user-exists
		ada   DELETE /api/v1/aliases/none@example.test                  => 404 user-unknown
	`), "\n") {
		call, want, _ := strings.Cut(strings.TrimSpace(line), "=>")
		fields := strings.Fields(strings.ReplaceAll(call, "BOBS", bobs))
		who := map[string]string{"-": "", "ada": basic("ada"), "bob": basic("bob"), "read": read}[fields[0]]
		if who == "" && fields[0] != "-" {
			who = strings.Replace(fields[0], ":", " ", 1)
		}
		body := strings.Join(fields[3:], " ")
		header := []string{"Authorization", who}
		if who == "" {
			header = nil
		}
		if body != "" {
			header = append(header, "Content-Type", "application/json")
		}
		answer := o.do(fields[1], fields[2], body, header...)
		b, _ := io.ReadAll(answer.Body)
		var p map[string]any
		if err := json.Unmarshal(b, &p); err != nil || answer.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v, %s", call, answer.Header, b)
			continue
		}
		d.check(call, d.at("components", "schemas", "Problem"), p)
		got := fmt.Sprint(answer.StatusCode, " ", p["code"])
		if p["field"] != nil {
			got += " " + fmt.Sprint(p["field"])
		}
		if got != strings.TrimSpace(want) || p["status"] != float64(answer.StatusCode) {
			t.Errorf("%s: %s, want %s\n%s", call, got, want, b)
		}
		for status, field := range map[int]string{401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After"} {
			if answer.StatusCode == status && answer.Header.Get(field) == "" {
				t.Errorf("%s: no %s", call, field)
			}
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"} {
		answer := o.do("POST", "/api/v1/send", `{"to":["bob@example.test"]}`, "Authorization", basic("ada"), "Content-Type", kind)
		if answer.StatusCode != http.StatusUnsupportedMediaType {
			t.Errorf("%q: %d", kind, answer.StatusCode)
		}
	}
	big := `{"name":"` + strings.Repeat("x", 2<<20) + `"}`
	if status, p := o.json(basic("ada"), "POST", "/api/v1/tokens", big); status != http.StatusRequestEntityTooLarge {
		t.Error(status, p)
	}
}

// A login in the browser is none for the API, another site's page cannot use
// it, and neither can another name that leads here.
func TestAPIKnowsNoCookies(t *testing.T) {
	o := newOfficeTest(t, nil)
	cookie, _ := o.login(o.ada)
	if answer := o.do("GET", "/api/v1/messages", "", "Cookie", cookie); answer.StatusCode != 401 {
		t.Errorf("by cookie: %d", answer.StatusCode)
	}
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.test"}} {
		answer := o.do("POST", "/api/v1/reset", "", append(header, "Authorization", basic("ada"))...)
		if b, _ := io.ReadAll(answer.Body); answer.StatusCode != 403 || !strings.Contains(string(b), `"code":"origin"`) {
			t.Errorf("%v: %d %s", header, answer.StatusCode, b)
		}
	}
	if answer := o.do("GET", "/api/v1/messages", "", "Host", "evil.test", "Authorization", basic("ada")); answer.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("by another name: %d", answer.StatusCode)
	}
}

// Over the network, secrets are taken with TLS only.
func TestAPIWantsTLS(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   int
	}{
		{"clear", func(*Config) {}, 403},
		{"behind TLS", func(c *Config) { c.Secure = true }, 200},
		{"allowed", func(c *Config) { c.Operation.PlaintextOK = true }, 200},
	} {
		o := newOfficeTest(t, c.change)
		for _, who := range []string{basic("ada"), o.token(o.ada, "read")} {
			if answer := o.do("GET", "/api/v1/messages", "", "Remote", "192.0.2.1:99", "Authorization", who); answer.StatusCode != c.want {
				t.Errorf("%s: %d, want %d", c.name, answer.StatusCode, c.want)
			}
		}
		if answer := o.do("GET", "/api/v1/messages", "", "Remote", "[::1]:99", "Authorization", basic("ada")); answer.StatusCode != 200 {
			t.Errorf("%s, from here: %d", c.name, answer.StatusCode)
		}
	}
}

// Who guesses is slowed down, here as by the mail protocols.
func TestAPIThrottles(t *testing.T) {
	o := newOfficeTest(t, func(c *Config) {
		c.Auth = auth.New(c.Store, auth.NewLimiter(auth.LimiterConfig{FailuresPerAddress: 2, Pause: -1}), nil)
	})
	for range 2 {
		if status, _ := o.json("Bearer yubin_guess", "GET", "/api/v1/messages", ""); status != 401 {
			t.Error(status)
		}
	}
	for _, who := range []string{basic("ada"), o.token(o.ada, "read")} {
		if status, p := o.json(who, "GET", "/api/v1/messages", ""); status != 429 || p["code"] != "throttled" {
			t.Error(status, p)
		}
	}
}

// Each endpoint lets in whom it should.
func TestScopes(t *testing.T) {
	o := newOfficeTest(t, nil)
	tokens := map[string]string{}
	for _, scope := range Scopes {
		tokens[scope] = o.token(o.ada, scope)
	}
	notAdmin := o.token(o.bob, Scopes...)
	for _, e := range o.s.endpoints() {
		if e.scope == "" {
			continue
		}
		method, path, _ := strings.Cut(e.pattern, " ")
		path = strings.NewReplacer("{id}", "x", "{part}", "1", "{address}", "none@example.test").Replace(path)
		if strings.HasSuffix(path, "wait") {
			path += "?timeout=0"
		}
		for scope, who := range tokens {
			_, p := o.json(who, method, path, "")
			if refused := p["code"] == "scope"; refused != (scope != e.scope) {
				t.Errorf("%s with %s: %v", e.pattern, scope, p)
			}
		}
		_, p := o.json(notAdmin, method, path, "")
		if refused := p["code"] == "scope"; refused != (e.scope == scopeAdmin) {
			t.Errorf("%s by Bob: %v", e.pattern, p)
		}
		if answer := o.do(method, path, ""); answer.StatusCode != 401 {
			t.Errorf("%s by nobody: %d", e.pattern, answer.StatusCode)
		}
	}
	no := false
	if _, err := o.s.Store.UpdateUser(t.Context(), o.ada.ID, store.UserChange{Admin: &no}); err != nil {
		t.Fatal(err)
	}
	if status, _ := o.json(tokens[scopeAdmin], "GET", "/api/v1/users", ""); status != 403 {
		t.Errorf("an administrator no more: %d", status)
	}
}

// A real server has neither reset nor seed.
func TestDemonstrationOnly(t *testing.T) {
	o := newOfficeTest(t, func(c *Config) { c.Demo = false })
	o.mail(o.ada, "Subject: stays\n\nhi\n")
	for _, path := range []string{"/api/v1/reset", "/api/v1/seed", "/api/v1/queue/advance"} {
		if status, p := o.json(basic("ada"), "POST", path, ""); status != 404 || p["code"] != "demo-only" {
			t.Error(status, p)
		}
	}
	if status, _ := o.as(o.ada).post("/admin/queue", "do", "advance"); status != 404 {
		t.Errorf("the queue was wound: %d", status)
	}
	if status, _ := o.json(basic("ada"), "GET", "/api/v1/wait?to=bob@example.test&timeout=0", ""); status != 403 {
		t.Errorf("an administrator reads somebody else's mail: %d", status)
	}
}

// What the store says of itself stays in the log.
func TestProblemsTellNothingInternal(t *testing.T) {
	o := newOfficeTest(t, nil)
	who := o.token(o.ada, "read")
	o.s.Store.Close()
	for _, who := range []string{who, basic("ada")} {
		answer := o.do("GET", "/api/v1/messages", "", "Authorization", who)
		b, _ := io.ReadAll(answer.Body)
		if answer.StatusCode < 500 || strings.Contains(string(b), "sql") || strings.Contains(string(b), "closed") {
			t.Errorf("%d %s", answer.StatusCode, b)
		}
	}
}
