package mailauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrTemporary says that a chain cannot be continued now, because DNS did not
// answer when it was checked: sealing it as failed would be for ever.
var ErrTemporary = errors.New("the ARC chain could not be checked yet")

// Seal returns the three fields of the next ARC instance, to be put above the
// header of a message that we hand on for domain (RFC 8617 §5.1). The results
// are those of the message as it came; raw is the message as it leaves. It
// returns none when there is no key, when the chain is at its end, or when it
// was sealed as failed before.
func (s *Signer) Seal(ctx context.Context, domain string, r Results, raw io.ReaderAt, size int64) ([]byte, error) {
	key, ok := s.sealingKey(domain)
	switch {
	case !ok || r.ARC.closed || r.ARC.last >= maxInstance:
		return nil, nil
	case r.ARC.Temporary:
		return nil, ErrTemporary
	}
	all, sum, err := s.read(ctx, raw, size)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	c := parseChain(all)
	if c.last != r.ARC.last {
		return nil, errors.New("seal: the results are of another message")
	}
	i := "i=" + strconv.Itoa(c.last+1) + ";"

	var f folded
	f.add("", "ARC-Authentication-Results:")
	f.add(" ", i)
	r.write(&f)
	f.b.WriteString("\r\n")
	results := []byte(f.b.String())

	message, err := s.messageSignature("ARC-Message-Signature", i, key, all, sum, signedNames(all, []string{"DKIM-Signature"}))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	seal, err := s.seal(i, key, r.ARC.Value, c, results, message)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return append(append(seal, message...), results...), nil
}

// seal makes the ARC-Seal field.
func (s *Signer) seal(i string, key Key, cv Value, c *chain, results, message []byte) ([]byte, error) {
	var f folded
	f.add("", "ARC-Seal:")
	f.add(" ", i)
	s.addKey(&f, key)
	f.add(" ", "cv="+string(cv)+";")
	return f.sign(key, func(raw []byte) []byte {
		own := arcFields{
			results: []field{{raw: results}},
			message: []field{{raw: message}},
			seal:    []field{{raw: raw}},
		}
		sets := append(c.sets[:len(c.sets):len(c.sets)], own)
		if cv == Fail { // RFC 8617 §5.1.2: the sets below may not even be whole
			sets = sets[len(sets)-1:]
		}
		h := sha256.New()
		hashSets(h, sets)
		return h.Sum(nil)
	})
}

// sealingKey is an RSA key if there is one: seals are read by those who come
// later, and not all of them know more.
func (s *Signer) sealingKey(domain string) (key Key, ok bool) {
	for _, k := range s.keysFor(domain) {
		if !ok || k.Kind() == RSA {
			key, ok = k, true
		}
	}
	return key, ok
}
