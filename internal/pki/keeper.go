package pki

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Config says where a certificate comes from.
type Config struct {
	// Dir keeps the local authority and what it signed. It is made when it
	// is missing.
	Dir string
	// Names are the host names and addresses of the server. Loopback is
	// always among them.
	Names []string
	// CertFile and KeyFile are the administrator's own certificate chain and
	// key in PEM. When they are set the local authority is not used.
	CertFile, KeyFile string
	// Log hears of renewals and reloads; nil discards.
	Log *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// A Keeper has a certificate ready for every handshake: it renews its own
// before they expire and reads the administrator's again when they change.
// It may be used by several goroutines.
type Keeper struct {
	config   Config
	subjects subjects

	mu      sync.Mutex
	current *tls.Certificate
	stamp   stamp // of the administrator's files when they were last read
}

// Open reads the certificate, or makes an authority and a certificate on the
// first start.
func Open(c Config) (*Keeper, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return nil, fmt.Errorf("a certificate needs its key and a key its certificate: give both files or neither")
	}
	k := &Keeper{config: c}
	if c.CertFile != "" {
		k.stamp = stampOf(c.CertFile, c.KeyFile)
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificate: %w", err)
		}
		k.current = &cert
		return k, nil
	}
	var err error
	if k.subjects, err = sortNames(c.Names); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	return k, k.renew()
}

// TLS returns a configuration for a server's listener.
func (k *Keeper) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: k.GetCertificate}
}

// Leaf is the server's certificate as it is now.
func (k *Keeper) Leaf() *x509.Certificate {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current.Leaf
}

// GetCertificate serves a handshake (see [tls.Config]). A renewal or reload
// that fails is logged and the certificate at hand is used on: a server that
// is reachable with an old certificate is better than one that is not.
func (k *Keeper) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.config.CertFile != "" {
		k.reload()
	} else if k.config.Now().After(k.current.Leaf.NotAfter.Add(-renewBefore)) {
		if err := k.renew(); err != nil {
			k.config.Log.Error("certificate could not be renewed", "err", err)
		}
	}
	return k.current, nil
}

// renew makes k.current a certificate of the local authority that fits the
// names and is not about to expire, the one on disk when it does.
func (k *Keeper) renew() error {
	now := k.config.Now()
	a, made, err := openAuthority(k.config.Dir, k.subjects, now)
	if err != nil {
		return err
	}
	if made {
		k.config.Log.Info("made a local certificate authority", "names", k.subjects.dns, "until", a.cert.NotAfter)
	}
	pair, made, err := a.certificate(filepath.Join(k.config.Dir, serverFile), k.subjects, now)
	if err != nil {
		return err
	}
	if made {
		k.config.Log.Info("made a server certificate", "names", k.subjects.dns, "until", pair.Leaf.NotAfter)
	}
	k.current = &pair
	return nil
}

// certificate reads the server certificate for s at path, or makes one when
// there is none that fits. made says that it is new.
func (a *authority) certificate(path string, s subjects, now time.Time) (pair tls.Certificate, made bool, err error) {
	if pair, err := readPair(path); err == nil && a.fits(pair.Leaf, s, now) {
		return pair, false, nil
	}
	key, cert, err := a.issue(s, now)
	if err != nil {
		return pair, false, fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}, true, writePair(path, key, cert)
}

// Issue makes one authority in dir for several servers, and a certificate for
// each of them, with its key, in a file called after the first of its names.
// What is there and fits stays.
func Issue(dir string, now time.Time, servers ...[]string) error {
	all, err := sortNames(slices.Concat(servers...))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	a, _, err := openAuthority(dir, all, now)
	if err != nil {
		return err
	}
	for _, names := range servers {
		s, err := sortNames(names)
		if err != nil {
			return err
		}
		if _, _, err := a.certificate(filepath.Join(dir, s.dns[0]+".pem"), s, now); err != nil {
			return err
		}
	}
	return nil
}

func (a *authority) fits(leaf *x509.Certificate, s subjects, now time.Time) bool {
	if leaf.CheckSignatureFrom(a.cert) != nil || now.After(leaf.NotAfter.Add(-renewBefore)) || now.Before(leaf.NotBefore) {
		return false
	}
	var ips []string
	for _, ip := range leaf.IPAddresses {
		ips = append(ips, ip.String())
	}
	for _, ip := range s.ips {
		if !slices.Contains(ips, ip.String()) {
			return false
		}
	}
	return len(ips) == len(s.ips) && slices.Equal(leaf.DNSNames, s.dns)
}

// reload reads the administrator's files when either has changed. They are
// two files and change one after the other: a pair that does not fit is
// tried again once the second has changed too.
func (k *Keeper) reload() {
	s := stampOf(k.config.CertFile, k.config.KeyFile)
	if s == k.stamp {
		return
	}
	k.stamp = s
	cert, err := tls.LoadX509KeyPair(k.config.CertFile, k.config.KeyFile)
	if err != nil {
		k.config.Log.Warn("the changed certificate cannot be used, the old one stays", "err", err)
		return
	}
	k.current = &cert
	k.config.Log.Info("certificate read again", "file", k.config.CertFile, "until", cert.Leaf.NotAfter)
}

// Current returns the certificate that the local authority in dir has signed
// last, without changing anything. The error is fs.ErrNotExist before the
// first start.
func Current(dir string) (*x509.Certificate, error) {
	pair, err := readPair(filepath.Join(dir, serverFile))
	return pair.Leaf, err
}
