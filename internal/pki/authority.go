// Package pki gives a mail server a certificate it can start with: a local
// certificate authority, made once and kept, and a server certificate signed
// by it; or the administrator's own files, read again when they change.
//
// The authority can vouch for little on purpose. Whoever imports its
// certificate trusts it for the names it was made for and for loopback, by a
// critical name constraint (RFC 5280 §4.2.1.10), and for nothing else.
//
// It is not an ACME client and it knows no protocol. Start reading at
// keeper.go; authority.go is the part that signs.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The files in the folder. A key and its certificate share a file, so that
// one rename replaces both and a crash cannot part them; ca.pem is a copy
// without the key, for other machines.
const (
	authorityFile = "authority.pem"
	publicFile    = "ca.pem"
	serverFile    = "server.pem"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	serverLife    = 397 * 24 * time.Hour // Apple's clients take up to 398 days from public roots, 825 from local ones
	renewBefore   = 30 * 24 * time.Hour
	backdate      = time.Hour // for clients whose clock is slow
)

// Always valid, whatever the configuration: the ways to say "this machine".
var (
	loopbackName   = "localhost"
	loopbackIPs    = []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}
	loopbackRanges = []*net.IPNet{
		{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
	}
)

// An authority signs the server's certificate.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// subjects are the names a certificate is to be valid for, sorted by kind.
type subjects struct {
	dns []string
	ips []net.IP
}

// sortNames tells host names from addresses, drops doubles and adds loopback.
func sortNames(names []string) (subjects, error) {
	s := subjects{ips: append([]net.IP(nil), loopbackIPs...)}
	seen := map[string]bool{loopbackName: true}
	for _, ip := range loopbackIPs {
		seen[ip.String()] = true
	}
	for _, name := range names {
		name = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
		if ip := net.ParseIP(strings.Trim(name, "[]")); ip != nil {
			if !seen[ip.String()] {
				seen[ip.String()] = true
				s.ips = append(s.ips, ip)
			}
			continue
		}
		if name == "" || seen[name] {
			continue
		}
		ascii, err := hostNames.ToASCII(name)
		if err != nil {
			return subjects{}, fmt.Errorf("%q cannot be a name in a certificate: %w", name, err)
		}
		if !seen[ascii] {
			seen[ascii] = true
			s.dns = append(s.dns, ascii)
		}
	}
	s.dns = append(s.dns, loopbackName)
	return s, nil
}

// newAuthority makes an authority that can vouch for s and loopback only.
func newAuthority(s subjects, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := keyID(key.Public())
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	ranges := append([]*net.IPNet(nil), loopbackRanges...)
	for _, ip := range s.ips {
		if !ip.IsLoopback() {
			ranges = append(ranges, single(ip))
		}
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		// The fingerprint tells apart authorities of several servers in one
		// trust store.
		Subject:               pkix.Name{CommonName: "yubin local authority " + hex.EncodeToString(id[:4])},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityLife),
		SubjectKeyId:          id,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		// A permitted list binds only its own kind of name: without the
		// other two an authority limited to hosts could still sign for any
		// mail address or URI (RFC 5280 §4.2.1.10). Nothing is ever called
		// "invalid" (RFC 6761 §6.4).
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         s.dns,
		PermittedIPRanges:           ranges,
		PermittedEmailAddresses:     []string{"invalid"},
		PermittedURIDomains:         []string{"invalid"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, nil
}

// covers reports whether the authority may vouch for all of s until at least
// the end of a server certificate made now.
func (a *authority) covers(s subjects, now time.Time) bool {
	if a.cert.NotAfter.Before(now.Add(serverLife)) {
		return false
	}
	for _, name := range s.dns {
		permitted := false
		for _, d := range a.cert.PermittedDNSDomains {
			permitted = permitted || name == d || strings.HasSuffix(name, "."+d)
		}
		if !permitted {
			return false
		}
	}
	for _, ip := range s.ips {
		permitted := false
		for _, r := range a.cert.PermittedIPRanges {
			permitted = permitted || r.Contains(ip)
		}
		if !permitted {
			return false
		}
	}
	return true
}

// issue signs a server certificate for s and returns its key and the chain.
func (a *authority) issue(s subjects, now time.Time) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: s.dns[0]},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(serverLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              s.dns,
		IPAddresses:           s.ips,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return key, cert, err
}

// openAuthority reads the authority in dir, or makes one when there is none
// or when the names have outgrown it. made says that it is new.
func openAuthority(dir string, s subjects, now time.Time) (a *authority, made bool, err error) {
	a, err = readAuthority(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, false, err
	case a.covers(s, now):
		return a, false, writePublic(dir, a.cert)
	}
	if a, err = newAuthority(s, now); err != nil {
		return nil, false, fmt.Errorf("make a certificate authority: %w", err)
	}
	if err := writePair(filepath.Join(dir, authorityFile), a.key, a.cert); err != nil {
		return nil, false, err
	}
	return a, true, writePublic(dir, a.cert)
}

func readAuthority(dir string) (*authority, error) {
	pair, err := readPair(filepath.Join(dir, authorityFile))
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("%s is not a certificate authority", filepath.Join(dir, authorityFile))
	}
	return &authority{cert: pair.Leaf, key: key}, nil
}

// Public returns the authority's certificate in dir as PEM, without the key.
// The error is fs.ErrNotExist before the first start.
func Public(dir string) ([]byte, error) {
	return os.ReadFile(filepath.Join(dir, publicFile))
}

// newSerial makes a serial number nobody can guess (RFC 5280 §4.1.2.2).
func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	return n.Add(n, big.NewInt(1)), nil
}

func keyID(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	return sum[:20], nil
}

func single(ip net.IP) *net.IPNet {
	if four := ip.To4(); four != nil {
		return &net.IPNet{IP: four, Mask: net.CIDRMask(32, 32)}
	}
	return &net.IPNet{IP: ip, Mask: net.CIDRMask(128, 128)}
}
