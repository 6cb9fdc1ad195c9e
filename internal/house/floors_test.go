package house

import (
	"go/parser"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/yubin-mail/yubin/"

// floors says on which floor each package lives. Imports point down only, so
// siblings never import siblings. A new folder needs a line here, and a
// reason in docs/decisions.md.
var floors = map[string]float64{
	"cmd/yubin": 3,

	"webd": 2.5, // shows the lab, and so stands above it

	"smtpd": 2,
	"pop3d": 2,
	"imapd": 2,
	"relay": 2,
	"lab":   2,

	"internal/auth": 1.5, // what the three protocols' logins share

	"store": 1,

	"wiretap":           0.5,  // prints what transcript reads, and stands on listen
	"internal/mailauth": 0.5,  // finds authors with message
	"internal/resolve":  0.25, // its tests ask testdns, those of mailauth ask it

	"internal/listen":     0,
	"internal/message":    0,
	"internal/pki":        0,
	"internal/testdns":    0,
	"internal/transcript": 0,
}

// forTests are packages that only tests may import, or that are one. They
// may import everything themselves.
var forTests = []string{"internal/mailtest", "internal/leak", "internal/transcript/transcripttest", "internal/house"}

// belongs says where a package that is not ours may be imported: in these
// folders and below, and in forTests.
var belongs = []struct {
	path    string
	folders []string
	why     string
}{
	{"github.com/spf13/viper", []string{"cmd"}, "packages take plain Config structs"},
	{"github.com/spf13/cobra", []string{"cmd"}, "packages take plain Config structs"},
	{"github.com/spf13/pflag", []string{"cmd"}, "packages take plain Config structs"},
	{"database/sql", []string{"store"}, "only store speaks SQL"},
	{"github.com/mattn/go-sqlite3", []string{"store"}, "only store speaks SQL"},
	{"github.com/emersion/go-smtp", []string{"smtpd", "relay", "lab", "cmd"}, "a protocol's types stay at the edge"},
	{"github.com/emersion/go-imap", []string{"imapd", "lab", "cmd"}, "a protocol's types stay at the edge"},
	{"github.com/emersion/go-sasl", []string{"internal/auth", "smtpd", "pop3d", "imapd", "relay", "lab", "cmd"}, "a protocol's types stay at the edge"},
	{"testing", nil, "it is for tests"},
}

// under reports whether path is one of the folders, or below one.
func under(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool {
		return path == f || strings.HasPrefix(path, f+"/")
	})
}

func TestImportsPointDown(t *testing.T) {
	unknown := make(map[string]bool)
	for _, f := range files(t, ".go") {
		if strings.Contains(f.name, "testdata/") {
			continue
		}
		from := f.folder()
		floor, known := floors[from]
		if !known && !slices.Contains(forTests, from) && !unknown[from] {
			unknown[from] = true
			t.Errorf("%s has no floor: give it one in this test's table", from)
		}
		set, file := f.parse(t, parser.ImportsOnly)
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			at := set.Position(spec.Pos())
			to, ours := strings.CutPrefix(path, module)
			switch {
			case slices.Contains(forTests, from):
			case !ours:
				checkForeign(t, at.String(), f, path)
			case slices.Contains(forTests, to):
				if !f.isTest() {
					t.Errorf("%s: %s is for tests only", at, to)
				}
			case to == from: // a test outside its package
			case known && floors[to] >= floor:
				t.Errorf("%s: %s (floor %v) must not import %s (floor %v)", at, from, floor, to, floors[to])
			}
		}
	}
}

// checkForeign checks an import of a package that is not ours. Tests may
// look at a protocol from the other side, with its client.
func checkForeign(t *testing.T, at string, f source, path string) {
	t.Helper()
	for _, b := range belongs {
		protocol := strings.HasPrefix(b.path, "github.com/emersion/")
		allowed := under(f.folder(), b.folders...) || f.isTest() && (protocol || b.path == "testing")
		if under(path, b.path) && !allowed {
			t.Errorf("%s: %s must not import %s: %s", at, f.folder(), path, b.why)
		}
	}
}

// TestTheTableIsNotStale fails for floors of packages that are gone. Those
// the architecture names but which are not built yet may stay.
func TestTheTableIsNotStale(t *testing.T) {
	exists := map[string]bool{"webd": true, "relay": true, "lab": true}
	for _, f := range files(t, ".go") {
		exists[f.folder()] = true
	}
	for folder := range floors {
		if !exists[folder] {
			t.Errorf("%s is in the table of floors but does not exist", folder)
		}
	}
}
