package listen

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"testing"
	"time"
)

// certificate makes a self-signed one for a test.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"mail.example.test"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "mail.example.test"}
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dialTCP(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestTLS(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	l := TLS(Limit(listenTCP(t), Limits{}, nil), serverTLS)
	conns := accepted(t, l)

	dialTCP(t, l) // a silent one, which must not keep the next from being served
	(<-conns).Close()

	raw := dialTCP(t, l)
	server := <-conns
	defer server.Close()
	greeted := make(chan error)
	go func() {
		_, err := io.WriteString(server, "hello\r\n") // makes the handshake
		greeted <- err
	}()
	client := tls.Client(raw, clientTLS)
	line, err := bufio.NewReader(client).ReadString('\n')
	if err != nil || line != "hello\r\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	if err := <-greeted; err != nil {
		t.Fatal(err)
	}

	state, ok := ConnectionState(struct{ net.Conn }{server})
	if ok {
		t.Error("a wrapper that shows nothing was seen through")
	}
	state, ok = ConnectionState(&wrapper{server})
	if !ok || state.Version != tls.VersionTLS13 {
		t.Fatalf("got %v, %v", state.Version, ok)
	}
}

type wrapper struct{ net.Conn }

func (w *wrapper) NetConn() net.Conn { return w.Conn }

func TestNoTLS(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	if _, ok := ConnectionState(&wrapper{server}); ok {
		t.Error("a pipe speaks TLS")
	}
}

func TestSilentClientIsDropped(t *testing.T) {
	serverTLS, _ := certificate(t)
	l := TLS(listenTCP(t), serverTLS)
	l.(*tlsListener).limit = 50 * time.Millisecond
	conns := accepted(t, l)
	client := dialTCP(t, l)
	server := <-conns
	defer server.Close()
	server.SetReadDeadline(time.Now().Add(time.Hour))
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the client got %v", err)
	}
	if state, _ := ConnectionState(server); state.HandshakeComplete {
		t.Error("the handshake is complete")
	}
}

func TestDeadlineSetBeforeTheHandshakeHolds(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	l := TLS(listenTCP(t), serverTLS)
	conns := accepted(t, l)
	client := tls.Client(dialTCP(t, l), clientTLS)
	server := <-conns
	defer server.Close()
	server.SetReadDeadline(time.Now().Add(2 * time.Second))
	shaken := make(chan error)
	go func() { shaken <- client.Handshake() }()
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := <-shaken; err != nil {
		t.Error(err)
	}
}
