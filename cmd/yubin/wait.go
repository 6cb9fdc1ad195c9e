package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/store"
)

// A waiting is what `yubin wait` waits for, and where.
type waiting struct {
	to, subject, from, body, after string
	timeout                        time.Duration
	url                            string
	asJSON                         bool
}

// longestWait is the most that one call of the API waits; a longer wait is
// several calls.
const longestWait = time.Minute

func (p *program) waitCommand() *cobra.Command {
	var w waiting
	c := &cobra.Command{
		Use:   "wait --to ADDRESS [--subject TEXT]",
		Short: "Wait for a mail and print it; exits 0 when it came, 1 when not",
		Long: "Wait for a mail and print it with the links and codes in it. Exits 0 when it came, 1 when\n" +
			"not; then it says what did come. Mail that is there already counts, the newest first,\n" +
			"unless --after says from when on: the cursor that --json prints, or 'now'.",
		Example: "  yubin wait --to alice@example.test --subject confirm --timeout 30s --json\n" +
			"  YUBIN_TOKEN=yubin_… yubin wait --url https://mail.example.test --subject confirm",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			return p.wait(c.Context(), cfg, w)
		},
	}
	f := c.Flags()
	f.StringVar(&w.to, "to", "", "Recipient: the address of a user, also with +detail, or an alias.")
	f.StringVar(&w.subject, "subject", "", "Text that the subject contains.")
	f.StringVar(&w.from, "from", "", "Text that the sender's name or address contains.")
	f.StringVar(&w.body, "body", "", "Text that the body contains.")
	f.StringVar(&w.after, "after", "", "Only mail that came after this cursor, or after 'now'.")
	f.DurationVar(&w.timeout, "timeout", 15*time.Second, "How long to wait.")
	f.StringVar(&w.url, "url", "", "Server as http://host:port, with a token in YUBIN_TOKEN; else the one that runs on the data folder.")
	f.BoolVar(&w.asJSON, "json", false, "Answer as JSON.")
	return c
}

func (p *program) wait(ctx context.Context, cfg *config, w waiting) error {
	base, token, err := w.url, "", error(nil)
	token, _ = p.getenv("YUBIN_TOKEN")
	if base == "" {
		r, err := p.server(cfg)
		if err != nil {
			return err
		}
		at := r.reach("http")
		if at == "" {
			return errors.New(p.say("the server has no listener for that; see `yubin config print`"))
		}
		base = "http://" + at
	}
	if token == "" {
		if w.url != "" {
			return exit{exitUsage, errors.New(p.say("--url needs a token in YUBIN_TOKEN; `yubin token add` makes one"))}
		}
		if w.to == "" {
			return exit{exitUsage, errors.New(p.say("say to whom, with --to"))}
		}
		// Who can read the store needs no password: the token is for this
		// wait only.
		var end func() error
		if token, end, err = p.passingToken(ctx, cfg, w); err != nil {
			return err
		}
		defer func() { _ = end() }() // it ends by itself, a little later
	}
	client := apiClient{base: strings.TrimSuffix(base, "/"), token: token}
	return p.tellWaited(w, client.wait(ctx, w))
}

// passingToken makes a token that outlasts one wait by a minute.
func (p *program) passingToken(ctx context.Context, cfg *config, w waiting) (secret string, end func() error, err error) {
	if err := p.findStore(cfg, true); err != nil {
		return "", nil, err
	}
	s, err := store.Open(ctx, store.Options{Dir: cfg.DataDir, Iterations: hashCost})
	if err != nil {
		return "", nil, fmt.Errorf("open the mail store in %s: %w", cfg.DataDir, err)
	}
	user, err := recipient(ctx, s, w.to)
	if err != nil {
		return "", nil, errors.Join(of(w.to, err), s.Close())
	}
	secret, token, err := s.CreateToken(ctx, user, "yubin wait", []string{"read"}, time.Now().Add(w.timeout+time.Minute))
	if err != nil {
		return "", nil, errors.Join(err, s.Close())
	}
	return secret, func() error {
		_, err := s.RemoveToken(context.WithoutCancel(ctx), user, token.ID)
		return errors.Join(err, s.Close())
	}, nil
}

// recipient is the user that an address leads to.
func recipient(ctx context.Context, s *store.Store, address string) (store.UserID, error) {
	to, err := s.Resolve(ctx, address)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(to, func(r store.Recipient) bool { return r.User != 0 })
	if i < 0 {
		return 0, store.ErrNotLocal
	}
	return to[i].User, nil
}

