package lab

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yubin-mail/yubin/wiretap"
)

// weblog records what a browser and the webmail say to each other, as the tap
// does for mail protocols. Of pages it keeps the rows of lists, which are what
// facts are read from. Cookies, tokens and passwords are masked.
type weblog struct {
	next http.RoundTripper

	sent, received, trips atomic.Int64

	mu    sync.Mutex
	lines []wiretap.Line
}

func (w *weblog) session() wiretap.Session {
	w.mu.Lock()
	defer w.mu.Unlock()
	return wiretap.Session{
		Proto: "http", Side: wiretap.ClientSide, Lines: slices.Clone(w.lines),
		ClientOctets: w.sent.Load(), ServerOctets: w.received.Load(), Trips: w.trips.Load(),
	}
}

// say keeps a line and returns its number.
func (w *weblog) say(dir wiretap.Dir, body bool, format string, args ...any) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	end := "\r\n"
	text := fmt.Sprintf(format, args...)
	if len(text) > maxShownLine {
		text = strings.ToValidUTF8(text[:maxShownLine], "") + "…"
	}
	w.lines = append(w.lines, wiretap.Line{Time: time.Now(), Dir: dir, Text: text, End: end, Body: body})
	return len(w.lines)
}

// maxShownLine is how much of a line is kept.
const maxShownLine = 600

// Of the header fields these are told; those with secrets are masked.
var (
	toldRequest  = []string{"Cookie", "Content-Type", "Accept"}
	toldResponse = []string{"Location", "Content-Type", "Cache-Control", "Set-Cookie"}
)

// RoundTrip records one request and what came back.
func (w *weblog) RoundTrip(r *http.Request) (*http.Response, error) {
	w.say(wiretap.Client, false, "%s %s HTTP/1.1", r.Method, r.URL.RequestURI())
	w.header(wiretap.Client, r.Header, toldRequest)
	if r.GetBody != nil {
		if body, err := r.GetBody(); err == nil {
			b, _ := io.ReadAll(body) // of our own making
			w.form(r.Header.Get("Content-Type"), b)
		}
	}
	w.trips.Add(1)
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		w.say(wiretap.Note, false, "no answer")
		return nil, err
	}
	w.say(wiretap.Server, false, "%s %s", resp.Proto, resp.Status)
	w.header(wiretap.Server, resp.Header, toldResponse)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return resp, nil // told as it comes
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	w.page(b)
	resp.Body = io.NopCloser(bytes.NewReader(b))
	return resp, nil
}

// maxPage is more than a page may have.
const maxPage = 32 << 20

func (w *weblog) header(dir wiretap.Dir, h http.Header, told []string) {
	for _, name := range told {
		for _, value := range h.Values(name) {
			if name == "Cookie" || name == "Set-Cookie" {
				value = maskCookie(value)
			}
			w.say(dir, false, "%s: %s", name, value)
		}
	}
}

func maskCookie(value string) string {
	parts := strings.Split(value, "; ")
	for i, p := range parts {
		name, _, pair := strings.Cut(p, "=")
		if pair && !slices.Contains([]string{"Path", "Max-Age", "SameSite", "Expires"}, name) {
			parts[i] = name + "=" + wiretap.Mask
		}
	}
	return strings.Join(parts, "; ")
}

// form tells the fields that a person knows of.
func (w *weblog) form(kind string, b []byte) {
	if !strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
		w.say(wiretap.Note, false, "%d octets left out", len(b))
		return
	}
	fields, err := url.ParseQuery(string(b))
	if err != nil {
		return
	}
	var told []string
	for name, values := range fields {
		value := strings.Join(values, ",")
		switch name {
		case "token", "proof", "password":
			value = wiretap.Mask
		}
		told = append(told, name+"="+strings.ReplaceAll(strings.ReplaceAll(value, "\r\n", "⏎"), "\n", "⏎"))
	}
	slices.Sort(told)
	w.say(wiretap.Client, true, "%s", strings.Join(told, "&"))
}

// A row of a list as the webmail's pages have it, and its subject.
var (
	pageRow     = regexp.MustCompile(`(?s)<li class="row[^>]*>.*?</li>`)
	pageSubject = regexp.MustCompile(`(?s)<span class="subject"[^>]*>.*?</span>`)
)

// page keeps of the rows of a list how they begin and their subjects, and
// counts the rest.
func (w *weblog) page(b []byte) {
	left := len(b)
	for _, row := range pageRow.FindAll(b, maxRows) {
		begin := row[:bytes.IndexByte(row, '>')+1]
		subject := bytes.ReplaceAll(pageSubject.Find(row), []byte("\n"), []byte(" "))
		left -= len(begin) + len(subject)
		w.say(wiretap.Server, true, "  %s … %s …", begin, subject)
	}
	if left > 0 {
		w.say(wiretap.Note, false, "%d octets left out", left)
	}
}

// maxRows is how many rows of one page are kept.
const maxRows = 50

// counted counts the octets of a browser's connections.
type counted struct {
	net.Conn
	log *weblog
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.log.received.Add(int64(n))
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.log.sent.Add(int64(n))
	return n, err
}
