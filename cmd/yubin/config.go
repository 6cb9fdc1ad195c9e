package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// demoSuffix is what the folder of a demonstration is called by.
const demoSuffix = "-demo"

// systemConfig is read when no other file is named.
const systemConfig = "/etc/yubin/yubin.yaml"

// config is the settings in force and where each came from.
type config struct {
	settings
	origin   map[string]string // by key name; for `config print`
	file     string            // the file that was read, or ""
	warnings []string
	staging  staging // set by plays only
}

// defineFlags gives flags a flag for each of the named keys; for all of them
// when none is named.
func defineFlags(flags *pflag.FlagSet, names ...string) {
	var defaults settings
	for _, k := range defaults.keys() {
		if len(names) > 0 && !slices.Contains(names, k.name) {
			continue
		}
		if flags.Lookup(k.flag()) != nil {
			continue
		}
		name := k.flag()
		if k.secret {
			name += "-file"
			flags.String(name, "", k.doc+" From this file, a line each.")
		} else if f := flags.VarPF(&flagValue{key: k, text: k.value}, name, "", k.doc); isBool(k) {
			f.NoOptDefVal = "true" // --demo alone
		}
		if len(names) == 0 && !slices.Contains(everywhere, k.name) {
			flags.Lookup(name).Annotations = map[string][]string{isSetting: nil}
		}
	}
}

func isBool(k key) bool {
	_, is := k.into.(*bool)
	return is
}

// everywhere are the settings that each command has a flag for.
var everywhere = []string{"data_dir", "lang", "demo"}

// isSetting marks a flag that the help lists behind the command's own.
const isSetting = "setting"

// flagsThat are settings, or are not.
func flagsThat(are bool) func(*pflag.FlagSet) *pflag.FlagSet {
	return func(all *pflag.FlagSet) *pflag.FlagSet {
		some := pflag.NewFlagSet("", pflag.ContinueOnError)
		all.VisitAll(func(f *pflag.Flag) {
			if _, is := f.Annotations[isSetting]; is == are {
				some.AddFlag(f)
			}
		})
		return some
	}
}

// A flagValue checks what is typed at once, and keeps the text for viper.
type flagValue struct {
	key  key
	text string
}

func (f *flagValue) String() string { return f.text }

// Type is what the help shows; "bool" is pflag's word for a flag alone.
func (f *flagValue) Type() string {
	if kind := f.key.kind(); kind != "true/false" {
		return kind
	}
	return "bool"
}

func (f *flagValue) Set(text string) error {
	f.text = text
	return f.key.assign(text)
}

// loadConfig reads all sources. A flag wins over the environment, the
// environment over the file, the file over the default.
func loadConfig(flags *pflag.FlagSet, getenv func(string) (string, bool), environ []string) (*config, error) {
	c := &config{origin: map[string]string{}}
	v := viper.New()
	v.AllowEmptyEnv(true)
	if err := c.readFile(v, flags, getenv); err != nil {
		return nil, err
	}
	keys := c.settings.keys()
	for _, k := range keys {
		v.SetDefault(k.name, k.value)
		c.origin[k.name] = "default"
		if v.InConfig(k.name) {
			c.origin[k.name] = c.file
		}
		// Each name is bound explicitly: viper finds nested names in the
		// environment only then. An empty variable is a value where empty
		// means something, elsewhere it is as good as unset.
		if value, ok := getenv(k.env()); ok && (value != "" || k.mayBeEmpty()) {
			if err := v.BindEnv(k.name, k.env()); err != nil {
				return nil, err
			}
			c.origin[k.name] = "env " + k.env()
		}
		if f := flags.Lookup(k.flag()); f != nil && f.Changed {
			if err := v.BindPFlag(k.name, f); err != nil {
				return nil, err
			}
			c.origin[k.name] = "flag --" + k.flag()
		}
	}
	if err := c.readSecrets(v, flags, getenv); err != nil {
		return nil, err
	}
	// Whether it is a demonstration decides some of the defaults.
	for _, k := range keys {
		if k.into == &c.Demo || k.into == &c.DemoExposed {
			if err := c.assign(k, v.Get(k.name)); err != nil {
				return nil, err
			}
		}
	}
	for _, k := range keys {
		raw := v.Get(k.name)
		if c.Demo && c.origin[k.name] == "default" {
			raw = c.demoDefault(k, raw)
		}
		if err := c.assign(k, raw); err != nil {
			return nil, err
		}
	}
	c.warnUnknown(environ)
	return c, c.check()
}

