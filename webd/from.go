package webd

import (
	"regexp"
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// The author of a letter: one of the user's addresses. Whoever has only one
// is not asked.

// fromChoice is an address that a letter can be from.
type fromChoice struct {
	Address, Text string
	Chosen        bool
}

// fromChoices are what the form offers: nothing while there is one address.
func (v *visit) fromChoices(chosen string) ([]fromChoice, error) {
	all, err := v.s.Store.Senders(v.Context(), v.user.ID)
	if err != nil {
		return nil, err
	}
	if chosen == "" {
		chosen = v.user.Address
	}
	if !slices.Contains(all, chosen) { // a "+detail" of one of them
		all = append(all, chosen)
	}
	if len(all) < 2 {
		return nil, nil
	}
	var choices []fromChoice
	for _, a := range all {
		from := author(v.user)
		from.Mailbox, from.Host = cutAddress(a)
		choices = append(choices, fromChoice{a, typed([]message.Address{from}), a == chosen})
	}
	return choices, nil
}

// from is the author of a letter whose form says address; "" is the user's
// own. It answers errNotYours.
func (v *visit) from(address string) (message.Address, error) {
	from := author(v.user)
	if address != "" {
		from.Mailbox, from.Host = cutAddress(address)
	}
	_, err := v.s.sender(v.Context(), v.user.ID, from)
	return from, err
}

func cutAddress(address string) (mailbox, host string) {
	at := strings.LastIndexByte(address, '@')
	return address[:max(at, 0)], address[at+1:]
}

// envelopeTo is the recipient that a trace field names.
var envelopeTo = regexp.MustCompile(`(?i)\sfor\s+<([^<>\s]+)>`)

// addressedTo is the address of the user's that a message was sent to, or ""
// when it does not say, as with a blind copy that went to several.
func (v *visit) addressedTo(m *store.Message) string {
	for _, a := range slices.Concat(m.Envelope.To, m.Envelope.Cc) {
		if address := v.ownAddress(requoted(a)); address != "" {
			return address
		}
	}
	if received := message.Field(m.Header, "Received"); len(received) > 0 { // the topmost is ours
		if to := envelopeTo.FindStringSubmatch(received[0]); to != nil {
			return v.ownAddress(to[1])
		}
	}
	return ""
}

// ownAddress is an address in its canonical form when the user may send from
// it, else "".
func (v *visit) ownAddress(address string) string {
	canonical, err := store.CanonicalAddress(address)
	if err != nil {
		return ""
	}
	if may, err := v.s.Store.MaySend(v.Context(), v.user.ID, address); err != nil || !may {
		return ""
	}
	return canonical
}
