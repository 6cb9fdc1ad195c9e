package transcript

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// scripted serves connections that say and expect what serve does, and
// returns a stage for them.
func scripted(t *testing.T, serve func(c net.Conn, r *bufio.Reader)) Stage {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c, bufio.NewReader(c))
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return Stage{
		Timeout: 20 * time.Second,
		Dial: func(ctx context.Context, proto string) (net.Conn, error) {
			if proto != "echo" {
				return nil, fmt.Errorf("no %s here", proto)
			}
			return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
		},
	}
}

// echo greets and then says every line again, after a number.
func echo(c net.Conn, r *bufio.Reader) {
	io.WriteString(c, "hello\r\n")
	for n := 1; ; n++ {
		line, err := r.ReadString('\n')
		if err != nil || line == "bye\r\n" {
			return
		}
		fmt.Fprintf(c, "%d %s", n, line)
	}
}

func parse(t *testing.T, talk string) *File {
	t.Helper()
	f, err := Parse([]byte("-- talk --\n" + talk))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPlay(t *testing.T) {
	stage := scripted(t, echo)
	for name, talk := range map[string]string{
		"exact":         "open echo\nS: hello\nC: x y\nS: 1 x y\n",
		"statements":    "open echo S: hello",
		"any rest":      "open echo\nS: {…}\nC: x\nS: 1 {...}\n",
		"holes inside":  "open echo\nS: h{…}l{x}\nC: {x}\nS: 1 {…}\n",
		"capture":       "open echo\nS: hel{rest}\nC: {rest}{rest}\nS: 1 {rest}lo\n",
		"twice at once": "open echo\nS: hello\nC: ab ab\nS: 1 {x} {x}\n",
		"skip":          "open echo\nC: x\nC: y\nC: z\n…\nS: 3 z\n",
		"skip by name":  "open a echo\na C: x\na …\na S: 1 x\n",
		"skip and send": "open echo\n…\nC: y\nS: 1 y\n",
		"escapes":       "open echo\nS: hello\nC: a\\tb\\x41\\0\\Seen\\\\c\nS: 1 a\\tbA\\0\\Seen\\\\c\n",
		"bare LF":       "open echo\nS: hello\nC: a\\n\\c\nS: 1 a\\n\\c\n",
		"bare CR":       "open echo\nS: hello\nC: a\\rb\nS: 1 a\\rb\n",
		"literal":       "open echo\nS: hello\nC: x {48+} {12}\nS: 1 x {48+} {12}\n",
		"eof":           "open echo\nS: hello\nC: bye\neof\n",
		"close, again":  "open echo\nS: hello\nclose\nopen echo\nS: hello\ndrop\nopen echo\nS: hello\n",
		"file": "open echo\nS: hello\nC: {<f+}\nS: 1 {6+}\nC: <f\nS: 2 a\nS: 3 b\nC: <f\nS: 4 a\nS: 5 b\n" +
			"-- f --\na\nb\n",
	} {
		t.Run(name, func(t *testing.T) {
			if name == "statements" {
				_, err := Parse([]byte("-- talk --\n" + talk))
				if err == nil {
					t.Fatal("a line was taken for a statement")
				}
				return
			}
			if err := Play(t.Context(), parse(t, talk), stage); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestPlayTellsWhatDiffers(t *testing.T) {
	stage := scripted(t, echo)
	for name, test := range map[string]struct{ talk, want string }{
		"line":         {"open echo\nS: hullo\n", "transcript:3: not the line expected\n\twant S: hullo\n\tgot  S: hello"},
		"context":      {"open echo\nS: hello\nC: x\nS: 2 x\n", "got  S: 1 x\n\tbefore that:\n\t\tS: hello\n\t\tC: x"},
		"captured":     {"open echo\nS: {x}\nC: y\nS: 1 {x}\n", "want S: 1 hello\n\tgot  S: 1 y"},
		"line end":     {"open echo\nS: hello\nC: x\\n\\c\nS: 1 x\n", `got  S: 1 x\n\c`},
		"silence":      {"open echo\nS: hello\nS: more\n", "nothing came within 1s\n\twant S: more"},
		"closed":       {"open echo\nS: hello\nC: bye\nS: more\n", "the connection was closed"},
		"no end":       {"open echo\nS: hello\neof\n", "waiting for the end"},
		"no such":      {"open imap\n", "no imap here"},
		"not open":     {"open a echo\nS: hello\n", `connection "" is not open`},
		"open twice":   {"open echo open echo\n", "is open already"},
		"not captured": {"open echo\nC: {x}\n", "nothing has been captured as {x}"},
		"no TLS":       {"open echo\ntls\n", "has no TLS"},
		"file":         {"open echo\nS: <f\n-- f --\nhelpo\n", "octet 3 of <f differs"},
	} {
		t.Run(name, func(t *testing.T) {
			stage := stage
			if name == "silence" || name == "no end" {
				stage.Timeout = time.Second
			}
			err := Play(t.Context(), parse(t, test.talk), stage)
			var at *Error
			if !errors.As(err, &at) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestSetup(t *testing.T) {
	f, err := Parse([]byte("# why\n-- setup --\n# people\nuser ada\n\n  user bob x\n-- talk --\n"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	stage := Stage{Setup: func(line string) error { lines = append(lines, line); return nil }}
	if err := Play(t.Context(), f, stage); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(lines, "; "); got != "user ada; user bob x" {
		t.Errorf("setup got %q", got)
	}
	if f.Comment != "# why\n" {
		t.Errorf("comment %q", f.Comment)
	}
	stage.Setup = func(string) error { return errors.New("full") }
	if err := Play(t.Context(), f, stage); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("a failing setup gave %v", err)
	}
}

func TestUpdate(t *testing.T) {
	stage := scripted(t, echo)
	stage.Update = true
	f := parse(t, "open a echo\na S: wrong # comment?\n  a C: x\\ty \na S: {…}\n")
	if err := Play(t.Context(), f, stage); err != nil {
		t.Fatal(err)
	}
	want := "-- talk --\nopen a echo\na S: hello\n  a C: x\\ty \na S: {…}\n"
	if got := string(f.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestParseErrors(t *testing.T) {
	for talk, want := range map[string]string{
		"a b\n":                        "transcript:2: not a line",
		"\n# x\nQ: x\n":                "transcript:4: not a line",
		"open\n":                       "open what?",
		"open a b c\n":                 "not the name",
		"close A\n":                    "not the name",
		"C: <f\n":                      `no file "f"`,
		"C: {<f}\n":                    `no file "f"`,
		"C: \\x4\n":                    "two hexadecimal digits",
		"C: {…}\n":                     "cannot send",
		"S: {…}\\c\n":                  "definite",
		"S: x\n-- f --\n-- f --\n":     "two sections",
		"S: x\n-- talk --\nS: y\n":     "two sections",
		"C: x\n-- setup --\n-- f --\n": "",
	} {
		_, err := Parse([]byte("-- talk --\n" + talk))
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", talk, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", talk, err, want)
		}
	}
	if _, err := Parse([]byte("nothing")); err == nil {
		t.Error("a file without talk was read")
	}
}

func TestQuote(t *testing.T) {
	for raw, want := range map[string]string{
		`FLAGS (\Seen \*)`: `FLAGS (\Seen \*)`,
		`\recent`:          `\\recent`,
		`\`:                `\\`,
		"\\\r":             `\\\r`,
		"a\r\n\t\x00\x1b":  `a\r\n\t\0\x1b`,
		"{x} {12} {…}":     `\x7bx} {12} \x7b…}`,
		"<f":               `\x3cf`,
		"x ":               `x\x20`,
		"件名　こんにちは":         "件名　こんにちは",
		"\xff\u202e":       `\xff\xe2\x80\xae`,
	} {
		if got := Quote(raw); got != want {
			t.Errorf("Quote(%q) = %s, want %s", raw, got, want)
		}
	}
}

// FuzzParse reads anything without panic, and what Quote writes is read back
// as it was.
func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range seeds {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("-- talk --\nC: \\"))
	f.Add([]byte("\\\r {x} {<f+} \xff \\c"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if file, err := Parse(data); err == nil {
			again, err := Parse(file.Bytes())
			if err != nil || len(again.Talk) != len(file.Talk) {
				t.Fatalf("read again: %v", err)
			}
			for _, step := range file.Talk {
				if step.Line < 1 || step.Line > len(file.lines) {
					t.Fatalf("line %d of %d", step.Line, len(file.lines))
				}
			}
		}
		for _, prefix := range []string{"C: ", "S: "} {
			file, err := Parse([]byte("-- talk --\n" + prefix + Quote(string(data))))
			if err != nil {
				t.Fatal(err)
			}
			parts := file.Talk[0].parts
			if len(data) == 0 && len(parts) == 0 {
				continue
			}
			if len(parts) != 1 || parts[0].kind != literal || parts[0].text != string(data) {
				t.Fatalf("%s%s is %+v", prefix, Quote(string(data)), parts)
			}
		}
	})
}
