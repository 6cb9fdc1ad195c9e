package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/internal/pki"
)

// A letter is what `yubin send` makes a message of.
type letter struct {
	from, subject string
	to            []string
	text          []byte
	attach        []string
}

func (p *program) sendCommand() *cobra.Command {
	var l letter
	var server, user string
	c := &cobra.Command{
		Use:     "send --to ADDRESS [--subject TEXT] <text",
		Short:   "Send a mail by SMTP to the running server",
		Long:    "Send a mail by SMTP to the running server; the text comes from standard input.\nWithout --user it arrives as from another server; with --user it is submitted, over TLS.",
		Example: "  echo hello | yubin send --to alice@example.test --subject hello\n  yubin send --to alice@example.test --attach photo.jpg </dev/null",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(l.to) == 0 {
				return exit{exitUsage, errors.New(p.say("say to whom, with --to"))}
			}
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			if err := p.compose(&l, cfg, user); err != nil {
				return err
			}
			d, err := p.route(cfg, server, user)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
			defer cancel()
			answer, err := d.deliver(ctx, l)
			if err != nil {
				return verbatim(err)
			}
			p.tell("Sent to %s: %s", strings.Join(l.to, ", "), answer)
			return nil
		},
	}
	f := c.Flags()
	f.StringSliceVar(&l.to, "to", nil, "Recipient; repeat it for several.")
	f.StringVar(&l.subject, "subject", "", "Subject.")
	f.StringVar(&l.from, "from", "", "Sender; else the user, or you on this machine.")
	f.StringSliceVar(&l.attach, "attach", nil, "File to attach; repeat it for several.")
	f.StringVar(&server, "server", "", "Server as host:port; else the one that runs on the data folder.")
	f.StringVar(&user, "user", "", "Submit as this user; the password comes from YUBIN_PASSWORD or a prompt.")
	return c
}

// compose fills in what was not said.
func (p *program) compose(l *letter, cfg *config, user string) error {
	if isTerminal(p.in) {
		fmt.Fprintln(p.err, p.say("Type the text; end it with Ctrl-D on a line of its own."))
	}
	var err error
	if l.text, err = io.ReadAll(io.LimitReader(p.in, int64(cfg.MessageSize)+1)); err != nil {
		return err
	}
	if l.from == "" {
		l.from = user
	}
	if l.from == "" {
		name := "you"
		if u, ok := p.getenv("USER"); ok && u != "" {
			name = u
		}
		l.from = name + "@" + firstOr([]string{cfg.Hostname}, "localhost")
	}
	return nil
}

// bytes is the letter as a message (RFC 5322, RFC 2045).
func (l letter) bytes() ([]byte, error) {
	var b bytes.Buffer
	var h mail.Header
	var to []*mail.Address
	for _, address := range l.to {
		to = append(to, &mail.Address{Address: address})
	}
	h.SetAddressList("From", []*mail.Address{{Address: l.from}})
	h.SetAddressList("To", to)
	h.SetSubject(l.subject)
	h.SetDate(time.Now())
	if err := h.GenerateMessageIDWithHostname(l.from[strings.LastIndexByte(l.from, '@')+1:]); err != nil {
		return nil, err
	}
	if len(l.attach) == 0 {
		h.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
		w, err := mail.CreateSingleInlineWriter(&b, h)
		if err != nil {
			return nil, err
		}
		err = errors.Join(writeText(w, l.text), w.Close())
		return b.Bytes(), err
	}
	m, err := mail.CreateWriter(&b, h)
	if err != nil {
		return nil, err
	}
	var inline mail.InlineHeader
	inline.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
	w, err := m.CreateSingleInline(inline)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(writeText(w, l.text), w.Close()); err != nil {
		return nil, err
	}
	for _, path := range l.attach {
		if err := attach(m, path); err != nil {
			return nil, err
		}
	}
	err = m.Close()
	return b.Bytes(), err
}

func attach(m *mail.Writer, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	kind := mime.TypeByExtension(filepath.Ext(path))
	if kind == "" {
		kind = http.DetectContentType(content)
	}
	var h mail.AttachmentHeader
	h.Set("Content-Type", kind)
	h.SetFilename(filepath.Base(path))
	w, err := m.CreateAttachment(h)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return errors.Join(err, w.Close())
}

