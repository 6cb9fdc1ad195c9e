package relay

import (
	"context"

	"github.com/yubin-mail/yubin/wiretap"
)

// tapSender tells whoever records conversations that the mail of a sender
// goes over c now. It is a user's when it is theirs alone to send from; what
// others send through here, such as mail for an alias, nobody has agreed to
// show. The null sender is this server, which writes notices.
func (r *Relay) tapSender(ctx context.Context, c *conn, sender string) {
	if !r.Tap.Enabled() {
		return
	}
	if sender == "" {
		wiretap.Sender(c.nc, wiretap.Postmaster, true)
		return
	}
	address, optedIn := sender, false
	if found, err := r.Store.Resolve(ctx, sender); err == nil && len(found) == 1 && found[0].User != 0 {
		id := found[0].User
		if may, err := r.Store.MaySend(ctx, id, sender); err == nil && may {
			if u, err := r.Store.User(ctx, id); err == nil {
				address, optedIn = u.Address, u.Tap
			}
		}
	}
	wiretap.Sender(c.nc, address, optedIn)
}

// tapNobody tells it that the mail is over: what follows belongs to the
// connection.
func (c *conn) tapNobody() { wiretap.Sender(c.nc, "", true) }
