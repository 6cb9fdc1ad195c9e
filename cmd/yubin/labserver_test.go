package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/store"
)

// TestTheLabOfARealServer plays on a server that is no demonstration: it
// takes passwords over TLS only, shows pages over TLS only, and sends
// strangers away that it does not know.
func TestTheLabOfARealServer(t *testing.T) {
	c := testConfig(t, "--submission-addr=", "--http-addr=", "--pop3-addr=", "--imap-addr=", "--auth-greylist")
	n, _ := startNode(t, c)
	defer stopNode(t, n)
	server := n.labServer()
	if server == nil {
		t.Fatal("there is no lab")
	}
	for _, address := range []string{server.Submission, server.POP3, server.IMAP, server.Web} {
		if !slices.Contains(server.TLS, address) {
			t.Errorf("%q is not over TLS", address)
		}
	}
	server.Account = func(ctx context.Context, role string) (lab.Account, error) {
		a := lab.Account{Address: "lab-" + role + "-abcdefgh@example.test", Password: "only for this run"}
		_, err := n.store.CreateUser(ctx, store.NewUser{Address: a.Address, Password: a.Password})
		return a, err
	}
	report, err := lab.Run(t.Context(), *server, lab.Options{Scenarios: []string{"read-sync"}, Wire: lab.WireNone}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if report.Contradicted > 0 {
		t.Errorf("%d results contradict the lesson", report.Contradicted)
	}
	measured := map[lab.Column]int{}
	for _, s := range report.Scenarios {
		for _, r := range s.Results {
			if r.Lesson == lab.Confirmed {
				measured[r.Column]++
			}
		}
	}
	for _, column := range lab.Columns {
		if measured[column] == 0 {
			t.Errorf("%s: nothing was measured", column)
		}
	}
}

// TestTheLabCallsNobodyElse lets another server answer where ours should.
func TestTheLabCallsNobodyElse(t *testing.T) {
	n, _ := startNode(t, testConfig(t))
	defer stopNode(t, n)
	other, _ := startNode(t, testConfig(t))
	defer stopNode(t, other)
	i := slices.IndexFunc(other.ports, func(p *port) bool { return p.name == "imaps" })
	conn, err := net.Dial("tcp", other.ports[i].listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := tls.Client(conn, n.toOurselves()).HandshakeContext(t.Context()); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("says %v", err)
	}
}
