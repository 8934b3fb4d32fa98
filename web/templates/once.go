//go:build ignore

// Once has every component of templ compiled once. The code that templ makes is
// a short function around a long closure; where the compiler inlines the one it
// copies the other, which made the program half a megabyte larger.
//
//	go run web/templates/once.go DIRECTORY...
package main

import (
	"bytes"
	"log"
	"os"
	"path/filepath"
	"regexp"
)

// component is the first line of a component's function.
var component = regexp.MustCompile(`(?m)^func .*\) templ\.Component \{$`)

func main() {
	log.SetFlags(0)
	for _, dir := range os.Args[1:] {
		files, err := filepath.Glob(filepath.Join(dir, "*_templ.go"))
		if err != nil || len(files) == 0 {
			log.Fatalf("find the templates of %q: %v", dir, err)
		}
		for _, name := range files {
			code, err := os.ReadFile(name)
			if err != nil {
				log.Fatal(err)
			}
			if bytes.Contains(code, []byte("\n//go:noinline\n")) {
				continue // done
			}
			if err := os.WriteFile(name, component.ReplaceAll(code, []byte("//go:noinline\n$0")), 0o644); err != nil {
				log.Fatal(err)
			}
		}
	}
}
