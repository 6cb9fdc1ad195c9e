package mailauth

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"
)

// Sizes of RSA keys that we believe (RFC 8301 §3.2) and can afford.
const (
	minRSA = 1024
	maxRSA = 8192
)

// publicKey is what a domain has published for a selector (RFC 6376 §3.6.1).
type publicKey struct {
	key     crypto.PublicKey
	exact   bool // t=s: the identity is the domain itself
	testing bool // t=y
}

// lookupKey asks DNS for the key of an algorithm.
func lookupKey(ctx context.Context, l *lookups, selector, domain, algorithm string) (publicKey, *problem) {
	name := asciiName(selector + "._domainkey." + domain)
	if name == "" {
		return publicKey{}, permanent("no such selector is possible")
	}
	records, err := l.LookupTXT(ctx, name)
	switch {
	case notFound(err):
		return publicKey{}, permanent("there is no key in DNS")
	case temporary(err):
		return publicKey{}, &problem{TempError, "the key could not be fetched"}
	case err != nil:
		return publicKey{}, permanent("the key could not be fetched")
	}
	// What else a wildcard puts there is no key. Of two keys, RFC 6376
	// §3.6.2.2 leaves open which one counts.
	var found []map[string]string
	for _, r := range records {
		if tags, ok := parseTags(r); ok {
			if _, ok := tags["p"]; ok && (tags["v"] == "" || tags["v"] == "DKIM1") {
				found = append(found, tags)
			}
		}
	}
	switch len(found) {
	case 0:
		return publicKey{}, permanent("there is no key in DNS")
	case 1:
		return parseKey(found[0], algorithm)
	}
	return publicKey{}, permanent("there is more than one key in DNS")
}

// parseKey reads a key record for a signature of the given algorithm.
func parseKey(tags map[string]string, algorithm string) (publicKey, *problem) {
	kind, digest, _ := strings.Cut(algorithm, "-")
	recorded := tags["k"]
	if recorded == "" {
		recorded = "rsa"
	}
	switch {
	case compact(tags["p"]) == "":
		return publicKey{}, permanent("the key has been revoked")
	case recorded != kind:
		return publicKey{}, permanent("the key is of another kind")
	case tags["h"] != "" && !slices.Contains(colonList(tags["h"]), digest):
		return publicKey{}, permanent("the key is not for this hash")
	case tags["s"] != "" && !slices.Contains(colonList(tags["s"]), "*") && !slices.Contains(colonList(tags["s"]), "email"):
		return publicKey{}, permanent("the key is not for mail")
	}
	octets, err := base64.StdEncoding.DecodeString(compact(tags["p"]))
	if err != nil {
		return publicKey{}, permanent("the key is not base64")
	}
	flags := colonList(tags["t"])
	k := publicKey{exact: slices.Contains(flags, "s"), testing: slices.Contains(flags, "y")}
	if kind == "ed25519" {
		if len(octets) != ed25519.PublicKeySize {
			return publicKey{}, permanent("the key has the wrong size")
		}
		k.key = ed25519.PublicKey(octets)
		return k, nil
	}
	// RFC 6376 says SubjectPublicKeyInfo in one place and RSAPublicKey in
	// another; both are out there.
	parsed, err := x509.ParsePKIXPublicKey(octets)
	if err != nil {
		parsed, err = x509.ParsePKCS1PublicKey(octets)
	}
	key, ok := parsed.(*rsa.PublicKey)
	switch {
	case err != nil || !ok:
		return publicKey{}, permanent("the key cannot be read")
	case key.N.BitLen() < minRSA:
		return publicKey{}, &problem{Refused, "the key has less than 1024 bits"}
	case key.N.BitLen() > maxRSA:
		return publicKey{}, &problem{Refused, "the key has more than 8192 bits"}
	}
	k.key = key
	return k, nil
}

// verifies reports whether sig is this key's signature of a SHA-256 digest.
func (k publicKey) verifies(digest, sig []byte) bool {
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, sig) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(key, digest, sig) // RFC 8463 §3
	}
	return false
}
