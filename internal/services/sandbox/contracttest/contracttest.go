// Package contracttest checks HTTP traffic in tests against the documents that
// the vendors publish: the stand-ins' answers and the clients' requests alike.
//
// The documents lie in shared/spec beside the repository and are no part of it.
package contracttest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// Validator holds the LogRocket documents, REST and GraphQL, or that of Raygun
// API v3. It is safe for use by many goroutines.
type Validator struct {
	ops    []operation
	scheme string // of the Authorization header: "token" or "Bearer"
	off    bool   // the documents are missing: everything passes
}

type operation struct {
	route  routers.Route
	path   *regexp.Regexp // over the escaped path
	params []string
}

const missing = "the vendors' documents are not here: put them into shared/spec beside the repository to check against them"

// specDir finds shared/spec above the working directory; empty if there is none.
func specDir(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		spec := filepath.Join(dir, "shared", "spec")
		if _, err := os.Stat(filepath.Join(spec, "logrocket-rest-api-openapi.yml")); err == nil {
			return spec
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// SpecDir finds shared/spec above the working directory. Where it is missing the
// test is skipped with a sentence, or fails if the environment has CI set: there
// it always is.
func SpecDir(t testing.TB) string {
	t.Helper()
	dir := specDir(t)
	if dir == "" {
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return dir
}

// Optional is Load for tests that are worth running without the documents too:
// where they are missing it says so and gives a Validator that lets everything
// pass, or fails the test if the environment has CI set.
func Optional(t testing.TB) *Validator {
	t.Helper()
	return optional(t, Load)
}

func optional(t testing.TB, load func(testing.TB) *Validator) *Validator {
	t.Helper()
	if specDir(t) == "" && os.Getenv("CI") == "" {
		t.Log(missing)
		return &Validator{off: true}
	}
	return load(t)
}

// Load reads the LogRocket documents, or skips or fails like SpecDir.
func Load(t testing.TB) *Validator {
	t.Helper()
	return load(t, "token", "logrocket-rest-api-openapi.yml", "logrocket-graphql-api-openapi.yml")
}

func load(t testing.TB, scheme string, names ...string) *Validator {
	t.Helper()
	dir := SpecDir(t)
	v := &Validator{scheme: scheme}
	for _, name := range names {
		if err := v.add(filepath.Join(dir, name)); err != nil {
			t.Fatalf("read %s: %v", name, err)
		}
	}
	return v
}

func (v *Validator) add(file string) error {
	doc, err := openapi3.NewLoader().LoadFromFile(file)
	if err != nil {
		return err
	}
	if doc.IsOpenAPI31OrLater() {
		err = doc.Validate(context.Background(), openapi3.IsOpenAPI31OrLater())
	} else {
		mend(doc)
		err = doc.Validate(context.Background(), openapi3.DisableExamplesValidation()) // one is wrong as published
	}
	if err != nil {
		return err
	}
	base, err := url.Parse(doc.Servers[0].URL)
	if err != nil {
		return err
	}
	param := regexp.MustCompile(`\\\{([^}]+)\\\}`)
	for path, item := range doc.Paths.Map() {
		quoted := regexp.QuoteMeta(base.Path + path)
		var params []string
		for _, m := range param.FindAllStringSubmatch(quoted, -1) {
			params = append(params, m[1])
		}
		re, err := regexp.Compile("^" + param.ReplaceAllString(quoted, "([^/]+)") + "$")
		if err != nil {
			return err
		}
		for method, op := range item.Operations() {
			v.ops = append(v.ops, operation{routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op}, re, params})
		}
	}
	return nil
}

func (v *Validator) find(r *http.Request) (*operation, map[string]string) {
	for i := range v.ops {
		op := &v.ops[i]
		m := op.path.FindStringSubmatch(r.URL.EscapedPath())
		if m == nil || op.route.Method != r.Method {
			continue
		}
		params := map[string]string{}
		for k, name := range op.params {
			params[name], _ = url.PathUnescape(m[k+1])
		}
		return op, params
	}
	return nil, nil
}

// Operation is the operationId of a request, whatever its host; empty if the
// documents have none for it.
func (v *Validator) Operation(r *http.Request) string {
	if op, _ := v.find(r); op != nil {
		return op.route.Operation.OperationID
	}
	return ""
}

func (v *Validator) input(r *http.Request, body []byte) (*openapi3filter.RequestValidationInput, error) {
	op, params := v.find(r)
	if op == nil {
		return nil, fmt.Errorf("%s %s is no operation of the contract", r.Method, r.URL.EscapedPath())
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: &op.route, Options: &openapi3filter.Options{
		IncludeResponseStatus: true, SkipSettingDefaults: true,
		AuthenticationFunc: func(_ context.Context, in *openapi3filter.AuthenticationInput) error {
			if key, ok := strings.CutPrefix(in.RequestValidationInput.Request.Header.Get("Authorization"), v.scheme+" "); !ok || key == "" {
				return fmt.Errorf(`the Authorization header is not of the form "%s <key>"`, v.scheme)
			}
			return nil
		},
	}}, nil
}

// CheckRequest says what the contract does not allow in a request: its path,
// method, parameters, key header or body. r's own body is not read.
func (v *Validator) CheckRequest(r *http.Request, body []byte) error {
	if v.off {
		return nil
	}
	in, err := v.input(r, body)
	if err != nil {
		return err
	}
	return openapi3filter.ValidateRequest(r.Context(), in)
}

// CheckResponse says what the contract does not allow in the answer to r: its
// status, content type or body. The documents do not forbid further fields; a
// field that no document names is refused all the same, because that is how one
// dialect differs from the other.
func (v *Validator) CheckResponse(r *http.Request, status int, header http.Header, body []byte) error {
	if v.off {
		return nil
	}
	in, err := v.input(r, nil)
	if err != nil {
		return err
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: header, Options: in.Options}
	out.SetBodyBytes(body)
	if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
		return err
	}
	resp := in.Route.Operation.Responses.Status(status)
	if resp == nil || resp.Value.Content["application/json"] == nil {
		return nil
	}
	var got any
	if err := json.Unmarshal(body, &got); err != nil {
		return err
	}
	return unnamed("", got, resp.Value.Content["application/json"].Schema.Value)
}

// Transport passes requests on to next and reports each request and answer that
// the contract does not allow as an error of the test. Requests that are no
// operation of the documents (another vendor's, an export file's) pass unchecked.
// Use it where the contract's dialect is spoken; CheckRequest alone suits the other.
func (v *Validator) Transport(t testing.TB, next http.RoundTripper) http.RoundTripper {
	return &transport{t, v, next}
}

type transport struct {
	t    testing.TB
	v    *Validator
	next http.RoundTripper
}

func (p *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	op := p.v.Operation(r)
	if op == "" {
		return p.next.RoundTrip(r)
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	if err := p.v.CheckRequest(r, body); err != nil {
		p.t.Errorf("request of %s is not in the contract: %v", op, err)
	}
	resp, err := p.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	if err := p.v.CheckResponse(r, resp.StatusCode, resp.Header, answer); err != nil {
		p.t.Errorf("answer of %s is not in the contract: %v\n%.500s", op, err, answer)
	}
	return resp, nil
}
