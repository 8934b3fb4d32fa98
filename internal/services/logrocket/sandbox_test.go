package logrocket_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/logrocket"
	"sightline/internal/services/sandbox"
	"sightline/internal/services/sandbox/contracttest"
	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
	"sightline/internal/services/upstream/upstreamtest"
)

func startSandbox(t *testing.T, dialect sandbox.Dialect) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.Start(t.Context(), sandbox.Options{Customers: 60, Sessions: 900, Days: 10, Dialect: dialect, HighlightDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func sandboxClient(t *testing.T, s *sandbox.Sandbox, change ...func(*logrocket.Options)) (*logrocket.Client, *upstreamtest.Ledger) {
	t.Helper()
	creds := s.Credentials()
	return client(t, s.LogRocketURL()+"/", append([]func(*logrocket.Options){func(o *logrocket.Options) {
		o.AppURL, o.OrgSlug, o.AppSlug, o.Key = s.LogRocketAppURL(), creds.LogRocketOrg, creds.LogRocketApp, secrets.New(creds.LogRocketKey)
	}}, change...)...)
}

func TestEveryOperationWorksInBothDialects(t *testing.T) {
	for _, dialect := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		t.Run(string(dialect), func(t *testing.T) {
			s := startSandbox(t, dialect)
			var learnt logrocket.Dialect
			c, ledger := sandboxClient(t, s, func(o *logrocket.Options) { o.OnDialect = func(d logrocket.Dialect) { learnt = d } })
			useEverything(t, s, c)
			if want := map[sandbox.Dialect]string{sandbox.DialectContract: "slash", sandbox.DialectLive: "bare"}[dialect]; learnt.HighlightsGet != want || learnt.HighlightsPost != "slash" {
				t.Errorf("learnt %+v, want the GET %s", learnt, want)
			}
			// The server changes under us: what was learnt must not be in the way.
			other := sandbox.DialectLive
			if dialect == other {
				other = sandbox.DialectContract
			}
			s.SetDialect(other)
			useEverything(t, s, c)

			rows, calls := ledger.Rows(), s.Calls()
			if len(rows) != len(calls) {
				t.Fatalf("%d ledger rows, the server saw %d requests", len(rows), len(calls))
			}
			for i, row := range rows {
				if row.Ends != 1 || row.Counts || row.Method != calls[i].Method || row.Outcome.Status != calls[i].Status {
					t.Errorf("row %d: %+v, the server saw %+v", i, row, calls[i])
				}
			}
		})
	}
}

// TestRequestsFollowTheContract holds each request against the vendor's
// documents on its way to the stand-in.
func TestRequestsFollowTheContract(t *testing.T) {
	documents := contracttest.Load(t)
	s := startSandbox(t, sandbox.DialectContract)
	target, err := url.Parse(s.LogRocketURL())
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	checked, fetched, bare, audited := 0, 0, 0, 0
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		switch {
		case documents.Operation(r) == "" && strings.HasSuffix(r.URL.Path, "/highlights"): // after the 404 for the unknown request
			bare++
		case strings.HasSuffix(r.URL.Path, "/apps/web/audit/logs/"): // which no document of the contract has
			audited++
			if q := r.URL.Query(); r.Method != http.MethodGet || q.Get("limit") == "" || len(q) > 2 || !strings.HasPrefix(r.Header.Get("Authorization"), "token ") {
				t.Errorf("%s %s is not what LogRocket's page about the audit log shows", r.Method, r.URL)
			}
		case documents.Operation(r) != "":
			checked++
			if err := documents.CheckRequest(r, body); err != nil {
				t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		pass.ServeHTTP(w, r)
	}))
	defer gate.Close()
	c, ledger := sandboxClient(t, s, func(o *logrocket.Options) { o.BaseURL = gate.URL })
	useEverything(t, s, c)
	for _, row := range ledger.Rows() {
		if row.Operation == "fetchExport" {
			fetched++
		}
	}
	if rows := len(ledger.Rows()); checked < 10 || audited == 0 || checked+fetched+bare+audited != rows || bare != 1 {
		t.Errorf("of %d requests %d are operations of the contract, %d fetches, %d asks for highlights in the live form, %d pages of the audit log", rows, checked, fetched, bare, audited)
	}
}

