package mailauth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// secretSize is that of an HMAC-SHA-256 key.
const secretSize = 32

// Secret is what the senders of forwarded mail are rewritten with (see
// [SRS]). It is made when it is first asked for.
func (r *Keyring) Secret() ([]byte, error) {
	path := filepath.Join(r.Dir, "srs.secret")
	secret, err := os.ReadFile(path)
	switch {
	case err == nil && len(secret) >= secretSize:
		return secret, nil
	case err == nil:
		return nil, fmt.Errorf("%s holds no secret: remove it, and another is made", path)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the secret for forwarding: %w", err)
	}
	secret = make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("keep the secret for forwarding: %w", err)
	}
	if err := writeSecret(path, secret); err != nil {
		return nil, fmt.Errorf("keep the secret for forwarding: %w", err)
	}
	return secret, nil
}
