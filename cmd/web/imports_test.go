package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport is the table of docs/decisions/0001-imports-go-down.md: what each
// package of ours may import of ours. A package that is not here fails the
// test, so that a new one is placed on purpose.
var mayImport = map[string][]string{
	"cmd/web":                                 {"..."},
	"internal/bench":                          {"..."},
	"internal/handlers":                       {"internal/services", "web/templates", "web/static"},
	"internal/services":                       {"internal/db", "internal/services/raygun", "internal/services/logrocket", "internal/services/graphql", "internal/services/eventlog", "internal/services/markdown", "internal/services/metrics", "internal/services/upstream", "internal/services/secrets"},
	"internal/services/graphql":               {},
	"internal/services/metrics":               {},
	"internal/services/eventlog":              {},
	"internal/services/raygun":                {"internal/services/upstream", "internal/services/secrets"},
	"internal/services/logrocket":             {"internal/services/upstream", "internal/services/secrets"},
	"internal/services/markdown":              {"internal/services/logrocket", "internal/services/upstream"},
	"internal/services/upstream":              {"internal/services/secrets"},
	"internal/services/secrets":               {},
	"internal/services/sandbox":               {},
	"internal/services/sandbox/contracttest":  {},
	"internal/services/upstream/upstreamtest": {"internal/services/upstream"},
	"internal/db":                             {},
	"internal/db/dbtest":                      {"internal/db"},
	"internal/e2e":                            {},
	"web/templates":                           {},
	"web/static":                              {},
}

// testsMayImport is what any test may import beside what its package may.
var testsMayImport = []string{"internal/db", "internal/db/dbtest", "internal/services/sandbox", "internal/services/sandbox/contracttest", "internal/services/secrets", "internal/services/upstream", "internal/services/upstream/upstreamtest"}

// onlyIn names the packages that alone may know a module from outside. Tests
// may use all of them, and so may internal/bench, which measures us against the
// same modules without us.
var onlyIn = map[string][]string{
	"github.com/a-h/templ":               {"web/templates", "internal/handlers", "internal/services/sandbox"},
	"github.com/go-chi":                  {"internal/handlers"},
	"github.com/gorilla":                 {"internal/handlers"},
	"modernc.org/sqlite":                 {"internal/db"},
	"github.com/pressly/goose":           {"internal/db"},
	"github.com/riverqueue":              {"internal/db", "internal/services"},
	"github.com/tink-crypto/tink-go":     {"internal/services/secrets"},
	"github.com/failsafe-go":             {"internal/services/upstream"},
	"github.com/urfave/cli":              {"cmd/web"},
	"github.com/graphql-go/graphql":      {"internal/services/sandbox"},
	"github.com/vektah/gqlparser":        {"internal/services/graphql"},
	"github.com/tidwall/gjson":           {"internal/services/eventlog"},
	"github.com/yuin/goldmark":           {"internal/services/markdown", "internal/handlers"},
	"github.com/microcosm-cc/bluemonday": {"internal/services/markdown"},
	"github.com/chromedp":                {"internal/e2e"},
	"github.com/getkin/kin-openapi":      {"internal/services/sandbox/contracttest"},
}

// goPackage is what go list tells about a package.
type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			t.Fatalf("go list: %v\n%s", err, ee.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var list []goPackage
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		list = append(list, p)
	}
}

func TestImportsGoDown(t *testing.T) {
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, "sightline/")
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("package %s has no place in the import table", name)
			continue
		}
		for _, i := range p.Imports {
			checkImport(t, name, i, allowed)
			for module, in := range onlyIn {
				if (i == module || strings.HasPrefix(i, module+"/")) && !slices.Contains(in, name) && name != "internal/bench" {
					t.Errorf("%s imports %s, which only %v may know", name, i, in)
				}
			}
		}
		for _, i := range slices.Concat(p.TestImports, p.XTestImports) {
			checkImport(t, name+" (tests)", i, slices.Concat(allowed, testsMayImport, []string{name}))
		}
	}
}

func checkImport(t *testing.T, name, imported string, allowed []string) {
	t.Helper()
	ours, is := strings.CutPrefix(imported, "sightline/")
	if is && !slices.Contains(allowed, ours) && !slices.Contains(allowed, "...") {
		t.Errorf("%s imports %s; it may import of ours only %v", name, ours, allowed)
	}
}
