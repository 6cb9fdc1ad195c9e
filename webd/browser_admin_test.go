package webd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/internal/mailtest"
	"github.com/yubin-mail/yubin/store"
)

// imapClient says lines by hand.
type imapClient struct {
	*testing.T
	net.Conn
	from *bufio.Reader
}

func dialIMAP(t *testing.T, address string) *imapClient {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(windowLimit))
	client := &imapClient{t, c, bufio.NewReader(c)}
	client.hear("* OK")
	return client
}

// say sends a line and reads up to one that begins with reply.
func (c *imapClient) say(line, reply string) {
	c.Helper()
	if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
		c.Fatal(err)
	}
	c.hear(reply)
}

func (c *imapClient) hear(reply string) {
	c.Helper()
	for {
		line, err := c.from.ReadString('\n')
		if err != nil {
			c.Fatalf("waiting for %s: %v", reply, err)
		}
		if strings.HasPrefix(line, reply) {
			return
		}
	}
}

func TestBrowserWatchesSessionsAndEndsThem(t *testing.T) {
	var running atomic.Pointer[mailtest.System]
	site := newLabSite(t, func(c *Config) {
		c.Operation.Sessions = func() (all []LiveSession) {
			for _, conn := range running.Load().Conns() {
				f := conn.Facts()
				all = append(all, LiveSession{ID: f.ID, Proto: "imap", User: f.Login.Address, Device: f.Device, Remote: f.Remote.String(),
					State: f.State.String(), Since: f.Since, Received: f.In, Sent: f.Out})
			}
			return all
		}
		c.Operation.Disconnect = func(id uint64) error {
			for _, conn := range running.Load().Conns() {
				if conn.ID() == id {
					conn.HangUp(listen.ByOperator)
				}
			}
			return nil
		}
		c.Operation.Settings = func() []Setting {
			return []Setting{{Name: "a.long.name.of.a.setting", Value: strings.Repeat("10.0.0.0/8,", 20), Origin: "default", Env: "YUBIN_A_LONG_NAME_OF_A_SETTING"}}
		}
	})
	running.Store(site.system)
	alice, err := site.system.Store.UserByAddress(t.Context(), "alice@example.test")
	if err != nil {
		t.Fatal(err)
	}
	admin := true
	if _, err := site.system.Store.UpdateUser(t.Context(), alice.ID, store.UserChange{Admin: &admin}); err != nil {
		t.Fatal(err)
	}
	w := newWindow(t, site.base)
	w.login("alice@example.test", "secret", "lang=en&theme=light")
	w.visit("/admin")
	w.eval(`window.samePage = true`)
	row := func(user string) string {
		return fmt.Sprintf(`[...document.querySelectorAll("#sessions tr[data-session]")].find(r => r.textContent.includes(%q))`, user)
	}

	// Who comes appears; what changes is changed beneath a finger.
	bob := dialIMAP(t, site.system.IMAP)
	bob.say(`1 LOGIN bob@example.test secret`, "1 OK")
	w.until(row("bob@example.test"))
	w.eval(row("bob@example.test") + `.querySelector("button").focus()`)
	bob.say(`2 ID ("name" "Pigeon <b>Post</b>")`, "2 OK")
	w.until(row("bob@example.test") + `.textContent.includes("Pigeon <b>Post</b>")`)
	bob.say(`2 SELECT INBOX`, "2 OK")
	bob.say(`3 IDLE`, "+")
	w.until(row("bob@example.test") + `.textContent.includes("IDLE")`)
	if at := w.eval(`document.activeElement.closest("tr")?.dataset.session === ` + row("bob@example.test") + `.dataset.session`); at != "true" {
		t.Error("the button has lost the focus")
	}

	// Who goes disappears, and others stay.
	other := dialIMAP(t, site.system.IMAP)
	other.say(`1 LOGIN alice@example.test secret`, "1 OK")
	w.until(row("alice@example.test"))
	other.say(`2 LOGOUT`, "2 OK")
	w.until(`!` + row("alice@example.test") + ` && ` + row("bob@example.test"))
	if w.eval(`window.samePage === true`) != "true" {
		t.Error("the page was loaded again")
	}

	// On a phone it fits, unfolded too, in both languages.
	for _, look := range []string{"en&theme=light", "ja&theme=dark"} {
		w.visit("/admin?lang=" + look)
		w.eval(`document.querySelectorAll("details").forEach(d => d.open = true)`)
		w.look("admin-"+look[:2], 1440, 900, "light")
		w.look("admin-phone-"+look[:2], 390, 844, "light")
		if hidden := w.eval(`(() => { const r = ` + row("bob@example.test") + `.querySelector("button").getBoundingClientRect(); return r.left < 0 || r.right > document.documentElement.clientWidth })()`); hidden != "false" {
			t.Error("the button is out of sight")
		}
	}

	// The button says BYE to the client, and the row goes.
	session := w.eval(row("bob@example.test") + `.dataset.session`)
	w.do(chromedp.Click(`#sessions tr[data-session="` + session + `"] button`))
	bob.hear("* BYE")
	if rest, err := io.ReadAll(bob.from); err != nil || len(rest) > 0 {
		t.Errorf("after BYE: %q, %v", rest, err)
	}
	w.until(`location.hash === "#sessions" && !document.querySelector("#sessions tr[data-session]")`)
}
