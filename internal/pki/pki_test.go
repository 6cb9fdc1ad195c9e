package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func open(t *testing.T, c Config) *Keeper {
	t.Helper()
	k, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func roots(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	text, err := Public(dir)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("PRIVATE")) {
		t.Fatal("the public file holds a key")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate in the public file")
	}
	return pool
}

func TestClientsWithTheAuthorityTrustTheServer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	k := open(t, Config{Dir: dir, Names: []string{"mail.example.test", "EXAMPLE.test.", "192.0.2.7", "郵便.test"}})
	server, client := net.Pipe()
	go tls.Server(server, k.TLS()).Handshake()
	c := tls.Client(client, &tls.Config{RootCAs: roots(t, dir), ServerName: "mail.example.test"})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	client.Close()
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "example.test", "192.0.2.7", "xn--wtqs30n.test"} {
		if _, err := k.Leaf().Verify(x509.VerifyOptions{Roots: roots(t, dir), DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOldProtocolVersionsAreRefused(t *testing.T) {
	dir := t.TempDir()
	k := open(t, Config{Dir: dir})
	server, client := net.Pipe()
	go tls.Server(server, k.TLS()).Handshake()
	c := tls.Client(client, &tls.Config{RootCAs: roots(t, dir), ServerName: "localhost", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err := c.Handshake(); err == nil {
		t.Fatal("a TLS 1.1 handshake went through")
	}
}

func TestKeysAreReadableByTheOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	open(t, Config{Dir: dir})
	for name, want := range map[string]os.FileMode{".": 0o700, authorityFile: 0o600, serverFile: 0o600, publicFile: 0o644} {
		i, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if i.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", name, i.Mode().Perm(), want)
		}
	}
}

// sign makes a certificate with the authority's key, as a thief of the key
// would.
func sign(t *testing.T, a *authority, template *x509.Certificate, parent *x509.Certificate, signer any) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(7)
	template.NotBefore = time.Now().Add(-time.Minute)
	template.NotAfter = time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func TestTheAuthorityCannotVouchForOthers(t *testing.T) {
	dir := t.TempDir()
	open(t, Config{Dir: dir, Names: []string{"mail.example.test"}})
	a, err := readAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !a.cert.PermittedDNSDomainsCritical || !a.cert.MaxPathLenZero || a.cert.MaxPathLen != 0 {
		t.Error("the constraints are not critical, or the path may be longer")
	}
	pool := roots(t, dir)
	uri, _ := url.Parse("https://bank.test/")
	cases := map[string]struct {
		template x509.Certificate
		good     bool
	}{
		"own name":      {x509.Certificate{DNSNames: []string{"mail.example.test"}}, true},
		"a name below":  {x509.Certificate{DNSNames: []string{"a.mail.example.test"}}, true},
		"another name":  {x509.Certificate{DNSNames: []string{"bank.test"}}, false},
		"one of two":    {x509.Certificate{DNSNames: []string{"mail.example.test", "bank.test"}}, false},
		"the parent":    {x509.Certificate{DNSNames: []string{"example.test"}}, false},
		"a suffix":      {x509.Certificate{DNSNames: []string{"evilmail.example.test"}}, false},
		"loopback":      {x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 3, 2, 1)}}, true},
		"an address":    {x509.Certificate{IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}, false},
		"v6 address":    {x509.Certificate{IPAddresses: []net.IP{net.ParseIP("2001:db8::1")}}, false},
		"mail address":  {x509.Certificate{EmailAddresses: []string{"ceo@bank.test"}}, false},
		"URI":           {x509.Certificate{URIs: []*url.URL{uri}}, false},
		"client's role": {x509.Certificate{DNSNames: []string{"mail.example.test"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, false},
	}
	for name, c := range cases {
		cert, _ := sign(t, a, &c.template, a.cert, a.key)
		_, err := cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		if name == "client's role" {
			_, err = cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		}
		if (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Path length 0: no further authority below.
	middle, key := sign(t, a, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, a.cert, a.key)
	leaf, _ := sign(t, a, &x509.Certificate{DNSNames: []string{"mail.example.test"}}, middle, key)
	between := x509.NewCertPool()
	between.AddCert(middle)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between}); err == nil {
		t.Error("an authority below the authority was trusted")
	}
}

func TestCertificatesLastAcrossStarts(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	config := Config{Dir: dir, Names: []string{"mail.example.test"}, Now: func() time.Time { return now }}
	first := open(t, config)
	ca, _ := Public(dir)
	if second := open(t, config); !second.Leaf().Equal(first.Leaf()) {
		t.Error("a second start made another certificate")
	}

	// A name the authority may vouch for: a new certificate, the same authority.
	config.Names = append(config.Names, "imap.mail.example.test")
	if k := open(t, config); k.Leaf().VerifyHostname("imap.mail.example.test") != nil {
		t.Error("the new name is not in the certificate")
	}
	if again, _ := Public(dir); !bytes.Equal(ca, again) {
		t.Error("the authority changed without need")
	}

	// A name beyond it: the authority has to be a new one.
	config.Names = []string{"mail.other.test"}
	if k := open(t, config); k.Leaf().VerifyHostname("mail.other.test") != nil {
		t.Error("the new name is not in the certificate")
	}
	if again, _ := Public(dir); bytes.Equal(ca, again) {
		t.Error("the authority vouches for a name it was not made for")
	}
}

func TestARunningServerRenewsBeforeExpiry(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	k := open(t, Config{Dir: dir, Now: func() time.Time { return now }})
	first := k.Leaf()
	now = first.NotAfter.Add(-renewBefore - time.Hour)
	if c, _ := k.GetCertificate(nil); !c.Leaf.Equal(first) {
		t.Error("renewed too early")
	}
	now = first.NotAfter.Add(-renewBefore + time.Hour)
	c, err := k.GetCertificate(nil)
	if err != nil || c.Leaf.Equal(first) {
		t.Errorf("not renewed: %v", err)
	}
	if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: roots(t, dir), DNSName: "localhost", CurrentTime: now}); err != nil {
		t.Error(err)
	}
}

