package webd

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/text/unicode/norm"
)

// What tests look for in a mail: the link to click and the code to type.

// maxExtracts is how many links, and how many codes, a message is said to have.
const maxExtracts = 200

// linksIn are the web links of a message, each once: those of its HTML first,
// in its order, and then what only the plain text has.
func linksIn(page, text string) []string {
	some := []string{}
	add := func(to string) {
		if len(some) < maxExtracts && (strings.HasPrefix(to, "http://") || strings.HasPrefix(to, "https://")) && !slices.Contains(some, to) {
			some = append(some, to)
		}
	}
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		if t := z.Token(); t.Data == "a" || t.Data == "area" {
			for _, a := range t.Attr {
				if a.Key == "href" {
					add(strings.TrimSpace(a.Val))
				}
			}
		}
	}
	for _, m := range link.FindAllString(text, -1) {
		add(strings.TrimRight(m, ".,;:!?)]"))
	}
	return some
}

var (
	digits = regexp.MustCompile(`[0-9]{4,8}`)
	// codeWords stand near a code that is meant to be typed.
	codeWords = regexp.MustCompile(`(?i)code|pin\b|otp|password|passcode|verif|confirm|one-time|token|認証|確認|コード|番号|パスワード|ワンタイム|暗証`)
)

// codesIn are numbers of four to eight digits that stand alone, as one-time
// codes do, each once: first those on or right after a line that speaks of
// codes. Parts of dates, amounts, telephone numbers and links are none.
func codesIn(subject, text string) []string {
	type candidate struct {
		code string
		rank int
	}
	var all []candidate
	near := 0 // lines since one that spoke of codes
	for line := range strings.SplitSeq(subject+"\n"+text, "\n") {
		line = link.ReplaceAllString(norm.NFKC.String(line), " ")
		switch {
		case codeWords.MatchString(line):
			near = 3
		case strings.TrimSpace(line) != "":
			near = max(0, near-1)
		}
		rank := 1
		if near > 0 {
			rank = 0
		}
		for _, at := range digits.FindAllStringIndex(line, -1) {
			if standsAlone(line, at[0], at[1]) && len(all) < maxExtracts {
				all = append(all, candidate{line[at[0]:at[1]], rank})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.rank, b.rank) })
	codes := []string{}
	for _, c := range all {
		if !slices.Contains(codes, c.code) {
			codes = append(codes, c.code)
		}
	}
	return codes
}

// standsAlone reports whether the digits in a line are a number of their own.
func standsAlone(line string, start, end int) bool {
	before, beforeSize := utf8.DecodeLastRuneInString(line[:start])
	after, afterSize := utf8.DecodeRuneInString(line[end:])
	if isLatin(before) || isLatin(after) || strings.ContainsRune("$¥€£#%+/", before) || strings.ContainsRune("%年月日円号/", after) {
		return false
	}
	// A sign between two digits joins them: 03-1234-5678, 2026.11, 12,000, 15:1234.
	const joints = "-.,:/"
	if strings.ContainsRune(joints, before) {
		if r, _ := utf8.DecodeLastRuneInString(line[:start-beforeSize]); isLatin(r) {
			return false
		}
	}
	if strings.ContainsRune(joints, after) {
		if r, _ := utf8.DecodeRuneInString(line[end+afterSize:]); isLatin(r) {
			return false
		}
	}
	return true
}

// isLatin reports whether r makes a word together with digits; in Japanese a
// number stands alone between any letters.
func isLatin(r rune) bool {
	return r == '_' || r < unicode.MaxLatin1 && (unicode.IsLetter(r) || unicode.IsDigit(r))
}