// apiClient talks to a server's API.
type apiClient struct{ base, token string }

// waited is how a wait ended: with a message, or with what came meanwhile.
type waited struct {
	Cursor  string           `json:"cursor"`
	Message *waitedMessage   `json:"message,omitempty"`
	Arrived []*waitedMessage `json:"arrived,omitempty"`
	raw     map[string]any
	err     error
}

type waitedMessage struct {
	Subject string
	From    []struct{ Name, Address string }
	Links   []string
	Codes   []string
	Text    string
}

// apiError is a problem that the server has named.
type apiError struct {
	Status int
	Code   string
	Detail string
}

func (e *apiError) Error() string { return e.Detail }

// call makes one call, and decodes the answer twice: into what we look at, and
// whole.
func (a apiClient) call(ctx context.Context, method, path string, query url.Values) (w waited) {
	r, err := http.NewRequestWithContext(ctx, method, a.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return waited{err: err}
	}
	r.Header.Set("Authorization", "Bearer "+a.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return waited{err: err}
	}
	defer answer.Body.Close()
	const enough = 64 << 20
	body, err := io.ReadAll(io.LimitReader(answer.Body, enough))
	if err == nil {
		err = errors.Join(json.Unmarshal(body, &w), json.Unmarshal(body, &w.raw))
	}
	switch {
	case err != nil:
		w.err = fmt.Errorf("%s%s answers %s: %w", a.base, path, answer.Status, err)
	case answer.StatusCode >= 300:
		problem := &apiError{Status: answer.StatusCode}
		_ = json.Unmarshal(body, problem) // it was JSON a moment ago
		w.err = problem
	}
	return w
}

// wait waits as long as it takes, in calls that the server allows.
func (a apiClient) wait(ctx context.Context, w waiting) (last waited) {
	query := url.Values{}
	for name, value := range map[string]string{"to": w.to, "subject~": w.subject, "from~": w.from, "body~": w.body, "after": w.after} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if w.after == "now" {
		here := url.Values{}
		if w.to != "" {
			here.Set("to", w.to)
		}
		if last = a.call(ctx, http.MethodPost, "/api/v1/cursor", here); last.err != nil {
			return last
		}
		query.Set("after", last.Cursor)
	}
	var arrived []*waitedMessage
	raw := []any{} // as the API has it: a list also when nothing came
	for end := time.Now().Add(w.timeout); ; {
		left := max(0, time.Until(end))
		query.Set("timeout", min(left, longestWait).Round(time.Millisecond).String())
		last = a.call(ctx, http.MethodGet, "/api/v1/wait", query)
		var problem *apiError
		if !errors.As(last.err, &problem) || problem.Code != "timeout" {
			return last
		}
		arrived = append(arrived, last.Arrived...)
		if some, ok := last.raw["arrived"].([]any); ok {
			raw = append(raw, some...)
		}
		if left <= longestWait {
			last.Arrived, last.raw["arrived"] = arrived, raw
			return last
		}
		query.Set("after", last.Cursor)
	}
}

// tellWaited prints how it ended.
func (p *program) tellWaited(w waiting, end waited) error {
	var problem *apiError
	late := errors.As(end.err, &problem) && problem.Code == "timeout"
	if end.err != nil && !late {
		return end.err
	}
	if w.asJSON {
		if err := p.printJSON(end.raw); err != nil {
			return err
		}
		if late {
			return exit{code: exitFailure}
		}
		return nil
	}
	if late {
		fmt.Fprintln(p.err, "yubin: "+p.say("no such mail came within %s", w.timeout))
		for _, m := range end.Arrived {
			fmt.Fprintln(p.err, "  "+p.say("but this did: %s, from %s", printable(m.Subject), m.sender()))
		}
		return exit{code: exitFailure}
	}
	m := end.Message
	fmt.Fprintf(p.out, "From: %s\nSubject: %s\n", m.sender(), printable(m.Subject))
	for _, code := range m.Codes {
		fmt.Fprintf(p.out, "Code: %s\n", code)
	}
	for _, link := range m.Links {
		fmt.Fprintf(p.out, "Link: %s\n", printable(link))
	}
	fmt.Fprintf(p.out, "\n%s\n", strings.TrimRight(printable(m.Text), "\n"))
	return nil
}

func (m *waitedMessage) sender() string {
	if len(m.From) == 0 {
		return "?"
	}
	return printable(m.From[0].Address)
}

// printable is text that cannot move a terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text)
}
