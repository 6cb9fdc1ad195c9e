package webd

import (
	"fmt"
	"strings"
	"time"

	xlanguage "golang.org/x/text/language"
	textmessage "golang.org/x/text/message"
)

// phrase is one text in both languages. A "|" parts the singular from the
// plural where English needs them; the first argument, an int, decides.
type phrase struct{ en, ja string }

// catalogue is every text of the site by its key. A page that is added adds a
// map of its own; keys are "page.thing", those that modules in assets need
// begin with "js.". A test finds keys that are missing and keys that nobody
// uses.
var catalogue = joined(labWords, commonWords, mailWords, arrivedWords, adminWords, apiWords)

func joined(sections ...map[string]phrase) map[string]phrase {
	all := map[string]phrase{}
	for _, s := range sections {
		for key, p := range s {
			if _, twice := all[key]; twice {
				panic("two texts for " + key)
			}
			all[key] = p
		}
	}
	return all
}

// language is one of ours.
type language int

const (
	english language = iota
	japanese
)

var matcher = xlanguage.NewMatcher([]xlanguage.Tag{xlanguage.English, xlanguage.Japanese})

// chooseLanguage takes what was chosen, else what the browser asks for.
func chooseLanguage(chosen, accept string) language {
	switch chosen {
	case "en":
		return english
	case "ja":
		return japanese
	}
	tags, _, err := xlanguage.ParseAcceptLanguage(accept)
	if err != nil || len(tags) == 0 {
		return english
	}
	_, index, _ := matcher.Match(tags...)
	return language(index)
}

func (l language) tag() string { return [...]string{"en", "ja"}[l] }

func (l language) of(p phrase) string {
	if l == japanese {
		return p.ja
	}
	return p.en
}

// text is the text for a key; a key without one shows itself.
func (l language) text(key string, args ...any) string {
	p, ok := catalogue[key]
	if !ok {
		return key
	}
	s := l.of(p)
	if one, many, plural := strings.Cut(s, "|"); plural && l == english && len(args) > 0 {
		if s = many; args[0] == 1 {
			s = one
		}
	}
	if len(args) == 0 {
		return s
	}
	return fmt.Sprintf(s, args...)
}

// words are the texts whose keys begin with prefix, by the rest of the key.
func (l language) words(prefix string) map[string]string {
	some := map[string]string{}
	for key, p := range catalogue {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			some[rest] = l.of(p)
		}
	}
	return some
}

func (l language) full(t time.Time) string {
	if l == japanese {
		return t.Format("2006/01/02 15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// short is the hour for today, the weekday within a week, else the date.
func (l language) short(t, now time.Time) string {
	y, m, d := now.Date()
	midnight := time.Date(y, m, d, 0, 0, 0, 0, now.Location())
	switch {
	case !t.Before(midnight) && t.Before(midnight.AddDate(0, 0, 1)):
		return t.Format("15:04")
	case t.Before(midnight) && t.After(midnight.AddDate(0, 0, -6)):
		if l == japanese {
			return [...]string{"日", "月", "火", "水", "木", "金", "土"}[t.Weekday()] + "曜"
		}
		return t.Format("Mon")
	case l == japanese && t.Year() == now.Year():
		return t.Format("1月2日")
	case t.Year() == now.Year():
		return t.Format("2 Jan")
	case l == japanese:
		return t.Format("2006/01/02")
	}
	return t.Format("2006-01-02")
}

var grouped = textmessage.NewPrinter(xlanguage.English) // both languages group by thousands

// number writes 100000 as 100,000.
func number(n int) string { return grouped.Sprintf("%d", n) }

// sizeText writes octets with a unit, the same in both languages.
func sizeText(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 100_000:
		return fmt.Sprintf("%.1f KB", float64(n)/1000)
	case n < 1_000_000:
		return fmt.Sprintf("%d KB", n/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
