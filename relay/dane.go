package relay

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/yubin-mail/yubin/internal/resolve"
)

// The usages of TLSA that count between mail servers (RFC 7672 §3.1).
const (
	daneTA = 2 // the certificate of an authority
	daneEE = 3 // the server's own
)

// dane looks up what DNSSEC says of a host's certificate. required is true
// when it says anything, and the connection must then be TLS; usable are the
// records that can be checked (RFC 7672 §2.2).
func (r *Relay) dane(ctx context.Context, h host, addrAuthentic bool) (required bool, usable []resolve.TLSA, v *verdict) {
	if r.NoDANE || !h.mx || !h.authentic || !addrAuthentic {
		return false, nil, nil
	}
	records, authentic, err := r.Resolver.LookupTLSA(ctx, "_"+strconv.Itoa(h.port)+"._tcp."+h.name)
	switch {
	case errors.Is(err, resolve.ErrNoSuchName):
		return false, nil, nil
	case err != nil:
		// RFC 7672 §2.2.1: somebody may be hiding the records.
		return false, nil, later("7.0", "the certificate records (DANE) of %s cannot be looked up", h.name)
	case !authentic || len(records) == 0:
		return false, nil, nil
	}
	for _, t := range records {
		if (t.Usage == daneTA || t.Usage == daneEE) && t.Selector <= 1 && t.Matching <= 2 {
			usable = append(usable, t)
		}
	}
	return true, usable, nil
}

// matches reports whether a record is about cert (RFC 6698 §2.1).
func matches(t resolve.TLSA, cert *x509.Certificate) bool {
	data := cert.Raw
	if t.Selector == 1 {
		data = cert.RawSubjectPublicKeyInfo
	}
	switch t.Matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return hex.EncodeToString(data) == t.Data
}

// verifyDANE checks a handshake against records. names are those that a
// certificate below a trusted authority may have; the server's own
// certificate is good whatever its names and dates are (RFC 7672 §3.1.1).
func verifyDANE(state tls.ConnectionState, records []resolve.TLSA, names []string, now time.Time) error {
	chain := state.PeerCertificates
	if len(chain) == 0 {
		return errors.New("the server has shown no certificate")
	}
	anchors, above := x509.NewCertPool(), x509.NewCertPool()
	for _, t := range records {
		if t.Usage == daneEE {
			if matches(t, chain[0]) {
				return nil
			}
			continue
		}
		for _, cert := range chain {
			if matches(t, cert) {
				anchors.AddCert(cert)
			}
		}
		// An authority may be given whole in DNS and left out of the chain.
		if raw, err := hex.DecodeString(t.Data); err == nil && t.Selector == 0 && t.Matching == 0 {
			if cert, err := x509.ParseCertificate(raw); err == nil {
				anchors.AddCert(cert)
			}
		}
	}
	for _, cert := range chain[1:] {
		above.AddCert(cert)
	}
	options := x509.VerifyOptions{Roots: anchors, Intermediates: above, CurrentTime: now}
	if _, err := chain[0].Verify(options); err != nil {
		return errors.New("no certificate record (DANE) fits the server's certificate")
	}
	if !slices.ContainsFunc(names, func(n string) bool { return n != "" && chain[0].VerifyHostname(n) == nil }) {
		return errors.New("the server's certificate is for another name")
	}
	return nil
}
