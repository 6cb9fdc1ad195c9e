package lab

import "fmt"

// Lang is a language the lab speaks.
type Lang string

// The languages.
const (
	English  Lang = "en"
	Japanese Lang = "ja"
)

// Words is one text in every language. All text that a person reads is of
// this type, so none can be there in one language only: a test looks for
// halves that are empty or that do not fit each other.
type Words struct{ EN, JA string }

// In returns the words in a language, filled in as by fmt.Sprintf.
func (w Words) In(l Lang, args ...any) string {
	s := w.EN
	if l == Japanese {
		s = w.JA
	}
	if len(args) == 0 {
		return s
	}
	return fmt.Sprintf(s, args...)
}

// None reports that there is nothing to say.
func (w Words) None() bool { return w.EN == "" }

// and puts the same behind the words of each language.
func (w Words) and(tail string) Words {
	w.EN += tail
	w.JA += tail
	return w
}

// colon stands between who and what, and between a question and its answer.
var colon = Words{": ", "："}
