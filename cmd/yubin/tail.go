package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/wiretap"
)

// control answers the command line of whoever owns the data folder.
func (n *node) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /tail", n.tail)
	mux.HandleFunc("GET /sessions", n.listSessions)
	mux.HandleFunc("DELETE /sessions/{id}", n.endSession)
	return mux
}

// A heard line is what goes over the control socket, one JSON object a line.
type heard struct {
	Time    time.Time `json:"time"`
	Session uint64    `json:"session"`
	Proto   string    `json:"proto"`
	User    string    `json:"user,omitempty"`
	Remote  string    `json:"remote"`
	Line    string    `json:"line,omitempty"` // in the format of conversation files
	Ended   bool      `json:"ended,omitempty"`
	Lost    int       `json:"lost,omitempty"`
}

// tail streams what the wiretap hears. What it may hear is the wiretap's
// rule: outside a demonstration only of users who have agreed.
func (n *node) tail(w http.ResponseWriter, r *http.Request) {
	if !n.tap.Enabled() {
		http.Error(w, "off", http.StatusNotFound)
		return
	}
	events, cancel := n.tap.Subscribe(wiretap.Filter{Proto: r.FormValue("proto"), User: r.FormValue("user")})
	defer cancel()
	out, flush := json.NewEncoder(w), http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	if flush.Flush() != nil { // the headers: the viewer knows that it is on
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case e := <-events:
			h := heard{e.Line.Time, e.Session.ID, e.Session.Proto, e.Session.User, e.Session.Remote, "", e.Ended, e.Lost}
			if !e.Ended {
				h.Line = e.Line.String()
			}
			if out.Encode(h) != nil || flush.Flush() != nil {
				return
			}
		}
	}
}

func (p *program) tailCommand() *cobra.Command {
	var proto, user string
	var asJSON bool
	var count int
	c := &cobra.Command{
		Use:     "tail",
		Short:   "Watch the conversations of the running server, live",
		Long:    "Watch the conversations of the running server, live. Secrets are masked. Outside a\ndemonstration only users who agreed (`yubin user set ADDRESS --tap`) are shown.",
		Example: "  yubin tail --proto imap --user alice@example.test",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			r, err := p.server(cfg)
			if err != nil {
				return err
			}
			err = p.follow(c.Context(), r, url.Values{"proto": {proto}, "user": {user}}, asJSON, count)
			if c.Context().Err() != nil {
				return nil // Ctrl-C is how one stops watching
			}
			return err
		},
	}
	c.Flags().StringVar(&proto, "proto", "", "Only smtp, pop3 or imap.")
	c.Flags().StringVar(&user, "user", "", "Only the conversations of this address.")
	c.Flags().IntVar(&count, "count", 0, "Stop after so many lines; 0 goes on.")
	c.Flags().BoolVar(&asJSON, "json", false, "Print one JSON object a line.")
	return c
}

// controlClient asks the server over its control socket.
func (r runFile) controlClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", r.Control)
		},
	}}
}

func (p *program) follow(ctx context.Context, r runFile, query url.Values, asJSON bool, count int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://control/tail?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	answer, err := r.controlClient().Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(p.say("the server records no conversations; start it with --wiretap-enabled"))
	}
	fmt.Fprintln(p.err, p.say("Watching; Ctrl-C ends it."))
	lines, last := json.NewDecoder(answer.Body), uint64(0)
	for printed := 0; count == 0 || printed < count; printed++ {
		var h heard
		if err := lines.Decode(&h); errors.Is(err, io.EOF) {
			return errors.New(p.say("the server has stopped"))
		} else if err != nil {
			return err
		}
		if asJSON {
			if err := json.NewEncoder(p.out).Encode(h); err != nil {
				return err
			}
			continue
		}
		if h.Session != last {
			last = h.Session
			fmt.Fprintf(p.out, "-- %s %d %s %s\n", h.Proto, h.Session, h.Remote, h.User)
		}
		if h.Lost > 0 {
			fmt.Fprintf(p.out, "# (%d)\n", h.Lost)
		}
		if h.Ended {
			last = 0
			continue
		}
		fmt.Fprintln(p.out, h.Line)
	}
	return nil
}