// writeText writes text with the line ends of mail and one at its end.
func writeText(w io.Writer, text []byte) error {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	_, err := w.Write(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
	return err
}

// A drop is where and as whom mail is handed in.
type drop struct {
	address, user, password string
	implicit                bool        // TLS from the first byte
	tls                     *tls.Config // nil speaks in the clear
}

// route finds the way to the server.
func (p *program) route(cfg *config, server, user string) (drop, error) {
	d := drop{address: server, user: user}
	var r runFile
	var err error
	if server == "" {
		if r, err = p.server(cfg); err != nil {
			return d, err
		}
	}
	if user != "" && server == "" {
		if d.tls, err = trusting(cfg); err != nil {
			return d, err
		}
	}
	if user != "" {
		if secret, ok := p.getenv("YUBIN_PASSWORD"); ok {
			d.password = secret
		} else if d.password, err = p.askPassword(user); err != nil {
			return d, err
		}
	}
	if server != "" {
		host, port, err := net.SplitHostPort(server)
		if err != nil {
			return d, exit{exitUsage, fmt.Errorf("--server: %w", err)}
		}
		if user != "" {
			// Another machine's certificate: what the system trusts decides.
			d.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
			d.implicit = port == "465" || port == "1465"
		}
		return d, nil
	}
	switch {
	case user == "":
		d.address = r.reach("smtp")
	case r.reach("submissions") != "":
		d.address, d.implicit = r.reach("submissions"), true
	default:
		d.address = r.reach("submission")
	}
	if d.address == "" {
		return d, errors.New(p.say("the server has no listener for that; see `yubin config print`"))
	}
	return d, nil
}

// trusting is how we speak TLS to the server of the data folder: its own
// authority is trusted, or with own certificate files the system's.
func trusting(cfg *config) (*tls.Config, error) {
	if cfg.TLSCert != "" {
		return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.Hostname}, nil
	}
	text, err := pki.Public(tlsDir(cfg))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: "localhost"}, nil
}

// deliver hands l in and returns the server's last word.
func (d drop) deliver(ctx context.Context, l letter) (string, error) {
	text, err := l.bytes()
	if err != nil {
		return "", err
	}
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", d.address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if d.implicit {
		conn = tls.Client(conn, d.tls)
	}
	var client *smtp.Client
	if d.tls != nil && !d.implicit {
		if client, err = smtp.NewClientStartTLS(conn, d.tls); err != nil {
			return "", err
		}
	} else {
		client = smtp.NewClient(conn)
	}
	defer client.Close()
	if d.user != "" {
		if err := client.Auth(sasl.NewPlainClient("", d.user, d.password)); err != nil {
			return "", fmt.Errorf("log in as %s: %w", d.user, err)
		}
	}
	if err := client.Mail(l.from, &smtp.MailOptions{Size: int64(len(text))}); err != nil {
		return "", fmt.Errorf("from %s: %w", l.from, err)
	}
	for _, to := range l.to {
		if err := client.Rcpt(to, nil); err != nil {
			return "", fmt.Errorf("to %s: %w", to, err)
		}
	}
	w, err := client.Data()
	if err != nil {
		return "", err
	}
	if _, err := w.Write(text); err != nil {
		return "", err
	}
	answer, err := w.CloseWithResponse()
	if err != nil {
		return "", err
	}
	return answer.StatusText, client.Quit()
}

// verbatim lets a server speak for itself: its reply as it stood on the wire.
func verbatim(err error) error {
	var reply *smtp.SMTPError
	if !errors.As(err, &reply) {
		return err
	}
	code := fmt.Sprint(reply.Code)
	if e := reply.EnhancedCode; e != smtp.EnhancedCodeNotSet && e != smtp.NoEnhancedCode {
		code += fmt.Sprintf(" %d.%d.%d", e[0], e[1], e[2])
	}
	return errors.New(strings.Replace(err.Error(), reply.Error(), code+" "+reply.Message, 1))
}
