package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// POP3Device is a mail program that fetches by POP3. Deleted or kept is the
// program's setting; POP3 itself only has the command DELE.
type POP3Device struct {
	*gear
	keep bool // leave mail on the server, and remember by UIDL what was fetched

	conn *conversation // nil while offline
	text *textproto.Conn
}

// replyError is a reply that is not +OK.
type replyError string

func (e replyError) Error() string { return string(e) }

// ask sends a command and returns its reply without +OK, and the lines that
// were said.
func (d *POP3Device) ask(format string, args ...any) (string, Ref, error) {
	start := len(d.conn.lines())
	if err := d.text.PrintfLine(format, args...); err != nil {
		return "", Ref{}, err
	}
	reply, err := d.reply()
	return reply, d.conn.since(start), err
}

func (d *POP3Device) reply() (string, error) {
	d.conn.SetDeadline(time.Now().Add(3 * patience))
	line, err := d.text.ReadLine()
	if err != nil {
		return "", err
	}
	rest, ok := strings.CutPrefix(line, "+OK")
	if !ok {
		return line, replyError(line)
	}
	return strings.TrimSpace(rest), nil
}

// LogIn connects and takes the maildrop.
func (d *POP3Device) LogIn(ctx context.Context) error {
	d.setUp("incoming server", "incoming port", "incoming user", "incoming password")
	if d.keep {
		d.setUp("leave on server")
	}
	conn, err := d.open(ctx, "pop3", d.stage.recorder.server.POP3)
	if err != nil {
		return err
	}
	d.conn, d.text = conn, textproto.NewConn(conn)
	if _, err := d.reply(); err != nil {
		return err
	}
	if _, _, err := d.ask("USER %s", d.account.Address); err != nil {
		return err
	}
	_, ref, err := d.ask("PASS %s", d.account.Password)
	if err != nil {
		d.note(refused, ref)
		d.conn.Close()
		d.conn = nil
		return err
	}
	d.note(logIn, ref)
	return nil
}

// Stat asks what is there.
func (d *POP3Device) Stat() (n, octets int64, err error) {
	reply, ref, err := d.ask("STAT")
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscan(reply, &n, &octets); err != nil {
		return 0, 0, fmt.Errorf("STAT: %w", err)
	}
	e := d.note(stat, ref)
	e.n, e.octets = n, octets
	return n, octets, nil
}

// uidls are the unique names of all messages, by number.
func (d *POP3Device) uidls() (map[int64]string, error) {
	start := len(d.conn.lines())
	if _, _, err := d.ask("UIDL"); err != nil {
		return nil, err
	}
	lines, err := d.text.ReadDotLines()
	d.note(uidl, d.conn.since(start)).n = int64(len(lines))
	names := make(map[int64]string)
	for _, line := range lines {
		var n int64
		var name string
		if _, err := fmt.Sscan(line, &n, &name); err != nil {
			return nil, fmt.Errorf("UIDL: %w", err)
		}
		names[n] = name
	}
	return names, err
}

