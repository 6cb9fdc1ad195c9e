package transcript

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/tools/txtar"
)

// part is a piece of the text of a C: or S: line.
type part struct {
	kind partKind
	text string // literal bytes, or the name of the capture or file
}

type partKind int

const (
	literal partKind = iota
	anything
	capture
	content // the whole line is a file
	noCRLF  // \c, only as the last part
)

// Parse reads a conversation. Its errors are of type *[Error].
func Parse(data []byte) (*File, error) {
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	archive := txtar.Parse(data)
	f := &File{
		Comment: string(archive.Comment),
		files:   make(map[string][]byte),
		lines:   strings.Split(string(data), "\n"),
	}
	talk := -1
	for i, section := range archive.Files {
		_, twice := f.files[section.Name]
		switch {
		case section.Name == "setup":
			f.Setup = append(f.Setup, setupLines(string(section.Data))...)
		case section.Name == "talk" && talk < 0:
			talk = i
		case twice || section.Name == "talk":
			return nil, f.errorf(1, "there are two sections %q", section.Name)
		default:
			f.files[section.Name] = bytes.ReplaceAll(section.Data, []byte("\n"), []byte("\r\n"))
		}
	}
	if talk < 0 {
		return nil, f.errorf(1, "there is no section \"talk\"")
	}
	first := f.lineOfTalk()
	for i, line := range strings.Split(string(archive.Files[talk].Data), "\n") {
		steps, err := f.parseLine(first+i, line)
		if err != nil {
			return nil, err
		}
		f.Talk = append(f.Talk, steps...)
	}
	return f, nil
}

// lineOfTalk returns the number of the line after the talk's marker.
func (f *File) lineOfTalk() int {
	for i, line := range f.lines {
		name, ok := strings.CutPrefix(line, "-- ")
		if name, end := strings.CutSuffix(name, " --"); ok && end && strings.TrimSpace(name) == "talk" {
			return i + 2
		}
	}
	return 1
}

func setupLines(data string) (lines []string) {
	for line := range strings.Lines(data) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// parseLine reads one line of the talk.
func (f *File) parseLine(n int, line string) ([]Step, error) {
	trimmed := strings.TrimSpace(line)
	if trimmed == "" || strings.HasPrefix(trimmed, "#") {
		return nil, nil
	}
	words := strings.Fields(trimmed)
	if verbs[words[0]] != 0 {
		return f.parseStatements(n, words)
	}
	line = strings.TrimLeft(line, " \t")
	step := Step{Line: n}
	if name, rest, ok := strings.Cut(line, " "); ok && isName(name) {
		step.Conn, line = name, strings.TrimLeft(rest, " ")
	}
	switch {
	case strings.TrimSpace(line) == "…" || strings.TrimSpace(line) == "...":
		step.Verb = Skip
		return []Step{step}, nil
	case strings.HasPrefix(line, "C:"):
		step.Verb = Send
	case strings.HasPrefix(line, "S:"):
		step.Verb = Expect
	default:
		return nil, f.errorf(n, "not a line of a conversation: %s", line)
	}
	step.Text = strings.TrimPrefix(line[2:], " ")
	var err error
	step.parts, err = f.parseText(n, step.Text)
	if err == nil {
		err = f.check(&step)
	}
	return []Step{step}, err
}

// check refuses what cannot be played.
func (f *File) check(step *Step) error {
	for _, p := range step.parts {
		if p.kind != anything {
			continue
		}
		if step.Verb == Send {
			return f.errorf(step.Line, "a C: line cannot send just anything")
		}
		if step.parts[len(step.parts)-1].kind == noCRLF {
			return f.errorf(step.Line, `only definite bytes can be expected without a line end (\c)`)
		}
	}
	return nil
}

// parseStatements reads a line such as "open a imap  open b imap".
func (f *File) parseStatements(n int, words []string) (steps []Step, err error) {
	for len(words) > 0 {
		step := Step{Line: n, Verb: verbs[words[0]]}
		end := 1
		for end < len(words) && verbs[words[end]] == 0 {
			end++
		}
		args := words[1:end]
		words = words[end:]
		if step.Verb == Open {
			if len(args) == 0 {
				return nil, f.errorf(n, "open what?")
			}
			step.Text, args = args[len(args)-1], args[:len(args)-1]
		}
		if len(args) > 1 || len(args) == 1 && !isName(args[0]) {
			return nil, f.errorf(n, "not the name of a connection: %s", strings.Join(args, " "))
		}
		if len(args) == 1 {
			step.Conn = args[0]
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// parseText cuts the text of a C: or S: line into its parts.
func (f *File) parseText(n int, text string) (parts []part, err error) {
	if name, ok := strings.CutPrefix(text, "<"); ok {
		if _, ok := f.files[name]; !ok {
			return nil, f.errorf(n, "there is no file %q", name)
		}
		return []part{{content, name}}, nil
	}
	var lit []byte
	flush := func() {
		if len(lit) > 0 {
			parts, lit = append(parts, part{literal, string(lit)}), nil
		}
	}
	for i := 0; i < len(text); {
		if text[i] == '\\' && i+1 < len(text) {
			c := text[i+1]
			if raw, ok := escapes[c]; ok {
				lit, i = append(lit, raw), i+2
				continue
			}
			if c == 'c' && i+2 == len(text) {
				flush()
				return append(parts, part{kind: noCRLF}), nil
			}
			if c == 'x' {
				if v, err := strconv.ParseUint(text[i+2:min(i+4, len(text))], 16, 8); err == nil && i+4 <= len(text) {
					lit, i = append(lit, byte(v)), i+4
					continue
				}
				return nil, f.errorf(n, `\x needs two hexadecimal digits`)
			}
		}
		hole := holeAt(text[i:])
		if hole == "" {
			lit, i = append(lit, text[i]), i+1
			continue
		}
		i += len(hole)
		inside := hole[1 : len(hole)-1]
		if inside[0] == '<' {
			name, plus := strings.CutSuffix(inside[1:], "+")
			data, ok := f.files[name]
			if !ok {
				return nil, f.errorf(n, "there is no file %q", name)
			}
			lit = strconv.AppendInt(append(lit, '{'), int64(len(data)), 10)
			if plus {
				lit = append(lit, '+')
			}
			lit = append(lit, '}')
			continue
		}
		flush()
		if isName(inside) {
			parts = append(parts, part{capture, inside})
		} else {
			parts = append(parts, part{kind: anything})
		}
	}
	flush()
	return parts, nil
}

// Bytes returns the file as text, with what [Play] has updated in it.
func (f *File) Bytes() []byte { return []byte(strings.Join(f.lines, "\n")) }

// rewrite makes the S: line of a step expect text.
func (f *File) rewrite(step *Step, text string) {
	line := f.lines[step.Line-1]
	before, _, _ := strings.Cut(line, "S:")
	f.lines[step.Line-1] = strings.TrimRight(before+"S: "+text, " ")
	step.Text = text
}
