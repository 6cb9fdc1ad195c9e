package mailauth

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/yubin-mail/yubin/internal/resolve"
	"github.com/yubin-mail/yubin/internal/testdns"
)

// suiteFiles are the openspf suite and its companions, as the SPF library's
// module carries them: go has it, since we are built with it.
var suiteFiles = []string{"rfc" + "7208-tests.yml", "rfc" + "4408-tests.yml", "pyspf-tests.yml"}

// A suiteDocument is one scenario: a world of DNS, and what is asked in it.
type suiteDocument struct {
	Tests    map[string]suiteCase
	ZoneData map[string][]map[string]yaml.Node `yaml:"zonedata"`
}

type suiteCase struct {
	HELO     string `yaml:"helo"`
	Host     string
	MailFrom string    `yaml:"mailfrom"`
	Result   oneOrMore // any of these
}

type oneOrMore []string

func (o *oneOrMore) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return n.Decode((*[]string)(o))
	}
	*o = oneOrMore{n.Value}
	return nil
}

// TestSPFSuite runs every case of the suite the way a mail's sender is
// checked: from the envelope, through a resolver, to a DNS server.
func TestSPFSuite(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "blitiri.com.ar/go/spf").Output()
	if err != nil {
		t.Fatal("find the library's module: ", err)
	}
	folder := filepath.Join(strings.TrimSpace(string(out)), "testdata")
	for _, file := range suiteFiles {
		t.Run(file, func(t *testing.T) {
			ran, failed := 0, make(map[string]string)
			for _, d := range suiteDocuments(t, filepath.Join(folder, file)) {
				resolver := d.serve(t)
				for name, c := range d.Tests {
					ran++
					if got := c.run(t, resolver); !slices.Contains(c.Result, string(got)) {
						if failed[name] != "" {
							t.Errorf("there are two cases named %s", name)
						}
						failed[name] = fmt.Sprintf("%s, where %s is due", got, strings.Join(c.Result, " or "))
					}
				}
			}
			known := differing(file)
			for _, name := range slices.Sorted(maps.Keys(failed)) {
				if known[name] != failed[name] {
					t.Errorf("%s: %s", name, failed[name])
				}
			}
			for name := range known {
				if failed[name] == "" {
					t.Errorf("%s is right now: take it off the list", name)
				}
			}
			t.Logf("%d cases, of which %d are right", ran, ran-len(failed))
		})
	}
}

func suiteDocuments(t *testing.T, file string) (all []suiteDocument) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	decoder := yaml.NewDecoder(f)
	for {
		var d suiteDocument
		switch err := decoder.Decode(&d); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, d)
	}
}

func (c suiteCase) run(t *testing.T, r Resolver) Value {
	hello, sender := checkSPF(t.Context(), newLookups(r, 100), netip.MustParseAddr(c.Host).Unmap(), c.HELO, c.MailFrom)
	if c.MailFrom == "" {
		return hello.Value
	}
	return sender.Value
}