// Retrieve downloads what the device does not have yet and, where that is the
// setting, marks it for deletion.
func (d *POP3Device) Retrieve() error {
	n, _, err := d.Stat()
	if err != nil || n == 0 {
		return err
	}
	var names map[int64]string
	if d.keep {
		if names, err = d.uidls(); err != nil {
			return err
		}
	}
	for i := int64(1); i <= n; i++ {
		if d.keep && d.has(names[i]) {
			continue
		}
		e, err := d.retrieve(i)
		if err != nil {
			return err
		}
		e.key = names[i]
		d.shelf = append(d.shelf, e)
		if !d.keep && e.mail != "" {
			if err := d.delete(i, e.mail); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *POP3Device) has(uidl string) bool {
	return d.count(func(e *entry) bool { return e.key == uidl }) > 0
}

func (d *POP3Device) retrieve(n int64) (*entry, error) {
	start := len(d.conn.lines())
	if _, _, err := d.ask("RETR %d", n); err != nil {
		return nil, err
	}
	raw, err := readDots(d.text)
	if err != nil {
		return nil, err
	}
	e := &entry{folder: inbox, raw: raw, ref: d.conn.since(start)}
	e.mail, e.subject = recognise(raw)
	got := d.note(download, e.ref)
	got.mail, got.octets = e.mail, int64(len(raw))
	return e, nil
}

// readDots reads what follows a status line, its line ends as they came.
func readDots(t *textproto.Conn) ([]byte, error) {
	var b strings.Builder
	for {
		line, err := t.R.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if line == ".\r\n" {
			return []byte(b.String()), nil
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

func (d *POP3Device) delete(n int64, mail string) error {
	_, ref, err := d.ask("DELE %d", n)
	if err == nil {
		e := d.note(remove, ref)
		e.mail = mail
	}
	return err
}

// Top looks at the header of message n and at its first lines.
func (d *POP3Device) Top(n, lines int) error {
	start := len(d.conn.lines())
	if _, _, err := d.ask("TOP %d %d", n, lines); err != nil {
		return err
	}
	raw, err := readDots(d.text)
	e := d.note(peek, d.conn.since(start))
	e.mail, _ = recognise(raw)
	e.octets = int64(len(raw))
	return err
}

// Quit ends the session as it should be: now the server deletes.
func (d *POP3Device) Quit() error {
	_, ref, err := d.ask("QUIT")
	if err != nil {
		return err
	}
	d.note(commit, ref)
	return d.drain()
}

// Cut ends the connection as a broken network does: without QUIT.
func (d *POP3Device) Cut() error {
	last := len(d.conn.lines())
	d.note(cut, Ref{d.conn.id, last, last})
	if half, ok := plain(d.conn.Conn).(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return err
		}
	}
	return d.drain()
}

// drain waits until the server has hung up, and with that given the maildrop
// back: who comes next finds it free.
func (d *POP3Device) drain() error {
	d.conn.SetDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, d.text.R)
	d.conn.Close()
	d.conn = nil
	return err
}

// plain is the connection beneath the tap.
func plain(c net.Conn) net.Conn {
	if w, ok := c.(interface{ NetConn() net.Conn }); ok {
		return w.NetConn()
	}
	return c
}

// Fetch is one round of "get mail": a whole session.
func (d *POP3Device) Fetch(ctx context.Context) error {
	if err := d.LogIn(ctx); err != nil {
		return err
	}
	if err := d.Retrieve(); err != nil {
		return err
	}
	return d.Quit()
}

// Open is between the person and the device: POP3 has no command for it.
func (d *POP3Device) Open(_ context.Context, mail string) error {
	if e := d.find(mail, inbox); e != nil && e.raw != nil {
		e.seen = true
	}
	return nil
}

// Discard moves the mail to the device's own trash. A program that leaves
// mail on the server deletes it there, too, as most can be told to.
func (d *POP3Device) Discard(ctx context.Context, mail string) error {
	e := d.find(mail, inbox)
	if e == nil {
		return nil
	}
	e.folder = trash
	if !d.keep {
		return nil
	}
	if err := d.LogIn(ctx); err != nil {
		return err
	}
	names, err := d.uidls()
	if err != nil {
		return err
	}
	for n := int64(1); n <= int64(len(names)); n++ {
		if names[n] == e.key {
			if err := d.delete(n, mail); err != nil {
				return err
			}
		}
	}
	return d.Quit()
}

// Restore looks into the device's own trash; there is none on the server.
func (d *POP3Device) Restore(ctx context.Context, mail string) error {
	if e := d.find(mail, trash); e != nil {
		e.folder = inbox
		return nil
	}
	return d.Fetch(ctx) // all that can be tried: perhaps it is there still
}

// File makes a folder on the device: POP3 has no folders.
func (d *POP3Device) File(_ context.Context, mail, folder string) error {
	if e := d.find(mail, inbox); e != nil {
		e.folder = folder
	}
	return nil
}

// KeepSent keeps the copy on the device.
func (d *POP3Device) KeepSent(_ context.Context, l letter, raw []byte) error {
	d.shelf = append(d.shelf, &entry{mail: l.id, subject: l.subject.In(d.stage.lang), folder: sent, raw: raw, seen: true})
	return nil
}

// Disconnect is QUIT, when there is a session.
func (d *POP3Device) Disconnect() error {
	if d.conn == nil {
		return nil
	}
	err := d.Quit()
	if d.conn != nil { // it failed before the end
		d.conn.Close()
		d.conn = nil
	}
	return err
}
