package listen

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestHTTPGuard(t *testing.T) {
	for _, test := range []struct {
		said string
		http bool
	}{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b>\r\n", true},
		{"POST http://x/ HTTP/1.1\r\n", true},
		{"PUT /x", true},
		{"CONNECT mail:25 HTTP/1.1\r\n", true},
		{"OPTIONS * HTTP/1.1\r\n", true},
		{"PRI * HTTP/2.0\r\n", true},
		{"DELETE /1\r\n", true},
		{"GET NOOP\r\n", false},
		{"HEAD LOGIN a b\r\n", false},
		{"DELE 1\r\n", false},
		{"EHLO GET / HTTP/1.1\r\n", false},
		{"NOOP\r\nGET / HTTP/1.1\r\n", false}, // not the first line
		{"\r\n", false},
		{strings.Repeat("x", 2*maxFirstLine) + "\r\n", false},
	} {
		for _, size := range []int{1, 3, len(test.said)} {
			inner := newListener()
			conns := accepted(t, HTTPGuard(inner))
			client := inner.dial("192.0.2.1:1000")
			server := <-conns
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				defer client.Close()
				for rest := test.said; rest != ""; {
					n := min(size, len(rest))
					if _, err := io.WriteString(client, rest[:n]); err != nil {
						return
					}
					rest = rest[n:]
				}
			}()
			got, err := io.ReadAll(server)
			<-sent
			server.Close()
			if test.http {
				if !errors.Is(err, ErrHTTP) || bytes.Contains(got, []byte("\n")) {
					t.Errorf("%.30q by %d: got %q, %v", test.said, size, got, err)
				}
			} else if err != nil || string(got) != test.said {
				t.Errorf("%.30q by %d: got %.30q, %v", test.said, size, got, err)
			}
		}
	}
}

func TestHTTPGuardKnowsTLS(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	l := HTTPGuard(TLS(listenTCP(t), serverTLS))
	conns := accepted(t, l)
	client := tls.Client(dialTCP(t, l), clientTLS)
	server := <-conns
	defer server.Close()
	go io.WriteString(client, "GET / HTTP/1.1\r\n")
	if _, err := server.Read(make([]byte, 100)); !errors.Is(err, ErrHTTP) {
		t.Errorf("got %v", err)
	}
	if _, ok := server.(interface{ ConnectionState() tls.ConnectionState }); !ok {
		t.Error("the guard hides TLS")
	}
}
