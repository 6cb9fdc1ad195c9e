package wiretap

import "strings"

// Log is a session that somebody who takes part in it tells the tap of,
// because there are no lines on a wire to listen to. A nil Log keeps nothing.
type Log struct{ record *record }

// Log begins a session of a user. It returns nil when that is not recorded.
// proto must not be one that Listen takes.
func (t *Tap) Log(proto, security, local, remote, user string, optedIn bool) *Log {
	if !t.Enabled() || family(proto) != "" || !optedIn && !t.config.Everyone {
		return nil
	}
	l := &Log{newRecord(t, local, remote, proto, security, ServerSide)}
	l.record.setUser(user, optedIn)
	return l
}

// Say keeps a line. The caller leaves out secrets. It reports false when the
// session is not kept any more.
func (l *Log) Say(dir Dir, text string) bool {
	if l == nil || !l.record.tap.Enabled() {
		return false
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '\uFFFD'
		}
		return r
	}, text)
	r := l.record
	r.mu.Lock()
	kept := !r.dropped && !r.ended.Load()
	if kept {
		r.keep(Line{Dir: dir, Text: text[:min(len(text), maxText)], End: "\r\n", Cut: max(0, len(text)-maxText)})
	}
	r.mu.Unlock()
	r.tap.evictIfOver()
	return kept
}

// End ends the session.
func (l *Log) End() {
	if l != nil {
		l.record.end()
	}
}
