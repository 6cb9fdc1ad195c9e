package webd

import (
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/store"
)

// The JSON API, for programs and tests. It knows no cookies: who calls shows
// a token or, with HTTP Basic, a password, so that no page elsewhere can use
// somebody's login. Errors are RFC 9457 problems.

// What a token may allow.
const (
	scopeRead  = "read"  // the user's mail
	scopeSend  = "send"  // send, and delete
	scopeAdmin = "admin" // users, aliases and connections, while the user is an administrator
)

// Scopes are all of them.
var Scopes = []string{scopeRead, scopeSend, scopeAdmin}

// endpoint is one call of the API.
type endpoint struct {
	pattern string
	scope   string // what the caller must be allowed; "" is anybody, also a stranger
	demo    bool   // there in a demonstration only
	serve   func(*call) error
}

// endpoints are all there is under /api/; api.json describes them.
func (s *Server) endpoints() []endpoint {
	return []endpoint{
		{"GET /api/v1/openapi.json", "", false, describeAPI},

		{"GET /api/v1/messages", scopeRead, false, listMessages},
		{"GET /api/v1/messages/{id}", scopeRead, false, getMessage},
		{"GET /api/v1/messages/{id}/raw", scopeRead, false, getRaw},
		{"GET /api/v1/messages/{id}/attachments/{part}", scopeRead, false, getAttachment},
		{"DELETE /api/v1/messages/{id}", scopeSend, false, deleteMessage},
		{"GET /api/v1/search", scopeRead, false, searchMessages},
		{"POST /api/v1/cursor", scopeRead, false, makeCursor},
		{"GET /api/v1/wait", scopeRead, false, waitForMessage},
		{"POST /api/v1/send", scopeSend, false, sendMessage},

		{"GET /api/v1/tokens", scopeRead, false, listTokens},
		{"POST /api/v1/tokens", scopeRead, false, createToken},
		{"DELETE /api/v1/tokens/{id}", scopeRead, false, removeToken},

		{"GET /api/v1/users", scopeAdmin, false, listUsers},
		{"POST /api/v1/users", scopeAdmin, false, createUser},
		{"GET /api/v1/users/{address}", scopeAdmin, false, getUser},
		{"PATCH /api/v1/users/{address}", scopeAdmin, false, changeUser},
		{"DELETE /api/v1/users/{address}", scopeAdmin, false, deleteUser},
		{"GET /api/v1/sessions", scopeAdmin, false, listSessions},
		{"DELETE /api/v1/sessions/{id}", scopeAdmin, false, endSession},
		{"GET /api/v1/aliases", scopeAdmin, false, listAliases},
		{"POST /api/v1/aliases", scopeAdmin, false, createAlias},
		{"DELETE /api/v1/aliases/{address}", scopeAdmin, false, removeAlias},

		{"POST /api/v1/reset", scopeSend, true, resetDemo},
		{"POST /api/v1/seed", scopeSend, true, seedDemo},
		{"POST /api/v1/queue/advance", scopeSend, true, advanceQueue},
	}
}

func (s *Server) apiRoutes(m *routes) {
	methods := map[string][]string{} // by path
	for _, e := range s.endpoints() {
		m.open(e.pattern, func(v *visit) error { return v.call(e) })
		method, path, _ := strings.Cut(e.pattern, " ")
		methods[path] = append(methods[path], method)
	}
	for path, some := range methods {
		m.open(path, func(v *visit) error {
			v.w.Header().Set("Allow", strings.Join(some, ", "))
			return errMethod
		})
	}
	m.open("/api/", func(*visit) error { return errNoEndpoint })
}

// call is one use of the API.
type call struct {
	*visit
	scopes   []string
	password bool // proved with the password, not with a token
	token    store.TokenID

	generation int64 // of the password
}

func (c *call) may(scope string) bool {
	return slices.Contains(c.scopes, scope) && (scope != scopeAdmin || c.user.Admin)
}

// call answers one call of the API.
func (v *visit) call(e endpoint) error {
	v.session, v.user = nil, store.User{}
	c := &call{visit: v}
	if e.demo && !v.s.Demo {
		return errDemoOnly
	}
	if e.scope == "" {
		return e.serve(c)
	}
	if err := c.authenticate(); err != nil {
		return err
	}
	if !c.may(e.scope) {
		return errScope
	}
	return e.serve(c)
}

// authenticate finds out who calls.
func (c *call) authenticate() (err error) {
	proof := c.Header.Get("Authorization")
	if proof == "" {
		return errNoLogin
	}
	if !c.isPrivate() {
		return errInsecure
	}
	if name, password, ok := c.BasicAuth(); ok {
		c.user, err = c.s.Auth.Login(c.Context(), c.remote(), "api", name, password)
		c.scopes, c.password = Scopes, true
		if err == nil {
			c.generation, err = c.s.Store.Generation(c.Context(), c.user.ID)
		}
		return err
	}
	kind, secret, _ := strings.Cut(proof, " ")
	if !strings.EqualFold(kind, "Bearer") {
		return errNoLogin
	}
	var token store.Token
	c.user, token, err = c.s.Auth.LoginToken(c.Context(), c.remote(), "api", strings.TrimSpace(secret))
	c.scopes, c.token = token.Scopes, token.ID
	if errors.Is(err, store.ErrBadCredentials) {
		return errBadToken
	}
	return err
}

// stillMay refuses whoever has lost the right to call since authenticate, for
// calls that take their time.
func (c *call) stillMay() error {
	generation, err := c.s.Store.Generation(c.Context(), c.user.ID)
	if err != nil || c.password {
		if err == nil && generation != c.generation {
			err = store.ErrBadCredentials
		}
		return err
	}
	tokens, err := c.s.Store.Tokens(c.Context(), c.user.ID)
	if err == nil && !slices.ContainsFunc(tokens, func(t store.Token) bool { return t.ID == c.token }) {
		err = errBadToken
	}
	return err
}

// isPrivate reports whether nobody on the way can read a password: TLS, this
// machine, or a network that somebody has said to trust.
func (v *visit) isPrivate() bool {
	return v.isSecure() || isLoopback(v.remote()) || v.s.Operation.PlaintextOK
}

// maxAPIBody bounds what a call may send, except for mail.
const maxAPIBody = 1 << 20

// body reads the JSON that came with a call.
func (c *call) body(limit int64, into any) error {
	kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return errNotJSON
	}
	d := json.NewDecoder(http.MaxBytesReader(c.w, c.Body, limit))
	d.DisallowUnknownFields()
	if err = d.Decode(into); err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			return errJSON
		}
		return nil
	}
	var tooLarge *http.MaxBytesError
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &tooLarge) {
		return errUpload
	}
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return errJSON.about(wrongType.Field)
	}
	if name, ok := strings.CutPrefix(err.Error(), `json: unknown field `); ok {
		return errUnknownField.about(strings.Trim(name, `"`))
	}
	return errJSON
}

// answer sends a value with a status.
func (c *call) answer(status int, value any) error {
	c.status = status
	return c.json(value)
}

// done answers that there is nothing to say.
func (c *call) done() error {
	c.answered = true
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

//go:embed api.json
var apiDescription []byte

func describeAPI(c *call) error {
	c.w.Header().Set("Cache-Control", "no-cache")
	c.send("application/json", apiDescription)
	return nil
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
