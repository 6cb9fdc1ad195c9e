package webd

import (
	"slices"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// Answers: what stands in the form of a reply, and of passing mail on.

// answer is the form of an answer to a message, or of passing it on.
func (s *Server) answer(v *visit, box folder, m *store.Message, how string) error {
	key := box.Slug() + "/" + strconv.FormatUint(uint64(m.UID), 10)
	c := &composing{Source: how + " " + key, From: v.addressedTo(m), CloseURL: "/m/" + key, Title: v.T("action." + how)}
	e := m.Envelope
	subject, _ := plainPrefix(message.DecodeHeader(e.Subject))
	b, err := s.Store.OpenBody(v.Context(), m.Blob)
	if err != nil {
		return err
	}
	defer b.Close()
	text, err := plainText(b, m.Structure, maxQuoted)
	if err != nil {
		return err
	}
	if how == "forward" {
		c.Subject = "Fwd: " + subject
		c.Text = v.forwarded(e, text)
		for _, f := range v.files(m, &reader{URL: "/m/" + key}) {
			c.Files = append(c.Files, keptFile{key + "/" + f.URL[strings.LastIndexByte(f.URL, '/')+1:], f.Name, f.Size})
		}
		return v.renderCompose(c)
	}
	c.Subject = "Re: " + subject
	c.Text = "\n\n" + v.T("compose.wrote", v.language.full(m.Received.In(v.zone)), shortNames(e.From)) + "\n" + quoted(text)
	to := e.ReplyTo
	if len(to) == 0 {
		to = e.From
	}
	own := func(a message.Address) bool { return v.ownAddress(requoted(a)) != "" }
	if len(to) > 0 && !slices.ContainsFunc(to, func(a message.Address) bool { return !own(a) }) {
		to, c.From = e.To, v.ownAddress(requoted(to[0])) // an answer to what one has sent oneself goes on to the others
	}
	c.To = typed(to)
	if how == "reply-all" {
		others := slices.DeleteFunc(slices.Concat(e.To, e.Cc), func(a message.Address) bool {
			return a.Host == "" || own(a) || slices.ContainsFunc(to, func(b message.Address) bool { return strings.EqualFold(addressText(a), addressText(b)) })
		})
		c.Cc = typed(others)
	}
	return v.renderCompose(c)
}

// maxQuoted is how much of a message its answer quotes.
const maxQuoted = 64 << 10

// plainPrefix is a subject without "Re:" and the like.
func plainPrefix(subject string) (string, bool) {
	plain := strings.TrimSpace(replyPrefix.ReplaceAllString(subject, ""))
	return plain, plain != subject
}

func quoted(text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(text, " \n"), "\n") {
		if strings.HasPrefix(line, ">") {
			b.WriteString(">" + line + "\n")
		} else {
			b.WriteString("> " + line + "\n")
		}
	}
	return b.String()
}

func (v *visit) forwarded(e *message.Envelope, text string) string {
	var b strings.Builder
	b.WriteString("\n\n---------- " + v.T("compose.forwarded") + " ----------\n")
	line := func(key, value string) {
		if value != "" {
			b.WriteString(v.T(key) + ": " + value + "\n")
		}
	}
	line("reader.from", typed(e.From))
	if !e.Date.IsZero() {
		line("reader.date", v.language.full(e.Date.In(v.zone)))
	}
	line("reader.subject", message.DecodeHeader(e.Subject))
	line("reader.to", typed(e.To))
	line("reader.cc", typed(e.Cc))
	b.WriteString("\n" + text)
	return b.String()
}

// typed is an address list as a person would type it.
func typed(all []message.Address) string {
	var some []string
	for _, a := range all {
		if a.Host == "" {
			continue
		}
		name := strings.TrimSpace(message.DecodeHeader(a.Name))
		switch {
		case name == "":
			some = append(some, addressText(a))
		case strings.ContainsAny(name, `()<>[]:;@\,."`):
			some = append(some, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name)+`" <`+addressText(a)+`>`)
		default:
			some = append(some, name+" <"+addressText(a)+">")
		}
	}
	return strings.Join(some, ", ")
}
