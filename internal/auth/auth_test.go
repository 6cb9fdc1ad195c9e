package auth

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdg-go/scram"

	"github.com/yubin-mail/yubin/store"
)

var here = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234}

// door is an Authenticator over a store in which Ada lives.
func door(t *testing.T, c LimiterConfig) (*Authenticator, *store.Store, *bytes.Buffer) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Iterations: 4096})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if _, err := s.CreateUser(t.Context(), store.NewUser{Address: "ada@example.test", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	if c.Pause == 0 {
		c.Pause = -1
	}
	var log bytes.Buffer
	return New(s, NewLimiter(c), slog.New(slog.NewTextHandler(&log, nil))), s, &log
}

func TestLogin(t *testing.T) {
	a, s, log := door(t, LimiterConfig{})
	for _, test := range []struct {
		name, password string
		want           error
	}{
		{"ada@example.test", "secret", nil},
		{"Ada@EXAMPLE.test", "secret", nil},
		{"ada", "secret", nil}, // of the first domain
		{"ada@example.test", "Secret", store.ErrBadCredentials},
		{"ada@example.test", "", store.ErrBadCredentials},
		{"nobody@example.test", "secret", store.ErrBadCredentials},
		{"", "secret", store.ErrBadCredentials},
		{"ada@example.test\x00", "secret", store.ErrBadCredentials},
		{"ada\t@example.test", "secret", store.ErrBadCredentials},
		{"ada@example.test\r\nlogin", "secret", store.ErrBadCredentials},
		{"' OR 1=1 --", "secret", store.ErrBadCredentials},
		{"%u@example.test", "secret", store.ErrBadCredentials},
		{"\xff@example.test", "secret", store.ErrBadCredentials},
		{strings.Repeat("a", 1<<20), "secret", store.ErrBadCredentials},
		{"ada@example.test", strings.Repeat("a", 1<<20), store.ErrBadCredentials},
	} {
		u, err := a.Login(t.Context(), here, "smtp", test.name, test.password)
		if !errors.Is(err, test.want) || err == nil && u.Address != "ada@example.test" {
			t.Errorf("%.40q: %v, %v; want %v", test.name, u.Address, err, test.want)
		}
	}
	if strings.Contains(log.String(), "ecret") || strings.Count(log.String(), "\n") != 15 || log.Len() > 10_000 {
		t.Errorf("log:\n%s", log)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Login(t.Context(), here, "smtp", "ada", "secret"); err == nil || errors.Is(err, store.ErrBadCredentials) {
		t.Errorf("a closed store says %v", err)
	}
}

func TestFailuresThrottleTheirOwnAddressOnly(t *testing.T) {
	now := time.Now()
	a, _, _ := door(t, LimiterConfig{FailuresPerAccount: 2, FailuresPerAddress: 4, Window: time.Minute, Now: func() time.Time { return now }})
	login := func(ip, name, password string) error {
		_, err := a.Login(t.Context(), &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}, "imap", name, password)
		return err
	}
	expect := func(got, want error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	expect(login("192.0.2.1", "ada@example.test", "x"), store.ErrBadCredentials)
	expect(login("192.0.2.1", "ada@example.test", "secret"), nil)
	expect(login("192.0.2.1", "ADA@example.test", "x"), store.ErrBadCredentials) // success has reset nothing
	expect(login("192.0.2.1", "ada@example.test", "secret"), ErrThrottled)
	expect(login("::ffff:192.0.2.1", "ada@example.test", "secret"), ErrThrottled)
	expect(login("192.0.2.2", "ada@example.test", "secret"), nil) // she is not locked out
	expect(login("192.0.2.1", "bea@example.test", "x"), store.ErrBadCredentials)
	expect(login("192.0.2.1", "cyd@example.test", "x"), store.ErrBadCredentials)
	expect(login("192.0.2.1", "dan@example.test", "x"), ErrThrottled) // the address has had its four
	expect(login("2001:db8::1", "ada@example.test", "x"), store.ErrBadCredentials)
	expect(login("2001:db8::2", "ada@example.test", "x"), store.ErrBadCredentials)
	expect(login("2001:db8::ffff", "ada@example.test", "secret"), ErrThrottled) // the same /64
	expect(login("2001:db8:0:1::1", "ada@example.test", "secret"), nil)
	now = now.Add(time.Minute)
	expect(login("192.0.2.1", "ada@example.test", "secret"), nil)
}

// Guesses that are sent all at once do not pass together: only as many as are
// hashed at the same time may be too many.
func TestGuessesAtOnce(t *testing.T) {
	a, _, log := door(t, LimiterConfig{FailuresPerAddress: 3})
	results := make(chan error, 100) // one for each guess
	for range cap(results) {
		go func() {
			_, err := a.Login(context.Background(), here, "pop3", "ada", "wrong")
			results <- err
		}()
	}
	throttled := 0
	for range cap(results) {
		if errors.Is(<-results, ErrThrottled) {
			throttled++
		}
	}
	if tried := cap(results) - throttled; tried < 3 || tried > 3+cap(a.hashing) {
		t.Errorf("%d passwords were tried\n%s", tried, log)
	}
}

func TestPauses(t *testing.T) {
	l := NewLimiter(LimiterConfig{})
	for n, want := range map[int]time.Duration{
		1: 0, 2: 0, 3: 250 * time.Millisecond, 4: 500 * time.Millisecond, 6: 2 * time.Second, 7: 4 * time.Second, 1000: 4 * time.Second,
	} {
		if got := l.pause(n); got != want {
			t.Errorf("after failure %d: %v, want %v", n, got, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		for range 4 {
			l.UnknownRecipient(t.Context(), here)
		}
		if d := time.Since(began); d != 750*time.Millisecond {
			t.Errorf("four unknown recipients took %v", d)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		l.UnknownRecipient(gone, here)
		if d := time.Since(began); d != 750*time.Millisecond {
			t.Errorf("a pause for nobody: %v", d)
		}
	})
}

func TestMayName(t *testing.T) {
	l := NewLimiter(LimiterConfig{UnknownRecipients: 2, Pause: -1})
	for i := range 3 {
		if may := l.MayName(here); may != (i < 2) {
			t.Errorf("after %d unknown recipients: %v", i, may)
		}
		l.UnknownRecipient(t.Context(), here)
	}
	if !l.MayName(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 9)}) || !l.MayName(nil) {
		t.Error("others are throttled too")
	}
	if l = NewLimiter(LimiterConfig{UnknownRecipients: -1, Pause: -1}); !l.MayName(here) {
		t.Error("a limit that is off")
	}
}

// However many addresses somebody comes from, what is remembered is bounded.
func TestLimiterForgets(t *testing.T) {
	now := time.Now()
	l := NewLimiter(LimiterConfig{Pause: -1, Now: func() time.Time { return now }})
	from := func(i int) net.Addr {
		return &net.TCPAddr{IP: net.IPv4(10, byte(i>>16), byte(i>>8), byte(i))}
	}
	for i := range 2 * maxWindows {
		l.UnknownRecipient(t.Context(), from(i))
	}
	if n := len(l.counts); n > maxWindows {
		t.Errorf("%d windows", n)
	}
	now = now.Add(time.Hour)
	for i := range 2000 {
		l.UnknownRecipient(t.Context(), from(i))
	}
	if n := len(l.counts); n > 4000 && n >= maxWindows {
		t.Errorf("%d windows, nearly all of them over", n)
	}
}

func TestMechanisms(t *testing.T) {
	for _, test := range []struct {
		secure, plaintextOK, hasBinding bool
		want                            string
	}{
		{false, false, false, ""},
		{false, true, false, "SCRAM-SHA-256 PLAIN LOGIN"},
		{true, false, false, "SCRAM-SHA-256 PLAIN LOGIN"},
		{true, true, true, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"},
		{false, true, true, "SCRAM-SHA-256 PLAIN LOGIN"},
	} {
		if got := strings.Join(Mechanisms(test.secure, test.plaintextOK, test.hasBinding), " "); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestExchanges(t *testing.T) {
	a, _, _ := door(t, LimiterConfig{})
	for _, test := range []struct {
		mechanism string
		responses []string // "-" is none
		want      error
	}{
		{"PLAIN", []string{"-", "\x00ada@example.test\x00secret"}, nil},
		{"plain", []string{"ada@example.test\x00Ada@example.test\x00secret"}, nil},
		{"PLAIN", []string{"bea@example.test\x00ada@example.test\x00secret"}, store.ErrBadCredentials},
		{"PLAIN", []string{"\x00ada@example.test\x00wrong"}, store.ErrBadCredentials},
		{"PLAIN", []string{""}, ErrMalformed},
		{"PLAIN", []string{"ada@example.test\x00secret"}, ErrMalformed},
		{"PLAIN", []string{"\x00ada@example.test\x00secret\x00"}, ErrMalformed},
		{"LOGIN", []string{"-", "ada@example.test", "secret"}, nil},
		{"LOGIN", []string{"ada@example.test", "secret"}, nil},
		{"LOGIN", []string{"ada@example.test", "wrong"}, store.ErrBadCredentials},
		{"LOGIN", []string{"", ""}, store.ErrBadCredentials},
		{"SCRAM-SHA-256", []string{"-", ""}, ErrMalformed},
		{"SCRAM-SHA-256", []string{"n,,n=ada=40example.test,r=x"}, ErrMalformed},
		{"SCRAM-SHA-256", []string{"p=tls-exporter,,n=ada@example.test,r=x"}, ErrMalformed},
		{"SCRAM-SHA-256", []string{"n,a=bea@example.test,n=ada@example.test,r=x"}, store.ErrBadCredentials},
		{"SCRAM-SHA-256", []string{"n,,n=ada@example.test,r=x", "c=biws,r=x,p=AAAA"}, store.ErrBadCredentials},
		{"SCRAM-SHA-256", []string{"n,,n=" + strings.Repeat("a", 1000) + ",r=x"}, store.ErrBadCredentials},
		{"SCRAM-SHA-256", []string{"n,,m=x,n=ada@example.test,r=x"}, ErrMalformed},
	} {
		x, err := a.Begin(t.Context(), test.mechanism, Facts{Remote: here, Service: "imap"})
		if err != nil {
			t.Fatal(err)
		}
		var done bool
		for _, r := range test.responses {
			if err != nil || done {
				t.Errorf("%s %q: over too early: %v, %v", test.mechanism, test.responses, done, err)
			}
			response := []byte(r)
			if r == "-" {
				response = nil
			}
			_, done, err = x.Next(response)
		}
		if !errors.Is(err, test.want) || done != (test.want == nil) || (x.User().ID != 0) != done {
			t.Errorf("%s %q: %v, %v, %v; want %v", test.mechanism, test.responses, done, err, x.User().Address, test.want)
		}
		if _, done, err := x.Next([]byte("secret")); err == nil || done {
			t.Errorf("%s goes on after its end", test.mechanism)
		}
	}
	for _, mechanism := range []string{"", "CRAM-MD5", "SCRAM-SHA-256-PLUS"} {
		if _, err := a.Begin(t.Context(), mechanism, Facts{Remote: here}); !errors.Is(err, ErrUnknownMechanism) {
			t.Errorf("%q: %v", mechanism, err)
		}
	}
}

// A replayed proof is worth nothing, and an unknown user looks like a known
// one, with the same salt every time.
func TestScram(t *testing.T) {
	a, _, _ := door(t, LimiterConfig{})
	first := func(name string) (Exchange, string) {
		x, err := a.Begin(t.Context(), ScramSHA256, Facts{Remote: here})
		if err != nil {
			t.Fatal(err)
		}
		challenge, done, err := x.Next([]byte("n,,n=" + name + ",r=abc"))
		if err != nil || done {
			t.Fatal(name, done, err)
		}
		return x, string(challenge)
	}
	salt := func(challenge string) string {
		return strings.Split(challenge, ",")[1] + strings.Split(challenge, ",")[2]
	}
	_, known := first("ada@example.test")
	_, unknown := first("nobody@example.test")
	_, again := first("Nobody@example.test")
	_, other := first("other@example.test")
	if salt(unknown) != salt(again) || salt(unknown) == salt(other) || len(known) != len(unknown) {
		t.Errorf("known %q, unknown %q, %q, %q", known, unknown, again, other)
	}

	client, err := scram.SHA256.NewClient("ada@example.test", "secret", "")
	if err != nil {
		t.Fatal(err)
	}
	conversation := client.WithNonceGenerator(func() string { return "abc" }).NewConversation()
	if _, err := conversation.Step(""); err != nil {
		t.Fatal(err)
	}
	x, challenge := first("ada@example.test")
	proof, err := conversation.Step(challenge)
	if err != nil {
		t.Fatal(err)
	}
	verifier, done, err := x.Next([]byte(proof))
	if err != nil || done || x.User().Address != "ada@example.test" {
		t.Fatal(done, err)
	}
	if _, err := conversation.Step(string(verifier)); err != nil || !conversation.Valid() {
		t.Errorf("the server's proof %q: %v", verifier, err)
	}
	if _, done, err := x.Next([]byte{}); err != nil || !done {
		t.Errorf("not done: %v", err)
	}
	x, _ = first("ada@example.test")
	if _, _, err := x.Next([]byte(proof)); !errors.Is(err, store.ErrBadCredentials) {
		t.Errorf("a replay got %v", err)
	}
}
