package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// size is a number of octets, written like 50MB or 16MiB.
type size int64

// units are powers of 1000, and of 1024 with the "i", as IEC 80000-13 has them.
var units = []struct {
	name string
	n    int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

func parseSize(text string) (size, error) {
	text = strings.TrimSpace(text)
	number, n := text, int64(1)
	for _, u := range units {
		if len(text) > len(u.name) && strings.EqualFold(text[len(text)-len(u.name):], u.name) {
			number, n = strings.TrimSpace(text[:len(text)-len(u.name)]), u.n
			break
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f < 0 || math.IsInf(f, 0) || math.IsNaN(f) || f*float64(n) >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is not a size such as 50MB", text)
	}
	return size(f * float64(n)), nil
}

// String is the shortest way to write s without losing an octet.
func (s size) String() string {
	shortest := strconv.FormatInt(int64(s), 10) + "B"
	for _, u := range units {
		text := strconv.FormatInt(int64(s)/u.n, 10) + u.name
		if s > 0 && int64(s)%u.n == 0 && len(text) < len(shortest) {
			shortest = text
		}
	}
	return shortest
}

// rough is s for a person: 2.1 GB.
func (s size) rough() string {
	for _, u := range units {
		if !strings.Contains(u.name, "i") && int64(s) >= u.n && u.n > 1 {
			return fmt.Sprintf("%.1f %s", float64(s)/float64(u.n), u.name)
		}
	}
	return fmt.Sprintf("%d B", int64(s))
}

// assign puts a value, as a source gave it, where the key's value goes.
func (k key) assign(raw any) error {
	text := fmt.Sprint(raw)
	if raw == nil {
		text = ""
	}
	if items, ok := raw.([]any); ok {
		list, ok := k.into.(*[]string)
		if !ok {
			return fmt.Errorf("a list, where %s is wanted", k.kind())
		}
		*list = nil
		for _, item := range items {
			*list = append(*list, fmt.Sprint(item))
		}
		return nil
	}
	if _, ok := raw.(map[string]any); ok {
		return fmt.Errorf("a group of keys, where %s is wanted", k.kind())
	}
	var err error
	switch p := k.into.(type) {
	case *string:
		*p = text
	case *[]string:
		*p = splitList(text)
	case *bool:
		if *p, err = strconv.ParseBool(text); err != nil {
			err = fmt.Errorf("%q is neither true nor false", text)
		}
	case *int:
		if *p, err = strconv.Atoi(text); err != nil || *p < 0 {
			err = fmt.Errorf("%q is not a whole number", text)
		}
	case *size:
		*p, err = parseSize(text)
	case *time.Duration:
		if *p, err = time.ParseDuration(text); err != nil || *p < 0 {
			err = fmt.Errorf("%q is not a duration such as 10m", text)
		}
	default:
		panic(fmt.Sprintf("key %s has a type nobody reads: %T", k.name, p))
	}
	if err == nil && k.only != nil && !slices.Contains(k.only, text) {
		err = fmt.Errorf("%q is not one of %s", text, strings.Join(k.only, ", "))
	}
	return err
}

// splitList takes a list apart at commas, or at line ends when it has any:
// then an item may hold a comma, as a password may.
func splitList(text string) []string {
	by := func(r rune) bool { return r == ',' }
	if strings.Contains(text, "\n") {
		by = func(r rune) bool { return r == '\n' || r == '\r' }
	}
	var list []string
	for _, item := range strings.FieldsFunc(text, by) {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// kind is the key's type for a person.
func (k key) kind() string {
	switch k.into.(type) {
	case *[]string:
		return "list"
	case *bool:
		return "true/false"
	case *int:
		return "number"
	case *size:
		return "size"
	case *time.Duration:
		return "duration"
	}
	return "text"
}

// shown is the value as `config print` writes it.
func (k key) shown() string {
	switch p := k.into.(type) {
	case *string:
		return *p
	case *[]string:
		return strings.Join(*p, ",")
	case *bool:
		return strconv.FormatBool(*p)
	case *int:
		return strconv.Itoa(*p)
	case *size:
		return p.String()
	case *time.Duration:
		return p.String()
	}
	return ""
}

// flag and env are how the command line and the environment spell the name.
func (k key) flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(k.name) }
func (k key) env() string {
	return "YUBIN_" + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
}

// defaultDataDir is the same from every working directory, so that
// `yubin user add` finds the store that `yubin serve` made.
func defaultDataDir() string {
	base := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		base = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(base, "yubin")
}

func defaultHostname() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return strings.ToLower(name)
	}
	return "localhost"
}