// useEverything makes every operation once and checks its answer.
func useEverything(t *testing.T, s *sandbox.Sandbox, c *logrocket.Client) {
	t.Helper()
	ctx := t.Context()
	check, err := c.Check(ctx)
	if err != nil || !strings.Contains(check.Sentence, "accepted the key for acme/web") {
		t.Fatalf("check: %+v, %v", check, err)
	}

	for _, id := range []string{s.Company().Demo()[0].UserID, "google-oauth2|abc", "a/b", "ü@x", "50% off?"} {
		user, err := c.UpdateUser(ctx, id, logrocket.UserUpdate{Name: ptr("N"), Traits: map[string]any{"seats": 7, "vip": true, "plan": "pro", "old": ""}})
		if err != nil || user.UserID != id || *user.Name != "N" || user.Traits["seats"] != "7" || user.Traits["vip"] != "true" || user.Traits["plan"] != "pro" {
			t.Fatalf("user %q: %+v, %v", id, user, err)
		}
		if _, _, traits, ok := s.LogRocketUser(id); !ok || traits["plan"] != "pro" {
			t.Errorf("the server has no user %q", id)
		}
	}

	var last logrocket.ExportPage
	files := 0
	for q := (logrocket.ExportQuery{Limit: 5}); ; q.Cursor = last.Cursor {
		page, err := c.ListDataExports(ctx, q)
		if err != nil || page.Unreadable != 0 {
			t.Fatalf("exports: %+v, %v", page, err)
		}
		if files == 0 && len(page.Sessions) > 0 {
			export, err := c.FetchExport(ctx, page.Sessions[0].URL, upstream.Resume{})
			if err != nil {
				t.Fatal(err)
			}
			lines, err := io.ReadAll(export)
			if z, packed := gzip.NewReader(bytes.NewReader(lines)); packed == nil {
				lines, err = io.ReadAll(z)
			}
			if err := export.Close(); err != nil {
				t.Error(err)
			}
			first, _, _ := strings.Cut(string(lines), "\n")
			if err != nil || !json.Valid([]byte(first)) {
				t.Fatalf("export begins %q, %v", first, err)
			}
		}
		files += len(page.Sessions)
		if last = page; page.Last || files > 20 {
			break
		}
	}
	if files == 0 {
		t.Error("no exports")
	}

	watched, entries := 0, 0
	for q := (logrocket.AuditQuery{Limit: 50}); ; {
		page, err := c.ListAuditLogs(ctx, q)
		if err != nil || page.Unreadable != 0 {
			t.Fatalf("audit log: %+v, %v", page, err)
		}
		for _, e := range page.Entries {
			if entries++; e.At.IsZero() || e.User == "" || e.Action == "" {
				t.Errorf("audit entry %+v", e)
			}
			if e.Action == "Viewed session" && e.RecordingID != "" && e.SessionID != "" {
				watched++
			}
		}
		if !page.More {
			break
		}
		if page.Cursor == q.Cursor || entries > 10_000 {
			t.Fatalf("the audit log does not end: %+v", page)
		}
		q.Cursor = page.Cursor
	}
	if watched == 0 || entries != s.Company().Audited() {
		t.Errorf("%d entries of the audit log, %d of them about recordings, want %d", entries, watched, s.Company().Audited())
	}

	asked, err := c.CreateHighlights(ctx, logrocket.HighlightsRequest{UserID: s.Company().Demo()[0].UserID, Question: "What happened?"})
	if err != nil {
		t.Fatal(err)
	}
	var got logrocket.HighlightsAnswer
	for deadline := time.Now().Add(10 * time.Second); got.Status != logrocket.Done && time.Now().Before(deadline); {
		if got, err = c.GetHighlights(ctx, asked.RequestID); err != nil {
			t.Fatal(err)
		}
	}
	if got.Status != logrocket.Done || got.Result == nil || got.Result.Highlights == "" || len(got.Result.Sessions) == 0 || got.RequestID != asked.RequestID {
		t.Fatalf("highlights %+v", got)
	}
	for _, one := range got.Result.Sessions {
		if address := c.SessionURL(one.RecordingID, one.SessionID, time.Time{}); !strings.HasPrefix(address, s.LogRocketAppURL()) {
			t.Errorf("no address for %+v", one)
		}
	}
	_, err = c.GetHighlights(ctx, strings.Repeat("0", 64))
	wantKind(t, err, upstream.NotFound)

	answer, err := c.ExecuteGraphQL(ctx, logrocket.GraphQLRequest{Query: `query Q { __schema { queryType { name } } }`, OperationName: "Q"})
	if err != nil || len(answer.Errors) != 0 || !strings.Contains(string(answer.Data), "queryType") {
		t.Fatalf("graphql: %+v, %v", answer, err)
	}
	answer, err = c.ExecuteGraphQL(ctx, logrocket.GraphQLRequest{Query: `{ noSuchField }`})
	if err != nil || len(answer.Errors) == 0 || answer.Errors[0].Message == "" {
		t.Fatalf("graphql error: %+v, %v", answer, err)
	}
}