// own writes a certificate and key as an administrator would bring them.
func own(t *testing.T, dir, name string) (cert, key []byte) {
	t.Helper()
	other := t.TempDir()
	open(t, Config{Dir: other, Names: []string{name}})
	text, err := os.ReadFile(filepath.Join(other, serverFile))
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	return rest, pem.EncodeToMemory(block)
}

func put(t *testing.T, path string, text []byte, when time.Time) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}

func TestOwnFilesAreReadAgainWhenTheyChange(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "chain.pem"), filepath.Join(dir, "key.pem")
	when := time.Now()
	cert, key := own(t, dir, "one.test")
	put(t, certFile, cert, when)
	put(t, keyFile, key, when)
	var log bytes.Buffer
	k := open(t, Config{CertFile: certFile, KeyFile: keyFile, Log: slog.New(slog.NewTextHandler(&log, nil))})
	serves := func(name string) {
		t.Helper()
		c, err := k.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	serves("one.test")

	// The certificate is there before its key: the old pair is served.
	cert, key = own(t, dir, "two.test")
	put(t, certFile, cert, when.Add(time.Second))
	serves("one.test")
	if !bytes.Contains(log.Bytes(), []byte("cannot be used")) {
		t.Error("a pair that does not fit was not logged")
	}
	put(t, keyFile, key, when.Add(2*time.Second))
	serves("two.test")

	os.Remove(certFile)
	serves("two.test")
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(Config{CertFile: "only.pem"}); err == nil {
		t.Error("a certificate without a key was taken")
	}
	if _, err := Open(Config{CertFile: "no.pem", KeyFile: "no.key"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing files: %v", err)
	}
	if _, err := Public(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the first start: %v", err)
	}
	os.WriteFile(filepath.Join(dir, authorityFile), []byte("garbage"), 0o600)
	if _, err := Open(Config{Dir: dir}); err == nil {
		t.Error("a damaged authority was replaced without a word")
	}
}

func TestOneAuthorityForSeveralServers(t *testing.T) {
	dir := t.TempDir()
	servers := [][]string{{"mail.alpha.test", "mta-sts.alpha.test"}, {"mail.beta.test"}}
	issue := func(now time.Time) map[string][]byte {
		t.Helper()
		if err := Issue(dir, now, servers...); err != nil {
			t.Fatal(err)
		}
		files := make(map[string][]byte)
		for _, names := range servers {
			path := filepath.Join(dir, names[0]+".pem")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files[names[0]] = text
			k, err := Open(Config{CertFile: path, KeyFile: path})
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range names {
				if _, err := k.Leaf().Verify(x509.VerifyOptions{Roots: roots(t, dir), DNSName: n, CurrentTime: now}); err != nil {
					t.Errorf("%s: %v", n, err)
				}
			}
			if k.Leaf().VerifyHostname("mail.gamma.test") == nil {
				t.Error("one server has the name of another")
			}
		}
		return files
	}
	now := time.Now()
	before := issue(now)
	if same := issue(now); !maps.EqualFunc(before, same, bytes.Equal) {
		t.Error("the second time made others")
	}
	if later := issue(now.Add(serverLife)); maps.EqualFunc(before, later, bytes.Equal) {
		t.Error("nothing was renewed")
	}
}