func (c *config) assign(k key, raw any) error {
	if err := k.assign(raw); err != nil {
		return fmt.Errorf("%s: %w (from %s)", k.name, err, c.origin[k.name])
	}
	return nil
}

// mayBeEmpty: empty switches a listener off, and is a list without items; a
// data folder without a name is none.
func (k key) mayBeEmpty() bool {
	switch k.into.(type) {
	case *string:
		return k.value == "" && !k.secret || strings.HasSuffix(k.name, ".addr")
	case *[]string:
		return !k.secret
	}
	return false
}

// demoDefault is what an unset key is in demo mode. Listeners keep to
// loopback unless the demonstration may be exposed.
func (c *config) demoDefault(k key, raw any) any {
	if k.demo != "" {
		c.origin[k.name] = "demo"
		return k.demo
	}
	if k.into == &c.DataDir && k.value != "" {
		// Known passwords have no business in the store of real mail.
		c.origin[k.name] = "demo"
		return k.value + demoSuffix
	}
	if k.into == &c.HTTPAddr && c.DemoExposed {
		// Otherwise it keeps to loopback, demonstration or not.
		c.origin[k.name] = "demo"
		return ":8025"
	}
	if port, ok := strings.CutPrefix(k.value, ":"); ok && !c.DemoExposed {
		c.origin[k.name] = "demo"
		return net.JoinHostPort("127.0.0.1", port)
	}
	return raw
}

// readFile reads the file that --config or YUBIN_CONFIG names, else the
// system's when there is one.
func (c *config) readFile(v *viper.Viper, flags *pflag.FlagSet, getenv func(string) (string, bool)) error {
	name, _ := getenv("YUBIN_CONFIG")
	if f := flags.Lookup("config"); f != nil && f.Changed {
		name = f.Value.String()
	}
	asked := name != ""
	if !asked {
		name = systemConfig
	}
	text, err := os.ReadFile(name)
	if !asked && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := c.checkNames(name, &root); err != nil {
		return err
	}
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(text)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.file = name
	return nil
}

// checkNames refuses a file with a key nobody reads, all of them at once.
func (c *config) checkNames(file string, root *yaml.Node) error {
	known := c.fileNames()
	var wrong []error
	var walk func(prefix string, n *yaml.Node)
	walk = func(prefix string, n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, value := prefix+strings.ToLower(n.Content[i].Value), n.Content[i+1]
			group := slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, name+".") })
			switch {
			case slices.Contains(known, name):
			case group && (value.Kind == yaml.MappingNode || value.Tag == "!!null"):
				walk(name+".", value)
			case group:
				wrong = append(wrong, fmt.Errorf("%s:%d: %s is a group of keys, not a value", file, n.Content[i].Line, name))
			default:
				wrong = append(wrong, fmt.Errorf("%s:%d: unknown key %s%s", file, n.Content[i].Line, name, cmp.Or(nowCalled(name, func(k key) string { return k.name }), didYouMean(name, known))))
			}
		}
	}
	for _, document := range root.Content {
		if document.Kind != yaml.MappingNode && document.Tag != "!!null" {
			return fmt.Errorf("%s:%d: lines of the form \"key: value\" are wanted", file, document.Line)
		}
		walk("", document)
	}
	return errors.Join(wrong...)
}

