package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Whatever builds the release builds the same one: what the Makefile leaves out
// of libraries is also left out of images, of what CI starts and of what is
// measured.
func TestTheReleaseIsBuiltAlikeEverywhere(t *testing.T) {
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	found := regexp.MustCompile(`(?m)^TAGS := (\S+)$`).FindStringSubmatch(read("Makefile"))
	if found == nil {
		t.Fatal("the Makefile names no TAGS")
	}
	for _, name := range []string{"deploy/Dockerfile", ".ci/check", "internal/bench/main.go"} {
		if !strings.Contains(read(name), found[1]) {
			t.Errorf("%s does not build with the tags %s", name, found[1])
		}
	}
}
