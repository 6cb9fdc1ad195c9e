package smtpd

import (
	"slices"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// TestMailForOthersIsQueued checks how a forward-path reaches the queue: its
// local part is left alone, its domain is what DNS knows.
func TestMailForOthersIsQueued(t *testing.T) {
	for to, want := range map[string]string{
		"Victor.Hugo@FAR.test.":    "Victor.Hugo@far.test",
		`"Victor Hugo"@far.test`:   `"Victor Hugo"@far.test`,
		"victor@bücher.test":       "victor@xn--bcher-kva.test",
		"victor@[192.0.2.1]":       "victor@[192.0.2.1]",
		"victor@[IPv6:2001:DB8::]": "victor@[ipv6:2001:db8::]",
	} {
		got, err := elsewhere(to)
		if err != nil || !slices.Equal(got, []store.Recipient{{Address: to, Remote: want}}) {
			t.Errorf("%s: %+v %v, want %s", to, got, err, want)
		}
	}
	for _, to := range []string{"victor", "@far.test", "victor@", "victor@[far]"} {
		if got, err := elsewhere(to); err == nil {
			t.Errorf("%q is taken as %+v", to, got)
		}
	}
}
