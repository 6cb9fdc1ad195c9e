package main

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/webd"
)

func (n *node) listeners() (all []webd.Listener) {
	for _, p := range n.ports {
		all = append(all, webd.Listener{Name: p.name, Address: p.listener.Addr().String(), Secure: p.secure, Open: p.limited.Open(), Refused: p.limited.Refused().All()})
	}
	return all
}

// sessions are the open connections of mail programs and other servers. Where
// the tap keeps what is said on one, Wire says under which number.
func (n *node) sessions() []webd.LiveSession {
	type end struct{ proto, remote string }
	taped := map[end]uint64{}
	for _, s := range n.tap.Open() {
		taped[end{s.Proto, s.Remote}] = s.ID
	}
	all := []webd.LiveSession{}
	for _, p := range n.mail() {
		for _, c := range p.limited.Conns() {
			f := c.Facts()
			remote := f.Remote.String()
			all = append(all, webd.LiveSession{
				ID: f.ID, Proto: p.name, User: f.Login.Address, Device: f.Device, Remote: remote, TLS: f.TLS,
				State: f.State.String(), Since: f.Since.UTC(), Idle: int64(f.Idle / time.Second), Received: f.In, Sent: f.Out, Wire: taped[end{p.name, remote}],
			})
		}
	}
	return all
}

// mail are the open ports that do not speak HTTP.
func (n *node) mail() (all []*port) {
	for _, p := range n.ports {
		if !p.browser {
			all = append(all, p)
		}
	}
	return all
}

var errNoSession = errors.New("there is no such session")

// disconnect ends one of sessions.
func (n *node) disconnect(id uint64) error {
	for _, p := range n.mail() {
		for _, c := range p.limited.Conns() {
			if c.ID() == id {
				n.log.Info("disconnected", "listener", p.name, "conn", id, "remote", c.RemoteAddr(), "user", c.Facts().Login.Address)
				c.HangUp(listen.ByOperator)
				return nil
			}
		}
	}
	return errNoSession
}

// A doorman ends the connections of users who may no longer be here. Servers
// find that out by themselves at the next command; who says nothing has to be
// told.
type doorman struct {
	n      *node
	ctx    context.Context // ends with the service
	cancel context.CancelFunc
}

func newDoorman(n *node) *doorman {
	d := &doorman{n: n}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

func (d *doorman) Serve(net.Listener) error {
	watch := d.n.store.WatchAccess()
	defer watch.Close()
	for {
		select {
		case <-watch.C():
		case <-d.ctx.Done():
			return nil
		}
		if err := d.round(); err != nil && d.ctx.Err() == nil {
			d.n.log.Error("failed", "doing", "see who may stay", "err", err)
			select { // and look again, because nobody calls twice
			case <-time.After(time.Second):
				watch.Again()
			case <-d.ctx.Done():
			}
		}
	}
}

func (d *doorman) Shutdown(context.Context) error {
	d.cancel()
	return nil
}

// round asks for each user once.
func (d *doorman) round() error {
	now := map[int64]int64{} // generations by user; 0 may not log in
	for _, p := range d.n.mail() {
		for _, c := range p.limited.Conns() {
			login := c.Facts().Login
			if login.User == 0 {
				continue
			}
			g, asked := now[login.User]
			if !asked {
				var err error
				g, err = d.n.store.Generation(d.ctx, store.UserID(login.User))
				if errors.Is(err, store.ErrBadCredentials) || errors.Is(err, store.ErrNoSuchUser) {
					g, err = 0, nil
				}
				if err != nil {
					return err
				}
				now[login.User] = g
			}
			if g != login.Generation {
				c.HangUp(listen.Revoked)
			}
		}
	}
	return nil
}
