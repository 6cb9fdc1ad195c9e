package main

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// TestEveryKeyIsDocumented: the table of docs/operations.md is what
// `yubin config docs` prints.
func TestEveryKeyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(configDocs()) {
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/operations.md lacks\n%s", row)
		}
	}
}

// configured loads a configuration from flags and an environment.
func configured(t *testing.T, env map[string]string, args ...string) (*config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.String("config", "", "")
	defineFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	// viper looks into the real environment for what is bound.
	for name, value := range env {
		t.Setenv(name, value)
	}
	getenv := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	return loadConfig(flags, getenv, environ)
}

func TestEverySettingHasOneKey(t *testing.T) {
	var s settings
	value := reflect.ValueOf(&s).Elem()
	fields := map[any]string{}
	for i := range value.NumField() {
		fields[value.Field(i).Addr().Interface()] = value.Type().Field(i).Name
	}
	names, spelled := map[string]bool{}, map[string]string{}
	for _, k := range s.keys() {
		if fields[k.into] == "" {
			t.Errorf("%s goes nowhere, or where another key goes", k.name)
		}
		delete(fields, k.into)
		if names[k.name] || !regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`).MatchString(k.name) {
			t.Errorf("%q is taken or not a name", k.name)
		}
		names[k.name] = true
		// Two names may not become one in the environment or as a flag.
		for _, spelling := range []string{k.env(), k.flag()} {
			if other := spelled[spelling]; other != "" {
				t.Errorf("%s and %s are both %s", k.name, other, spelling)
			}
			spelled[spelling] = k.name
		}
		if k.since == "" || !strings.HasSuffix(k.doc, ".") || strings.Contains(k.doc, "\n") {
			t.Errorf("%s: the documentation is not one sentence, or since is missing", k.name)
		}
		if k.value == "" && !k.mayBeEmpty() && !k.secret {
			t.Errorf("%s has no default", k.name)
		}
		for _, value := range []string{k.value, k.demo} {
			if value != "" && k.assign(value) != nil {
				t.Errorf("%s: the default %q is not a value", k.name, value)
			}
		}
	}
	for _, name := range fields {
		t.Errorf("the setting %s has no key", name)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]size{
		"50MB": 50e6, "16MiB": 16 << 20, "1.5 GB": 1.5e9, "0": 0, "7": 7, "7b": 7, "2kb": 2000, " 1 TiB ": 1 << 40,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MB", "-1", "50 potatoes", "1e40", "NaN", "Inf", "0x10 MB x"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q was taken for %d", text, got)
		}
	}
	for s, want := range map[size]string{50e6: "50MB", 16e6: "16MB", 16 << 20: "16MiB", 1: "1B", 0: "0B", 1234: "1234B", 1 << 40: "1TiB"} {
		if got := s.String(); got != want {
			t.Errorf("%d is written %s, want %s", s, got, want)
		}
		if back, err := parseSize(s.String()); err != nil || back != s {
			t.Errorf("%s reads back as %d, %v", s, back, err)
		}
	}
}

func TestNestedNamesComeFromTheEnvironment(t *testing.T) {
	c, err := configured(t, map[string]string{
		"YUBIN_DATA_DIR": t.TempDir(), "YUBIN_POP3_LOGIN_DELAY": "90s", "YUBIN_LIMITS_MESSAGE_SIZE": "1MiB",
		"YUBIN_DOMAINS": "one.test, two.test,", "YUBIN_AUTH_ALLOW_PLAINTEXT": "1",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.POP3LoginDelay != 90*time.Second || c.MessageSize != 1<<20 || !c.AllowPlaintext ||
		!reflect.DeepEqual(c.Domains, []string{"one.test", "two.test"}) {
		t.Errorf("%+v", c.settings)
	}
}

func TestSuggestionsAreCloseOnes(t *testing.T) {
	known := []string{"hostname", "imap.addr", "imaps.addr", "pop3.addr", "tls.cert"}
	for wrong, want := range map[string]string{
		"hostnam": "hostname", "imap.address": "imap.addr", "imap_addr": "imap.addr", "tls.crt": "tls.cert", "zzz": "", "": "",
	} {
		if got := closest(wrong, known); got != want {
			t.Errorf("%q: %q, want %q", wrong, got, want)
		}
	}
	if d := distance("kitten", "sitting"); d != 3 {
		t.Errorf("kitten and sitting are %d apart", d)
	}
}

func TestTheLogHasNoSecrets(t *testing.T) {
	c, err := configured(t, map[string]string{"YUBIN_DATA_DIR": t.TempDir(), "YUBIN_USERS": "alice@one.test:tiger"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.asJSON() {
		if text, ok := s.Value.(string); ok && strings.Contains(text, "tiger") {
			t.Errorf("%s shows a secret", s.Key)
		}
	}
	if len(c.Users) != 1 || c.Users[0] != "alice@one.test:tiger" {
		t.Errorf("the secret itself is %v", c.Users)
	}
}
