package lab

import (
	"errors"
	"net"
	"testing"
	"time"
)

// TestNothingLeavesAClosedConnection writes to connections over a distance
// after they were closed. Each attempt has to fail: a client that thinks that
// its command is on the way waits for the answer.
func TestNothingLeavesAClosedConnection(t *testing.T) {
	for range 100 {
		near, far := net.Pipe()
		c := delay(near, time.Millisecond)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Write([]byte("a1 LOGOUT\r\n")); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Fatalf("wrote %d octets: %v", n, err)
		}
		far.Close()
	}
}
