package pop3d

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// capa says what this server can do on this connection (RFC 2449 §5). Apart
// from EXPIRE the list does not depend on the state: the RFCs let most
// capabilities not differ between the two (RFC 2449 §6).
func (s *session) capa([]string) reply {
	capabilities := []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "LANG"}
	add := func(c string) { capabilities = append(capabilities, c) }

	// USER in the name: addresses may be UTF-8 (RFC 6856 §2.2).
	add("UTF8 USER")
	if s.mayLogin() { // RFC 2449 §6.2
		add("USER")
	}
	if m := s.mechanisms(); len(m) > 0 {
		add("SASL " + strings.Join(m, " "))
	}
	if s.TLS != nil && !s.secure() { // RFC 2595 §4
		add("STLS")
	}
	if expire, err := s.expire(); err == nil {
		add("EXPIRE " + expire)
	} else {
		s.log.Error("failed", "verb", s.verb, "err", err)
	}
	if s.logins.delay > 0 {
		add(fmt.Sprintf("LOGIN-DELAY %d", s.logins.delay/time.Second))
	}
	if s.Implementation != "" {
		add("IMPLEMENTATION " + s.Implementation)
	}

	r := ok(capabilityList)
	r.body = func(w *bufio.Writer) error {
		for _, c := range capabilities {
			w.WriteString(c + "\r\n")
		}
		return nil
	}
	return r
}

// expire is how long mail that was left here stays (RFC 2449 §6.7): what the
// user's policy says, before login the shortest of all users'.
func (s *session) expire() (string, error) {
	if s.drop != nil {
		if p := s.drop.User.POP3; p.Kind == store.POP3KeepDays {
			return fmt.Sprint(p.Days), nil
		}
		return "NEVER", nil
	}
	days, differ, err := s.Store.SmallestExpire(s.ctx)
	if err != nil || days == 0 {
		return "NEVER", err
	}
	if differ {
		return fmt.Sprintf("%d USER", days), nil
	}
	return fmt.Sprint(days), nil
}
