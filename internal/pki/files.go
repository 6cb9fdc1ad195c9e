package pki

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/net/idna"
)

// hostNames turns 郵便.example into the A-label a certificate holds.
var hostNames = idna.New(idna.MapForLookup(), idna.StrictDomainName(false))

// writePair writes a key and its certificate to one file that only its owner
// can read.
func writePair(path string, key crypto.Signer, cert *x509.Certificate) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return replace(path, append(text, encode(cert)...), 0o600)
}

func readPair(path string) (tls.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read %s: %w", path, err)
	}
	return pair, nil
}

func encode(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// writePublic keeps ca.pem what the authority's certificate is.
func writePublic(dir string, cert *x509.Certificate) error {
	text := encode(cert)
	if old, err := Public(dir); err == nil && string(old) == string(text) {
		return nil
	}
	return replace(filepath.Join(dir, publicFile), text, 0o644)
}

// replace puts text at path in one step: a reader, or a start after a crash,
// finds the old file or the new one.
func replace(path string, text []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// A stamp changes when one of two files does.
type stamp struct {
	certTime, keyTime time.Time
	certSize, keySize int64
}

func stampOf(cert, key string) (s stamp) {
	if i, err := os.Stat(cert); err == nil {
		s.certTime, s.certSize = i.ModTime(), i.Size()
	}
	if i, err := os.Stat(key); err == nil {
		s.keyTime, s.keySize = i.ModTime(), i.Size()
	}
	return s
}
