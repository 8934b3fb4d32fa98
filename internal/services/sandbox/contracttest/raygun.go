package contracttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Raygun publishes its response models as commented examples, not as schemas.
// These are those models, one field a line: path, type, and "?" where the
// comments say that it can be null.

const raygunUserModel = `
user.id int
user.isAnonymous bool
user.identifier string
user.firstName string
user.fullName string
user.emailAddress string
user.firstSeen time?
user.lastSeen time?
user.links.web string
browser.name string
browser.version string
platform.name string
os.name string
os.version string
location.country string
location.ipAddress string
`

const raygunTimesModel = `
id int
sessionStart time
sessionUpdated time
sessionEnd time?
sessionLength int
status string
links.self string
links.web string
`

// RaygunModel is the response model of a Raygun operation (authenticate,
// sessions or session) as lines of "path type"; list items have [] in their
// path. It panics for another name.
func RaygunModel(operation string) []string {
	under := func(prefix, model string) []string {
		var out []string
		for l := range strings.Lines(model) {
			if l = strings.TrimSpace(l); l != "" {
				out = append(out, prefix+l)
			}
		}
		return out
	}
	switch operation {
	case "authenticate":
		return []string{"sessionKey string"}
	case "sessions":
		out := []string{"totalSessions int", "links.self string", "links.next string?", "links.previous string?", "sessions[].pageViewCount int"}
		return append(append(out, under("sessions[].", raygunUserModel)...), under("sessions[].", raygunTimesModel)...)
	case "session":
		out := under("session.", `
satisfactionRating string
location.ipLookup.country string
location.ipLookup.state string
location.ipLookup.city string
errors[].groupId int
errors[].instanceId int
errors[].title string
errors[].links.web string
pageViews[].page string
pageViews[].loadingTime int
pageViews[].viewingTime int
pageViews[].viewedOn time
`)
		return append(append(out, under("session.", raygunUserModel)...), under("session.", raygunTimesModel)...)
	}
	panic("no Raygun operation " + operation)
}

// CheckRaygun says in which fields the body of a success differs from the
// operation's response model: one that the model has not, that is missing, or
// that is of another type. A missing satisfactionRating is let pass: real
// sessions may be without one.
func CheckRaygun(operation string, body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var got any
	if err := dec.Decode(&got); err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	types := map[string]string{}
	for _, l := range RaygunModel(operation) {
		path, kind, _ := strings.Cut(l, " ")
		types[path] = kind
	}
	return checkModel("", got, types)
}

func checkModel(at string, got any, types map[string]string) error {
	if want, leaf := types[at]; leaf {
		return checkLeaf(at, got, want)
	}
	switch got := got.(type) {
	case map[string]any:
		return checkObject(at, got, types)
	case []any:
		for _, x := range got {
			if err := checkModel(at+"[]", x, types); err != nil {
				return err
			}
		}
		if !hasUnder(types, at+"[]") {
			return fmt.Errorf("%s is a list, the model has none there", at)
		}
		return nil
	}
	return fmt.Errorf("%s is %v, which the model has not", at, got)
}

func checkObject(at string, got map[string]any, types map[string]string) error {
	prefix := ""
	if at != "" {
		prefix = at + "."
	}
	for k, x := range got {
		if !hasUnder(types, prefix+k) {
			return fmt.Errorf("the model has no field %s%s", prefix, k)
		}
		if err := checkModel(prefix+k, x, types); err != nil {
			return err
		}
	}
	for path := range types {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(rest, ".")
		name = strings.TrimSuffix(name, "[]")
		if _, ok := got[name]; !ok && name != "satisfactionRating" {
			return fmt.Errorf("%s%s is missing", prefix, name)
		}
	}
	return nil
}

func hasUnder(types map[string]string, path string) bool {
	for p := range types {
		if p == path || strings.HasPrefix(p, path+".") || strings.HasPrefix(p, path+"[]") {
			return true
		}
	}
	return false
}

func checkLeaf(at string, got any, want string) error {
	if got == nil && strings.HasSuffix(want, "?") {
		return nil
	}
	ok := false
	switch want = strings.TrimSuffix(want, "?"); x := got.(type) {
	case string:
		ok = want == "string"
		if want == "time" {
			_, err := time.Parse(time.RFC3339Nano, x)
			ok = err == nil && strings.HasSuffix(x, "Z")
		}
	case json.Number:
		_, err := x.Int64()
		ok = want == "int" && err == nil
	case bool:
		ok = want == "bool"
	}
	if !ok {
		return fmt.Errorf("%s is %v, the model has a %s there", at, got, want)
	}
	return nil
}

// ReadModel makes the same lines from a commented example in Raygun's page.
func ReadModel(example string) ([]string, error) {
	var clean strings.Builder
	nullable, null := map[int]bool{}, false
	lines := 0
	for l := range strings.Lines(example) {
		if t := strings.TrimSpace(l); strings.HasPrefix(t, "//") {
			null = strings.Contains(t, "can be null")
			continue
		}
		nullable[lines], null = null, false
		lines++
		clean.WriteString(l)
	}
	dec := json.NewDecoder(strings.NewReader(clean.String()))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for i, l := range strings.Split(clean.String(), "\n") {
		if nullable[i] {
			if _, rest, ok := strings.Cut(l, `"`); ok {
				name, _, _ := strings.Cut(rest, `"`)
				names[name] = true
			}
		}
	}
	var out []string
	flatten("", v, names, &out)
	slices.Sort(out)
	return out, nil
}

func flatten(at string, v any, nullable map[string]bool, out *[]string) {
	kind := ""
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			flatten(strings.TrimPrefix(at+"."+k, "."), x, nullable, out)
		}
		return
	case []any:
		for _, x := range v {
			flatten(at+"[]", x, nullable, out)
		}
		return
	case string:
		kind = "string"
		if _, err := time.Parse(time.RFC3339Nano, v); err == nil {
			kind = "time"
		}
	case json.Number:
		kind = "int"
	case bool:
		kind = "bool"
	}
	if nullable[at[strings.LastIndex(at, ".")+1:]] {
		kind += "?"
	}
	*out = append(*out, at+" "+kind)
}
