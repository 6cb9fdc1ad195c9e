package main

import (
	"slices"
	"strings"
	"testing"
)

// POP3 lets one device in at a time: that is no fault the doctor has found.
func TestDoctorBesideAnotherPOP3Session(t *testing.T) {
	n, r := startNode(t, testConfig(t))
	defer stopNode(t, n)
	letterToAda(t, n)
	pop := dialTo(t, r.reach("pop3"))
	pop.hears("+OK")
	pop.says("USER ada@example.test")
	pop.hears("+OK")
	pop.says("PASS " + countess)
	pop.hears("+OK")
	d := &doctor{program: &program{tongue: english, getenv: func(string) (string, bool) { return "", false }}, cfg: n.cfg, live: &r, user: "ada@example.test", password: countess}
	d.roundTrip(t.Context())
	is := func(grade grade, what string) bool {
		return slices.ContainsFunc(d.findings, func(f finding) bool { return f.Grade == grade && strings.Contains(f.What, what) })
	}
	if is(bad, "") || !is(skipped, "POP3 lets in one device") {
		t.Errorf("%+v", d.findings)
	}
	pop.says("QUIT")
	pop.hears("+OK")
	d.findings = nil
	d.roundTrip(t.Context())
	if is(bad, "") || !is(good, "POP3 shows it") {
		t.Errorf("%+v", d.findings)
	}
}
