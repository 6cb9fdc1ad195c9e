package main

import (
	"fmt"
	"os"
	"strings"
)

// A tongue is the language a person is spoken to in. English stands in the
// code where it is said; the catalogue in japanese.go has the rest, and a
// test sees to it that it has all of it.
type tongue string

const (
	english  tongue = "en"
	japanese tongue = "ja"
)

// say is the sentence in the tongue, filled in like fmt.Sprintf.
func (t tongue) say(sentence string, args ...any) string {
	if t == japanese {
		if translated, ok := catalogue[sentence]; ok {
			sentence = translated
		}
	}
	if len(args) == 0 {
		return sentence
	}
	return fmt.Sprintf(sentence, args...)
}

// tongueOf finds the language before anything else is read, because the help
// text needs it: --lang, YUBIN_LANG, then what POSIX says about LC_ALL and
// its fellows.
func tongueOf(args []string, getenv func(string) (string, bool)) tongue {
	for i, arg := range args {
		switch {
		case arg == "--":
			args = nil
		case arg == "--lang" && i+1 < len(args):
			return named(args[i+1])
		case strings.HasPrefix(arg, "--lang="):
			return named(strings.TrimPrefix(arg, "--lang="))
		}
		if args == nil {
			break
		}
	}
	for _, name := range []string{"YUBIN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"} {
		if value, _ := getenv(name); value != "" {
			return named(value)
		}
	}
	return english
}

func named(locale string) tongue {
	if strings.HasPrefix(strings.ToLower(locale), "ja") {
		return japanese
	}
	return english
}

// marks are the signs in front of findings: letters where the terminal may
// not show others.
func marks(getenv func(string) (string, bool)) (good, warn, bad, next string) {
	if utf8Locale(getenv) {
		return "✔", "!", "✖", "→"
	}
	return "ok", "!", "x", "->"
}

// utf8Locale reports whether the locale says that the terminal shows UTF-8.
func utf8Locale(getenv func(string) (string, bool)) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value, _ := getenv(name); value != "" {
			upper := strings.ToUpper(value)
			return strings.Contains(upper, "UTF-8") || strings.Contains(upper, "UTF8")
		}
	}
	return false
}

func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && terminal(int(file.Fd()))
}
