package message

import (
	"strings"
	"time"
)

// NewDate writes t as RFC 5322 §3.3 does.
func NewDate(t time.Time) string { return t.Format("Mon, 2 Jan 2006 15:04:05 -0700") }

var months = [...]string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

// zones are the obsolete names (RFC 5322 §4.3) and some that are met.
var zones = map[string]int{
	"ut": 0, "gmt": 0, "utc": 0, "z": 0, "wet": 0,
	"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
	"jst": 9, "kst": 9, "cet": 1, "cest": 2, "met": 1, "mest": 2, "bst": 1, "eet": 2, "eest": 3, "msk": 3,
}

// ParseDate reads a Date field as liberally as senders write it: with or
// without the day's name, seconds, zone and comments, two-digit years, the C
// library's order, ISO 8601. It is zero when unreadable.
func ParseDate(s string) time.Time {
	s = cut(strings.TrimSpace(stripComments(s)), 128)
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05"} {
		if len(s) > 4 && s[4] == '-' {
			if t, err := time.Parse(layout, s); err == nil && storable(t) {
				return t
			}
		}
	}
	var d dateFields
	d.day, d.month, d.year, d.hour = -1, -1, -1, -1
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
		d.word(strings.ToLower(word))
	}
	return d.time()
}

type dateFields struct {
	day, month, year, hour, minute, second int
	offset                                 int // seconds east
	zone                                   bool
}

// word takes the next word: what it is shows in its form.
func (d *dateFields) word(w string) {
	switch {
	case strings.Contains(w, ":") && d.hour < 0:
		d.clock(w)
	case d.hour >= 0 && !d.zone && (w[0] == '+' || w[0] == '-'):
		d.zone = true
		d.offset = zoneOffset(w)
	case strings.Count(w, "-") == 2: // 01-Jan-2025
		for _, part := range strings.Split(w, "-") {
			if part != "" {
				d.word(part)
			}
		}
	case isDigits(w):
		n := atoi(w)
		switch {
		case d.day < 0 && len(w) <= 2:
			d.day = n
		case d.year < 0 && len(w) >= 2 && len(w) <= 4:
			d.year = n
			// RFC 5322 §4.3
			if len(w) == 2 && n < 50 {
				d.year += 2000
			} else if len(w) <= 3 {
				d.year += 1900
			}
		}
	case d.month < 0 && len(w) >= 3 && monthOf(w) > 0:
		d.month = monthOf(w)
	case d.hour >= 0 && !d.zone:
		if hours, ok := zones[w]; ok {
			d.zone, d.offset = true, hours*3600
		} else if w == "pm" && d.hour < 12 {
			d.hour += 12
		} else if i := strings.IndexAny(w, "+-"); i > 0 { // GMT+0900
			d.zone, d.offset = true, zoneOffset(w[i:])
		}
	}
}

func monthOf(w string) int {
	for i, m := range months {
		if strings.HasPrefix(w, m) {
			return i + 1
		}
	}
	return -1
}

func (d *dateFields) clock(w string) {
	if i := strings.IndexAny(w, "+-"); i > 0 { // 10:00:00+0900
		d.zone, d.offset = true, zoneOffset(w[i:])
		w = w[:i]
	}
	w, _, _ = strings.Cut(w, ".")
	parts := strings.Split(w, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return
	}
	for _, p := range parts {
		if !isDigits(p) || len(p) > 2 {
			return
		}
	}
	d.hour, d.minute = atoi(parts[0]), atoi(parts[1])
	if len(parts) == 3 {
		d.second = min(atoi(parts[2]), 59) // a leap second is the one before it
	}
}

func zoneOffset(w string) int {
	digits := strings.ReplaceAll(w[1:], ":", "")
	if !isDigits(digits) || len(digits) > 4 {
		return 0
	}
	if len(digits) <= 2 {
		digits += "00"
	}
	n := atoi(digits)
	hours, minutes := n/100, n%100
	if hours > 23 || minutes > 59 {
		return 0
	}
	if w[0] == '-' {
		return -(hours*3600 + minutes*60)
	}
	return hours*3600 + minutes*60
}

func (d *dateFields) time() time.Time {
	if d.day < 1 || d.month < 1 || d.year < 0 || d.hour > 23 || d.minute > 59 {
		return time.Time{}
	}
	zone := time.UTC
	if d.offset != 0 {
		zone = time.FixedZone("", d.offset)
	}
	t := time.Date(d.year, time.Month(d.month), d.day, max(d.hour, 0), d.minute, d.second, 0, zone)
	if t.Day() != d.day || !storable(t) {
		return time.Time{}
	}
	return t
}

// storable tells whether t can be written as RFC 3339, which JSON needs.
func storable(t time.Time) bool { return t.Year() >= 1900 && t.Year() <= 9998 }

func isDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func atoi(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		n = n*10 + int(s[i]-'0')
	}
	return n
}
