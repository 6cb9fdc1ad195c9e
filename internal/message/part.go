package message

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Walk calls fn for the part and all below it, in the order of the message and
// with their IMAP numbers (RFC 9051 §6.4.5.1). p is the root. A multipart that
// is itself a message has no number of its own and comes with that of the part
// that holds it: none for the root. When fn returns false the parts below are
// left out. The path is valid only during the call.
func (p *Part) Walk(fn func(path []int, p *Part) bool) {
	walkMessage(nil, p, fn)
}

func walkMessage(path []int, p *Part, fn func([]int, *Part) bool) {
	if p == nil {
		return
	}
	if p.Type != "multipart" {
		path = append(path, 1)
	}
	walkPart(path, p, fn)
}

func walkPart(path []int, p *Part, fn func([]int, *Part) bool) {
	if !fn(path, p) {
		return
	}
	if p.Type != "multipart" {
		if len(p.Children) == 1 {
			walkMessage(path, p.Children[0], fn)
		}
		return
	}
	for i, child := range p.Children {
		walkPart(append(path, i+1), child, fn)
	}
}

// Find returns the part with that IMAP number, nil when there is none. p is the
// root, which the empty path names.
func (p *Part) Find(path []int) *Part {
	if len(path) == 0 {
		return p
	}
	message := true // p is a message, not a part of one
	for _, n := range path {
		if !message && p.Type != "multipart" {
			if len(p.Children) != 1 {
				return nil
			}
			p, message = p.Children[0], true // what message/rfc822 encloses
		}
		switch {
		case p.Type != "multipart" && n == 1: // the only part of a message
		case p.Type == "multipart" && n >= 1 && n <= len(p.Children):
			p = p.Children[n-1]
		default:
			return nil
		}
		message = false
	}
	return p
}

// Filename is the name the sender gave the part, fit to be offered for saving:
// no folders, no control or direction characters, not hidden, at most 200
// octets. It is empty when there is none.
func (p *Part) Filename() string {
	name := p.DispParams["filename"]
	if name == "" {
		name = p.Params["name"]
	}
	return safeName(name)
}

func safeName(name string) string {
	const maxName = 200
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029', r == utf8.RuneError:
			return -1
		case strings.ContainsRune(`<>:"|?*`, r):
			return '_'
		}
		return r
	}, name)
	name = strings.TrimRight(strings.TrimLeft(strings.TrimSpace(name), ". "), ". ")
	if len(name) > maxName {
		ext := path.Ext(name)
		if len(ext) > 20 {
			ext = ""
		}
		name = strings.TrimRight(cut(name, maxName-len(ext)), ". ") + ext
	}
	return name
}

// IsAttachment tells whether a reader would list the part as a file: what is
// called an attachment, and what is neither text to be shown nor an image or
// the like that the text refers to.
func (p *Part) IsAttachment() bool {
	if p.Type == "multipart" {
		return false
	}
	if p.Disposition == "attachment" {
		return true
	}
	switch p.Type + "/" + p.Subtype {
	case "application/pgp-signature", "application/pgp-encrypted",
		"application/pkcs7-signature", "application/x-pkcs7-signature",
		"message/delivery-status", "message/disposition-notification", "message/feedback-report",
		"text/rfc822-headers", "message/global-delivery-status":
		return false
	case "message/rfc822", "message/global":
		return true
	}
	if p.Type == "text" {
		return p.Filename() != ""
	}
	return p.ID == "" || p.Disposition != "" && p.Disposition != "inline"
}