// fileNames are the names that may stand in a file.
func (c *config) fileNames() []string {
	var names []string
	for _, k := range c.settings.keys() {
		names = append(names, k.name)
		if k.secret {
			names = append(names, k.name+"_file")
		}
	}
	return names
}

// readSecrets takes secrets from the files that NAME_file, YUBIN_NAME_FILE
// or --name-file point to.
func (c *config) readSecrets(v *viper.Viper, flags *pflag.FlagSet, getenv func(string) (string, bool)) error {
	for _, k := range c.settings.keys() {
		if !k.secret {
			continue
		}
		path, from := v.GetString(k.name+"_file"), k.name+"_file"
		if value, ok := getenv(k.env() + "_FILE"); ok {
			path, from = value, "env "+k.env()+"_FILE"
		}
		if f := flags.Lookup(k.flag() + "-file"); f != nil && f.Changed {
			path, from = f.Value.String(), "flag --"+k.flag()+"-file"
		}
		if path == "" {
			continue
		}
		if c.origin[k.name] != "default" {
			return fmt.Errorf("%s is given twice: by %s and by %s", k.name, c.origin[k.name], from)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%s (%s): %w", k.name, from, err)
		}
		// The trailing line end makes a list of lines of a single line too,
		// so that a password in a file may always hold a comma.
		v.Set(k.name, strings.TrimRight(string(text), "\r\n")+"\n")
		c.origin[k.name] = from
	}
	return nil
}

// warnUnknown notes variables nobody reads, in one line: a Kubernetes service
// named yubin injects a dozen of them.
func (c *config) warnUnknown(environ []string) {
	known := []string{"CONFIG", "PASSWORD"}
	for _, k := range c.settings.keys() {
		name := strings.TrimPrefix(k.env(), "YUBIN_")
		known = append(known, name)
		if k.secret {
			known = append(known, name+"_FILE")
		}
	}
	var unknown []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		if rest, ours := strings.CutPrefix(name, "YUBIN_"); ours && !slices.Contains(known, rest) {
			hint := nowCalled(name, key.env)
			if meant := closest(rest, known); hint == "" && meant != "" {
				hint = " (did you mean YUBIN_" + meant + "?)"
			}
			unknown = append(unknown, name+hint)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		c.warnings = append(c.warnings, "unknown environment variables are ignored: "+strings.Join(unknown, ", "))
	}
}

// check refuses settings that each are fine and together are not.
func (c *config) check() error {
	if c.DataDir == "" {
		return errors.New("data_dir is not set: say where to keep the mail with --data-dir or YUBIN_DATA_DIR")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("tls.cert and tls.key go together: set both or neither")
	}
	if _, err := c.policies(); err != nil {
		return err
	}
	if _, err := c.trustedNetworks(); err != nil {
		return err
	}
	if _, err := c.relay(); err != nil {
		return err
	}
	if err := c.checkPolicy(); err != nil {
		return err
	}
	for _, k := range c.settings.keys() {
		p, ok := k.into.(*string)
		if !ok || !strings.HasSuffix(k.name, ".addr") || *p == "" {
			continue
		}
		host, _, err := net.SplitHostPort(*p)
		if err != nil {
			return fmt.Errorf("%s: %q is not an address such as :1143 or 127.0.0.1:1143 (from %s)", k.name, *p, c.origin[k.name])
		}
		if c.Demo && !c.DemoExposed && !isLoopback(host) {
			return fmt.Errorf("%s: a demonstration has known passwords and listens on loopback only, not on %q (from %s); "+
				"set demo_exposed if something else keeps strangers out", k.name, *p, c.origin[k.name])
		}
		if k.into == &c.HTTPAddr && !isLoopback(host) && !c.AllowPlaintext {
			return fmt.Errorf("%s: passwords would cross the network in the clear on %q (from %s); use https.addr, "+
				"or set auth.allow_plaintext if something in front adds TLS", k.name, *p, c.origin[k.name])
		}
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
