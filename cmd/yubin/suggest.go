package main

// renamed are keys that have another name by now.
var renamed = map[string]string{
	"auth.resolver":  "dns.resolver",
	"relay.resolver": "dns.resolver",
}

// nowCalled is " (it is NAME now)" for the old name of a key, or nothing. spell
// writes a key's name as the source of the name does.
func nowCalled(wrong string, spell func(key) string) string {
	for old, now := range renamed {
		if wrong == spell(key{name: old}) {
			return " (it is " + spell(key{name: now}) + " now)"
		}
	}
	return ""
}

// didYouMean is " (did you mean NAME?)" for the name closest to a mistyped
// one, or nothing when none is close.
func didYouMean(wrong string, known []string) string {
	if name := closest(wrong, known); name != "" {
		return " (did you mean " + name + "?)"
	}
	return ""
}

// closest is the known name that may have been meant, or "".
func closest(wrong string, known []string) string {
	best, least := "", len(wrong)/4+2
	for _, name := range known {
		if d := distance(wrong, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance counts the letters to insert, remove or replace to turn a into b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