func TestEveryFaultHasItsKindAndTheRightNumberOfRequests(t *testing.T) {
	kinds := map[sandbox.FaultKind]upstream.Kind{
		sandbox.FaultUnauthorized: upstream.WrongKey, sandbox.FaultForbidden: upstream.Forbidden, sandbox.FaultNotFound: upstream.NotFound,
		sandbox.FaultRateLimited: upstream.RateLimited, sandbox.FaultServerError: upstream.Down, sandbox.FaultBadGateway: upstream.Down,
		sandbox.FaultUnavailable: upstream.Down, sandbox.FaultTimeout: upstream.Down, sandbox.FaultGarbage: upstream.Unexpected,
		sandbox.FaultEmpty: upstream.Unexpected, sandbox.FaultWrongType: upstream.Unexpected, sandbox.FaultCut: upstream.Down,
		sandbox.FaultDrop: upstream.Down, sandbox.FaultLost: upstream.Down,
	}
	repeated := map[sandbox.FaultKind]bool{
		sandbox.FaultBadGateway: true, sandbox.FaultUnavailable: true, sandbox.FaultTimeout: true, sandbox.FaultCut: true, sandbox.FaultDrop: true, sandbox.FaultLost: true,
	}
	ctx := t.Context()
	operations := map[string]struct {
		call  func(c *logrocket.Client) error
		reads bool
	}{
		"listDataExports": {func(c *logrocket.Client) error { _, err := c.ListDataExports(ctx, logrocket.ExportQuery{}); return err }, true},
		"listAuditLogs":   {func(c *logrocket.Client) error { _, err := c.ListAuditLogs(ctx, logrocket.AuditQuery{}); return err }, true},
		"updateUser":      {func(c *logrocket.Client) error { _, err := c.UpdateUser(ctx, "u", logrocket.UserUpdate{}); return err }, false},
		"createHighlights": {func(c *logrocket.Client) error {
			_, err := c.CreateHighlights(ctx, logrocket.HighlightsRequest{UserID: "u"})
			return err
		}, false},
		"executeGraphQLQuery": {func(c *logrocket.Client) error {
			_, err := c.ExecuteGraphQL(ctx, logrocket.GraphQLRequest{Query: "{__typename}"})
			return err
		}, false},
	}
	for operation, do := range operations {
		for fault, kind := range kinds {
			if operation == "updateUser" && fault == sandbox.FaultEmpty {
				continue // a 200 with nothing in it: the change was taken
			}
			t.Run(operation+" "+string(fault), func(t *testing.T) {
				t.Parallel()
				s := startSandbox(t, sandbox.DialectContract)
				c, ledger := sandboxClient(t, s)
				before := s.CountCalls(operation)
				defer s.Fault(sandbox.Fault{Operation: operation, Kind: fault})()
				e := wantKind(t, do.call(c), kind)
				if !e.Sent {
					t.Error("counts as not sent")
				}
				want := 1
				if do.reads && repeated[fault] {
					want = 3
				}
				if got := s.CountCalls(operation) - before; got != want || len(ledger.Rows()) != want {
					t.Errorf("the server saw %d requests, %d rows, want %d", got, len(ledger.Rows()), want)
				}
			})
		}
	}
}
