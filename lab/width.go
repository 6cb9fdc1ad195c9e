package lab

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// columnsOf is how many columns of a terminal a string takes. Characters that
// East Asian fonts may or may not draw wide are taken as narrow, as terminals
// do by default.
func columnsOf(s string) (n int) {
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case wide(r):
			n += 2
		default:
			n++
		}
	}
	return n
}

func wide(r rune) bool {
	k := width.LookupRune(r).Kind()
	return k == width.EastAsianWide || k == width.EastAsianFullwidth
}

// pad fills s up to n columns.
func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-columnsOf(s)))
}

// clip cuts s to n columns.
func clip(s string, n int, dots string) string {
	if columnsOf(s) <= n {
		return s
	}
	n -= columnsOf(dots)
	used := 0
	for i, r := range s {
		if used += columnsOf(string(r)); used > n {
			return s[:i] + dots
		}
	}
	return s
}

// wrap breaks a text into lines of n columns: between words, and where there
// are no spaces, before any character that may begin a line.
func wrap(s string, n int) (lines []string) {
	var line strings.Builder
	used := 0
	flush := func() {
		lines = append(lines, strings.TrimRight(line.String(), " "))
		line.Reset()
		used = 0
	}
	for _, piece := range pieces(s) {
		w := columnsOf(piece)
		if used > 0 && used+columnsOf(strings.TrimRight(piece, " ")) > n {
			flush()
		}
		line.WriteString(piece)
		used += w
	}
	if used > 0 {
		flush()
	}
	return lines
}

// notFirst may not begin a line of Japanese, and notLast may not end one.
const (
	notFirst = "、。，．・：；？！）」』】〕》ーぁぃぅぇぉっゃゅょァィゥェォッャュョ々〜!),.:;?]}"
	notLast  = "（「『【〔《(["
)

// pieces cuts a text where lines may break.
func pieces(s string) (cut []string) {
	var piece []rune
	runes := []rune(s)
	for i, r := range runes {
		piece = append(piece, r)
		if i+1 == len(runes) {
			break
		}
		next := runes[i+1]
		mayBreak := r == ' ' && next != ' ' || (wide(r) || wide(next)) && r != ' ' && next != ' '
		if mayBreak && !strings.ContainsRune(notFirst, next) && !strings.ContainsRune(notLast, r) {
			cut = append(cut, string(piece))
			piece = piece[:0]
		}
	}
	return append(cut, string(piece))
}
