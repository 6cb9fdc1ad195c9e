package mailauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Signer signs what our users send. It is for concurrent use.
type Signer struct {
	// Keys are the keys of a domain. Its subdomains use them too, unless they
	// have their own. Nil, or none, leaves messages unsigned.
	Keys func(domain string) []Key
	Now  func() time.Time // nil is time.Now
}

// ownHeader is the largest header that is signed: more than any user may send.
const ownHeader = 1 << 20

// once are fields of which there may be one. They are named once more than
// they occur, so that nobody can add another (RFC 6376 §8.15).
var once = []string{"From", "Subject", "Date", "To", "Content-Type"}

// others are signed as often as they occur (RFC 6376 §5.4.1).
var others = []string{
	"Sender", "Reply-To", "Cc", "Message-ID", "In-Reply-To", "References",
	"MIME-Version", "Content-Transfer-Encoding", "Content-Disposition", "Content-ID",
	"List-ID", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner", "List-Archive",
}

// Sign returns a DKIM-Signature field for each key of the domain in From, to
// be put above the header. It returns none when there is no key. The message
// is read once.
func (s *Signer) Sign(ctx context.Context, fromDomain string, raw io.ReaderAt, size int64) ([]byte, error) {
	keys := s.keysFor(fromDomain)
	if len(keys) == 0 {
		return nil, nil
	}
	all, sum, err := s.read(ctx, raw, size)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	var out []byte
	for _, k := range keys {
		signed, err := s.messageSignature("DKIM-Signature", "v=1;", k, all, sum, signedNames(all, nil))
		if err != nil {
			return nil, fmt.Errorf("sign for %s: %w", k.Name(), err)
		}
		out = append(out, signed...)
	}
	return out, nil
}

// keysFor finds the keys of a domain, or of the nearest one above it.
func (s *Signer) keysFor(domain string) []Key {
	domain = asciiName(domain)
	for s.Keys != nil && strings.Contains(domain, ".") {
		if keys := s.Keys(domain); len(keys) > 0 {
			return keys
		}
		_, domain, _ = strings.Cut(domain, ".")
	}
	return nil
}

// read reads a message that is to be signed: its fields, and its body's hash.
func (s *Signer) read(ctx context.Context, raw io.ReaderAt, size int64) ([]field, []byte, error) {
	header, start, err := readHeader(raw, size, ownHeader)
	if err != nil {
		return nil, nil, err
	}
	hashes := make(bodies)
	hashes.need(relaxed)
	if err := hashes.read(ctx, raw, start, size); err != nil {
		return nil, nil, err
	}
	return fields(header), hashes.sums()[relaxed].hash, nil
}

// signedNames is h=: the fields to sign, and more.
func signedNames(all []field, more []string) []string {
	count := make(map[string]int)
	for _, f := range all {
		count[f.name]++
	}
	var names []string
	for _, name := range once {
		for range count[strings.ToLower(name)] + 1 {
			names = append(names, name)
		}
	}
	for _, name := range append(others[:len(others):len(others)], more...) {
		for range count[strings.ToLower(name)] {
			names = append(names, name)
		}
	}
	return names
}

// messageSignature makes a signature over fields and a body, in relaxed form.
func (s *Signer) messageSignature(name, version string, k Key, all []field, bodySum []byte, names []string) ([]byte, error) {
	var f folded
	f.add("", name+":")
	f.add(" ", version)
	s.addKey(&f, k)
	f.add(" ", "c=relaxed/relaxed;")
	f.add(" ", "h="+names[0])
	for _, n := range names[1:] {
		f.add("", ":"+n)
	}
	f.b.WriteByte(';')
	f.add(" ", "bh="+base64.StdEncoding.EncodeToString(bodySum)+";")
	h := sha256.New()
	hashNamed(h, relaxed, all, names)
	return f.sign(k, func(raw []byte) []byte {
		hashLast(h, relaxed, raw)
		return h.Sum(nil)
	})
}

// addKey writes the tags that name the key, and the time.
func (s *Signer) addKey(f *folded, k Key) {
	now := time.Now()
	if s.Now != nil {
		now = s.Now()
	}
	f.add(" ", "a="+string(k.Kind())+"-sha256;")
	f.add(" ", "d="+asciiName(k.Domain)+";")
	f.add(" ", "s="+k.Selector+";")
	f.add(" ", "t="+strconv.FormatInt(now.Unix(), 10)+";")
}

var errKey = errors.New("the key is of no kind that signs mail")

// sign ends the field with b=. digest hashes the field as it is before that.
func (f *folded) sign(k Key, digest func(raw []byte) []byte) ([]byte, error) {
	if k.Kind() == "" {
		return nil, errKey
	}
	f.fold()
	f.add("", "b=")
	octets, err := k.sign(digest([]byte(f.b.String() + "\r\n")))
	if err != nil {
		return nil, err
	}
	f.addLong(base64.StdEncoding.EncodeToString(octets))
	f.b.WriteString("\r\n")
	return []byte(f.b.String()), nil
}
