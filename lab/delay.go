package lab

import (
	"io"
	"net"
	"sync"
	"time"
)

// A delayed connection is one over a longer distance: whatever passes takes
// a while, in both directions, and nothing waits for what came before it.
type delayed struct {
	net.Conn
	in, out *lag
	left    []byte // received, not read yet
	over    sync.WaitGroup
}

// lag carries octets that arrive later than they were sent.
type lag struct {
	delay time.Duration
	cells chan cell
	gone  chan struct{} // closed when nobody needs what comes any more
	once  sync.Once
}

// cell is what was sent at one moment.
type cell struct {
	octets []byte
	err    error // what ended the direction
	due    time.Time
}

// inFlight is how many cells may be on the way. More than that wait, as they
// would for a window that is full.
const inFlight = 4096

func newLag(d time.Duration) *lag {
	return &lag{delay: d, cells: make(chan cell, inFlight), gone: make(chan struct{})}
}

// send puts something on its way. It reports false when nobody needs it any
// more: a select alone might choose otherwise, and whoever waits for an answer
// would wait for ever.
func (l *lag) send(b []byte, err error) bool {
	select {
	case <-l.gone:
		return false
	default:
	}
	select {
	case l.cells <- cell{append([]byte(nil), b...), err, time.Now().Add(l.delay)}:
		return true
	case <-l.gone:
		return false
	}
}

// receive waits for what comes next until it is due.
func (l *lag) receive() (cell, bool) {
	select {
	case c := <-l.cells:
		t := time.NewTimer(time.Until(c.due))
		defer t.Stop()
		select {
		case <-t.C:
			return c, true
		case <-l.gone:
		}
	case <-l.gone:
	}
	return cell{}, false
}

func (l *lag) cut() { l.once.Do(func() { close(l.gone) }) }

// delay makes each direction of a connection take d.
func delay(conn net.Conn, d time.Duration) net.Conn {
	c := &delayed{Conn: conn, in: newLag(d), out: newLag(d)}
	c.over.Go(c.pull)
	c.over.Go(c.push)
	return c
}

func (c *delayed) pull() {
	b := make([]byte, 32<<10)
	for {
		n, err := c.Conn.Read(b)
		if !c.in.send(b[:n], err) || err != nil {
			return
		}
	}
}

func (c *delayed) push() {
	for {
		next, ok := c.out.receive()
		if !ok {
			return
		}
		if next.err != nil {
			if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
				half.CloseWrite()
			}
			return
		}
		if _, err := c.Conn.Write(next.octets); err != nil {
			return
		}
	}
}

func (c *delayed) Read(b []byte) (int, error) {
	for len(c.left) == 0 {
		next, ok := c.in.receive()
		if !ok {
			return 0, net.ErrClosed
		}
		if c.left = next.octets; len(c.left) == 0 && next.err != nil {
			c.in.cut()
			return 0, next.err
		}
		if next.err != nil {
			c.in.send(nil, next.err) // to be told after the octets
		}
	}
	n := copy(b, c.left)
	c.left = c.left[n:]
	return n, nil
}

func (c *delayed) Write(b []byte) (int, error) {
	if !c.out.send(b, nil) {
		return 0, net.ErrClosed
	}
	return len(b), nil
}

// CloseWrite ends our direction, after what is on its way.
func (c *delayed) CloseWrite() error {
	c.out.send(nil, io.EOF)
	return nil
}

// Close ends both at once, as a connection that is given up is.
func (c *delayed) Close() error {
	c.in.cut()
	c.out.cut()
	err := c.Conn.Close()
	c.over.Wait()
	return err
}
