package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestBannerNamesTheProgramAsItWasTyped(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "yubin"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	if got := asTyped("bin/yubin"); got != "bin/yubin" {
		t.Errorf("outside the PATH: %q", got)
	}
	t.Setenv("PATH", folder)
	if got := asTyped("/usr/bin/yubin"); got != "yubin" {
		t.Errorf("in the PATH: %q", got)
	}
}
