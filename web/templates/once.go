//go:build ignore

// Once has the code that templ makes compiled once. A component is a short
// function around a long closure, and templ's own GeneratedTemplate is another;
// where the compiler inlines such a function it copies the closure, which made
// the program 0.9 MB larger. What it does with an expression that failed it does
// in one place, too. And it leaves the quotes out that HTML needs only around
// values with spaces or signs in them.
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

// fault is where templ says in which line of a template an expression failed, and
// makes a value of five words for it each time.
var fault = regexp.MustCompile("return templ\\.Error\\{Err: (\\w+), FileName: (`[^`]*`), Line: (\\d+), Col: (\\d+)\\}")

// component is the first line of a component's function.
var component = regexp.MustCompile(`(?m)^func .*\) templ\.Component \{$`)

// written is what templ writes as it stands, opening a tag in it, and quoted a
// value whose quotes can go.
var (
	written = regexp.MustCompile(`templruntime\.WriteString\(templ_7745c5c3_Buffer, \d+, ".*"\)`)
	opening = regexp.MustCompile(`<[a-z][^<>]*`)
	quoted  = regexp.MustCompile(`( [a-z-]+)=\\"([\w./#-]+)\\"([ >]|$)`)
)

// unquote takes the quotes in one piece of HTML away. Values that stand side by
// side share the space between them, so it looks twice.
func unquote(html []byte) []byte {
	return opening.ReplaceAllFunc(html, func(tag []byte) []byte {
		for range 2 {
			tag = quoted.ReplaceAll(tag, []byte("$1=$2$3"))
		}
		return tag
	})
}

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
			code = component.ReplaceAll(code, []byte("//go:noinline\n$0"))
			code = bytes.ReplaceAll(code, []byte("//go:noinline\n//go:noinline\n"), []byte("//go:noinline\n")) // run twice
			code = bytes.ReplaceAll(code, []byte("templruntime.GeneratedTemplate("), []byte("generated("))
			code = fault.ReplaceAll(code, []byte("return failed($1, $2, $3, $4)"))
			code = written.ReplaceAllFunc(code, unquote)
			if err := os.WriteFile(name, code, 0o644); err != nil {
				log.Fatal(err)
			}
		}
	}
}