// serve makes a DNS server of a scenario, and asks it as the program does.
func (d suiteDocument) serve(t *testing.T) Resolver {
	t.Helper()
	zone := new(testdns.Zone)
	for name, records := range d.ZoneData {
		if err := addSuiteRecords(zone, name, records); err != nil {
			t.Fatal(err)
		}
	}
	server, err := testdns.Start(zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return resolve.Net{DNS: &resolve.DNS{Servers: []string{server.Addr}}}
}

// addSuiteRecords adds what the suite says of a name. Its SPF records stand
// for TXT records too, unless it names those. Types that are not named time
// out where it says TIMEOUT; a server failure is as temporary as that.
func addSuiteRecords(zone *testdns.Zone, name string, records []map[string]yaml.Node) error {
	var texts, spf []string
	hasText, timeout := false, false
	for _, record := range records {
		for kind, value := range record {
			var data string
			switch kind {
			case "TXT", "SPF":
				var pieces oneOrMore
				if err := value.Decode(&pieces); err != nil {
					return err
				}
				if kind == "SPF" {
					spf = append(spf, quotedText(pieces))
					continue
				}
				hasText = true
				if value.Value != "NONE" {
					texts = append(texts, quotedText(pieces))
				}
				continue
			case "TIMEOUT":
				timeout = true
				continue
			case "CNAMELOOP":
				kind, data = "CNAME", zoneName(name)
			case "MX":
				data = value.Content[0].Value + " " + zoneName(value.Content[1].Value)
			case "CNAME", "PTR":
				if data = zoneName(value.Value); value.Value == "" {
					continue // no DNS server would have it
				}
			default:
				data = value.Value
			}
			if err := zone.Add(zoneName(name) + " " + kind + " " + data); err != nil {
				return err
			}
		}
	}
	if !hasText {
		texts = spf
	}
	for _, text := range texts {
		if err := zone.Add(zoneName(name) + " TXT " + text); err != nil {
			return err
		}
	}
	if timeout && len(texts) == 0 {
		zone.Fail(name, testdns.Servfail)
	}
	return nil
}

// zoneName writes a name as zone files do (RFC 1035 §5.1).
func zoneName(name string) string {
	var b strings.Builder
	for _, c := range []byte(strings.TrimSuffix(name, ".")) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"();@\$`, c) >= 0 {
			fmt.Fprintf(&b, `\%03d`, c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String() + "."
}

// quotedText writes the strings of a TXT record, none longer than 255 octets.
func quotedText(pieces []string) string {
	var b strings.Builder
	for _, piece := range pieces {
		for chunk := range slices.Chunk([]byte(piece), 255) {
			b.WriteString(` "`)
			for _, c := range chunk {
				if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
					fmt.Fprintf(&b, `\%03d`, c)
					continue
				}
				b.WriteByte(c)
			}
			b.WriteByte('"')
		}
	}
	if b.Len() == 0 {
		return `""`
	}
	return b.String()
}

// difference is what the library, or we, do otherwise than the suite wants.
type difference struct {
	why       string
	ours, due string
	files     []string
	cases     string
}

var (
	newest = suiteFiles[:1]
	both   = suiteFiles[:2]
	pyspf  = suiteFiles[2:]
)

// suiteDiffers must be exact: what is right by now has to leave it. In none of
// these a client passes that the record's owner has not named before the
// mistake.
var suiteDiffers = []difference{
	{"a name that cannot be one is looked up, and is not there (RFC 7208 §7.1)", "neutral", "permerror", both,
		"a-bad-domain a-bad-toplabel a-null a-numeric a-numeric-toplabel a-only-toplabel a-only-toplabel-trailing-dot mx-bad-domain mx-bad-toplab mx-null mx-numeric-top-label"},
	{"as above", "fail", "permerror", both, "invalid-domain"},
	{"as above", "neutral", "permerror", pyspf, "baddomain"},
	{"what follows the mechanism that matches is not read (RFC 7208 §4.6)", "pass", "permerror", both, "detect-errors-anywhere redirect-is-modifier"},
	{"as above", "fail", "permerror", both, "bare-ip6 unknown-modifier-syntax"},
	{"as above", "neutral", "permerror", both, "redirect-empty-domain redirect-syntax-error"},
	{"exp= is not read: nobody is shown what it says (RFC 7208 §6.2)", "fail", "permerror", both, "exp-empty-domain exp-only-macro-char exp-twice"},
	{"as above", "neutral", "permerror", both, "exp-syntax-error"},
	{"a slash in a name is taken for a prefix length (RFC 7208 §7.1)", "permerror", "pass", both, "a-colon-domain a-colon-domain-ip4mapped mx-colon-domain mx-colon-domain-ip4mapped"},
	{"a prefix length may begin with 0 (RFC 7208 §5.6)", "pass", "permerror", both, "cidr4-032"},
	{"octets outside of the grammar are part of a name (RFC 7208 §3.1)", "fail", "permerror", both, "non-ascii-policy"},
	{"as above", "fail", "permerror", newest, "control-char-policy"},
	{"the macro p stands for unknown (RFC 7208 §7.2 has it as not to be used)", "neutral", "pass or softfail", both, "p-macro-multiple"},
	{"pyspf has a modifier of its own; RFC 7208 §6 ignores what it does not know", "neutral", "fail", pyspf, "default-modifier"},
	{"as above, and the result is none of RFC 7208 §2.6", "neutral", "ambiguous", pyspf, "default-modifier-harsh"},
}

// differing is how the cases of a file differ.
func differing(file string) map[string]string {
	all := make(map[string]string)
	for _, d := range suiteDiffers {
		if slices.Contains(d.files, file) {
			for name := range strings.FieldsSeq(d.cases) {
				all[name] = d.ours + ", where " + d.due + " is due"
			}
		}
	}
	return all
}
