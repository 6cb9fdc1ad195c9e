package mailauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"slices"
	"strconv"
	"strings"
	"time"
)

// signature is a DKIM-Signature (RFC 6376 §3.5), an ARC-Message-Signature or
// an ARC-Seal (RFC 8617 §4.1): one syntax, with different tags required.
type signature struct {
	field     field
	tags      map[string]string
	algorithm string
	domain    string // lower case, A-labels
	selector  string
	identity  string // i= of DKIM; its domain lies within domain
	names     []string
	header    canonical
	body      canonical
	length    int64 // l=; -1 is the whole body
	bodyHash  []byte
	octets    []byte
	expires   time.Time // zero is never
}

// parseSignature reads what all three kinds have.
func parseSignature(f field) (*signature, *problem) {
	s := &signature{field: f, length: -1}
	tags, ok := parseTags(f.value())
	if !ok {
		return s, permanent("the signature cannot be read")
	}
	s.tags = tags
	s.domain, s.selector = asciiName(compact(tags["d"])), compact(tags["s"])
	s.algorithm = compact(tags["a"])
	switch {
	case s.domain == "" || s.selector == "":
		return s, permanent("the signature names no key")
	case s.algorithm == "rsa-sha1":
		return s, &problem{Refused, "SHA-1 proves nothing"} // RFC 8301 §3.1
	case s.algorithm != "rsa-sha256" && s.algorithm != "ed25519-sha256":
		return s, permanent("the algorithm is unknown")
	}
	var err error
	if s.octets, err = base64.StdEncoding.DecodeString(compact(tags["b"])); err != nil || len(s.octets) == 0 {
		return s, permanent("the signature is not base64")
	}
	return s, nil
}

// parseMessageSignature reads a signature over fields and a body.
func parseMessageSignature(f field) (*signature, *problem) {
	s, p := parseSignature(f)
	if p != nil {
		return s, p
	}
	s.names = colonList(s.tags["h"])
	if !slices.ContainsFunc(s.names, func(n string) bool { return strings.EqualFold(n, "from") }) {
		return s, permanent("From is not signed")
	}
	header, body, _ := strings.Cut(compact(s.tags["c"]), "/")
	s.header, s.body = canonical(header), canonical(body)
	if s.header == "" {
		s.header = simple
	}
	if s.body == "" {
		s.body = simple
	}
	if s.header != simple && s.header != relaxed || s.body != simple && s.body != relaxed {
		return s, permanent("the canonical form is unknown")
	}
	var err error
	if s.bodyHash, err = base64.StdEncoding.DecodeString(compact(s.tags["bh"])); err != nil || len(s.bodyHash) != sha256.Size {
		return s, permanent("the body's hash is not one")
	}
	if q := s.tags["q"]; q != "" && !slices.Contains(colonList(q), "dns/txt") {
		return s, permanent("the key is not in DNS")
	}
	if l, ok := s.tags["l"]; ok {
		if s.length, err = strconv.ParseInt(compact(l), 10, 64); err != nil || s.length < 0 {
			return s, permanent("the body's length is not a number")
		}
	}
	return s, s.parseTimes()
}

func (s *signature) parseTimes() *problem {
	var times [2]int64
	for i, name := range []string{"t", "x"} {
		text, ok := s.tags[name]
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(compact(text), 10, 63)
		if err != nil {
			return permanent("its time is not a number")
		}
		times[i] = int64(min(n, 1<<40)) // RFC 6376 §3.5: prepare for more
	}
	if _, ok := s.tags["x"]; ok {
		if times[1] < times[0] {
			return permanent("it expires before it was made")
		}
		s.expires = time.Unix(times[1], 0)
	}
	return nil
}

// digest hashes the signed fields and the signature itself.
func (s *signature) digest(all []field) []byte {
	h := sha256.New()
	hashNamed(h, s.header, all, s.names)
	hashLast(h, s.header, s.field.raw)
	return h.Sum(nil)
}

// hashNamed hashes fields as h= names them.
func hashNamed(h hash.Hash, form canonical, all []field, names []string) {
	p := newPicker(all)
	var b []byte
	for _, name := range names {
		if f, ok := p.pick(name); ok {
			b = form.appendField(b[:0], f.raw)
			h.Write(b)
		}
	}
}

// hashLast hashes the signature's own field: without its value of b=, and
// without the line end.
func hashLast(h hash.Hash, form canonical, raw []byte) {
	b := form.appendField(nil, []byte(withoutSignature(string(raw))))
	h.Write(trimLineEnd(b))
}

func trimLineEnd(b []byte) []byte {
	if n := len(b); n >= 2 && b[n-2] == '\r' && b[n-1] == '\n' {
		return b[:n-2]
	}
	return b
}

// bodySums are the hashes of a body, and its sizes, in the forms that were
// asked for.
type bodySums map[canonical]bodySum

type bodySum struct {
	hash []byte
	size int64
}

func (b bodies) sums() bodySums {
	sums := make(bodySums)
	for form, one := range b {
		hash := one.sum()
		sums[form] = bodySum{hash, one.size}
	}
	return sums
}

// check verifies a signature over fields and a body.
func (s *signature) check(ctx context.Context, l *lookups, all []field, sums bodySums, now time.Time) *problem {
	key, p := lookupKey(ctx, l, s.selector, s.domain, s.algorithm)
	if p != nil {
		return p
	}
	p = s.checkWith(key, all, sums, now)
	if p != nil && p.value == Fail && key.testing {
		p = &problem{Neutral, p.reason + ", but its domain is testing"} // RFC 6376 §3.6.1, t=y
	}
	return p
}

func (s *signature) checkWith(key publicKey, all []field, sums bodySums, now time.Time) *problem {
	sum := sums[s.body]
	switch {
	case key.exact && s.identity != "" && domainOf(s.identity) != s.domain:
		return permanent("the key is not for subdomains")
	case s.length >= 0 && s.length < sum.size:
		return &problem{Refused, "only a part of the body is signed"}
	case s.length > sum.size:
		return failed("the body is shorter than what was signed")
	case subtle.ConstantTimeCompare(sum.hash, s.bodyHash) != 1:
		return failed("the body has been changed")
	case !key.verifies(s.digest(all), s.octets):
		return failed("the signature does not fit the header")
	case !s.expires.IsZero() && now.After(s.expires):
		return failed("the signature has expired")
	}
	return nil
}

// domainOf is the domain of an address, lower case and in A-labels.
func domainOf(address string) string {
	return asciiName(address[strings.LastIndexByte(address, '@')+1:])
}

// within reports whether name is domain or below it.
func within(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}
