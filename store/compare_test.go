package store_test

import (
	"bytes"
	"io"
)

// sameBytes compares two streams.
func sameBytes(a, b io.Reader) (bool, error) {
	x, err := io.ReadAll(a)
	if err != nil {
		return false, err
	}
	y, err := io.ReadAll(b)
	return bytes.Equal(x, y), err
}
