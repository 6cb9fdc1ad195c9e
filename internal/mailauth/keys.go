package mailauth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// KeyKind is an algorithm for signatures.
type KeyKind string

const (
	RSA     KeyKind = "rsa"     // of 2048 bits; everybody can verify it
	Ed25519 KeyKind = "ed25519" // RFC 8463: small, and not yet verified everywhere
)

// Key is what a domain signs with.
type Key struct {
	Domain   string
	Selector string
	Private  crypto.Signer
}

// GenerateKey makes a private key.
func GenerateKey(kind KeyKind) (crypto.Signer, error) {
	switch kind {
	case RSA:
		return rsa.GenerateKey(rand.Reader, 2048)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("there is no key of kind %q: it is %s or %s", kind, RSA, Ed25519)
}

// MarshalKey writes a private key as PEM (PKCS #8).
func MarshalKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseKey reads a private key that MarshalKey, openssl or opendkim-genkey has
// written.
func ParseKey(octets []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(octets)
	if block == nil {
		return nil, errors.New("read a private key: it is not PEM")
	}
	var key any
	var err error
	if block.Type == "RSA PRIVATE KEY" {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	} else {
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("read a private key: %w", err)
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < minRSA {
			return nil, errors.New("read a private key: it has less than 1024 bits, and nobody would believe it")
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, fmt.Errorf("read a private key: %T signs no mail", key)
}

// Kind is the key's algorithm, "" when it is neither.
func (k Key) Kind() KeyKind {
	switch k.Private.(type) {
	case *rsa.PrivateKey:
		return RSA
	case ed25519.PrivateKey:
		return Ed25519
	}
	return ""
}

// Name is where the key's record belongs.
func (k Key) Name() string { return k.Selector + "._domainkey." + k.Domain }

// Text is the value of the TXT record, in one piece.
func (k Key) Text() string {
	var octets []byte
	switch key := k.Private.Public().(type) {
	case *rsa.PublicKey:
		octets, _ = x509.MarshalPKIXPublicKey(key) // cannot fail for this type
	case ed25519.PublicKey:
		octets = key
	}
	return "v=DKIM1; k=" + string(k.Kind()) + "; p=" + base64.StdEncoding.EncodeToString(octets)
}

// DNSRecord is the record as a zone file has it. A string of a TXT record
// holds 255 octets (RFC 1035 §3.3), so the value comes in several, which
// readers join.
func (k Key) DNSRecord() string {
	var pieces []string
	for piece := range slices.Chunk([]byte(k.Text()), 250) {
		pieces = append(pieces, `"`+string(piece)+`"`)
	}
	value := pieces[0]
	if len(pieces) > 1 {
		value = "( " + strings.Join(pieces, "\n\t\t\t") + " )"
	}
	return k.Name() + ".\t3600\tIN\tTXT\t" + value + "\n"
}

// sign signs a SHA-256 digest.
func (k Key) sign(digest []byte) ([]byte, error) {
	options := crypto.SHA256
	if k.Kind() == Ed25519 {
		options = 0 // RFC 8463 §3: the digest is what is signed
	}
	return k.Private.Sign(rand.Reader, digest, options)
}
