package raygun_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/raygun"
	"sightline/internal/services/sandbox"
	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
	"sightline/internal/services/upstream/upstreamtest"
)

// testNow is when the stand-in's clock starts: what it tells depends on the day.
var testNow = time.Date(2026, 11, 19, 21, 30, 0, 0, time.UTC)

// startSandbox starts a small made-up company.
func startSandbox(t *testing.T, dialect sandbox.Dialect) *sandbox.Sandbox {
	t.Helper()
	began := time.Now()
	s, err := sandbox.Start(t.Context(), sandbox.Options{Customers: 60, Sessions: 900, Days: 10, Dialect: dialect, RaygunDailyLimit: -1, Now: func() time.Time { return testNow.Add(time.Since(began)) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func sandboxClient(t *testing.T, s *sandbox.Sandbox, change ...func(*raygun.Options)) (*raygun.V1, *upstreamtest.Ledger) {
	t.Helper()
	ledger := &upstreamtest.Ledger{}
	creds := s.Credentials()
	o := raygun.Options{BaseURL: s.RaygunURL() + "/", Ledger: ledger, Credentials: raygun.Credentials{
		APIKey: secrets.New(creds.RaygunAPIKey), ClientID: secrets.New(creds.RaygunClientID), ClientSecret: secrets.New(creds.RaygunClientSecret),
	}}
	for _, f := range change {
		f(&o)
	}
	v, err := raygun.NewV1(o)
	if err != nil {
		t.Fatal(err)
	}
	return v, ledger
}

func wantKind(t *testing.T, err error, kind upstream.Kind) *upstream.Error {
	t.Helper()
	var e *upstream.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("got %v, want kind %s", err, kind)
	}
	return e
}

// lately is a range that holds all of the sandbox's sessions.
func lately() raygun.SessionQuery {
	return raygun.SessionQuery{From: testNow.AddDate(0, 0, -30), To: testNow.Add(time.Hour)}
}

func TestEveryOperationWorksInBothDialects(t *testing.T) {
	for _, dialect := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		for _, method := range []string{"", "GET", "POST"} {
			t.Run(fmt.Sprintf("%s authenticate %s", dialect, method), func(t *testing.T) {
				s := startSandbox(t, dialect)
				s.SetRaygunAuthMethod(method)
				var learnt []raygun.Dialect
				v, ledger := sandboxClient(t, s, func(o *raygun.Options) { o.OnDialect = func(d raygun.Dialect) { learnt = append(learnt, d) } })

				check, err := v.Check(t.Context())
				if err != nil || !strings.Contains(check.Sentence, "accepted") {
					t.Fatalf("check: %+v, %v", check, err)
				}
				if want := cmpOr(method, "POST"); len(learnt) != 1 || learnt[0].Authenticate != want {
					t.Errorf("learnt %v, want %s once", learnt, want)
				}

				seen := map[string]bool{}
				q := lately()
				for pages := 0; ; pages++ {
					page, err := v.Sessions(t.Context(), q)
					if err != nil {
						t.Fatal(err)
					}
					if page.Unreadable != 0 || pages > 5 {
						t.Fatalf("page %d: %d unreadable", pages, page.Unreadable)
					}
					for _, one := range page.Sessions {
						seen[one.ID] = true
						// Some days have a session of a browser that Raygun did not know.
						unknown := strings.Contains(string(one.Raw), `"browser":{"name":""`)
						if one.Start.IsZero() || one.WebLink == "" || one.PageViewCount < 0 || (one.Browser.Name == "") != unknown || one.LengthMS == nil {
							t.Fatalf("session not read in full: %s", one.Raw)
						}
					}
					if !page.More {
						if page.Total != len(seen) {
							t.Errorf("read %d of %d sessions", len(seen), page.Total)
						}
						break
					}
					q.Skip = page.NextSkip
				}
				if len(seen) < 900 {
					t.Errorf("read %d sessions, want at least 900", len(seen))
				}

				somebody := s.Company().Demo()[0]
				q = lately()
				q.UserIdentifier = somebody.Identifier
				page, err := v.Sessions(t.Context(), q)
				if err != nil || len(page.Sessions) == 0 {
					t.Fatalf("sessions of %s: %d, %v", somebody.Identifier, len(page.Sessions), err)
				}
				for _, one := range page.Sessions {
					if one.User.Identifier != somebody.Identifier {
						t.Errorf("session of somebody else: %+v", one.User)
					}
				}

				detail, err := v.Session(t.Context(), page.Sessions[0].ID)
				if err != nil {
					t.Fatal(err)
				}
				if !detail.Detailed || len(detail.PageViews) == 0 || detail.PageViews[0].Page == "" || detail.PageViews[0].LoadingMS == nil || detail.ID != page.Sessions[0].ID {
					t.Errorf("detail: %+v", detail)
				}
				if _, err := v.Session(t.Context(), "999"); err == nil {
					t.Error("an unknown session was found")
				} else {
					wantKind(t, err, upstream.NotFound)
				}
				wantRowPerCall(t, s, ledger)
			})
		}
	}
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// wantRowPerCall compares the ledger with what the server saw.
func wantRowPerCall(t *testing.T, s *sandbox.Sandbox, ledger *upstreamtest.Ledger) {
	t.Helper()
	rows, calls := ledger.Rows(), s.Calls()
	if len(rows) != len(calls) {
		t.Fatalf("%d ledger rows, the server saw %d requests", len(rows), len(calls))
	}
	for i, row := range rows {
		if row.Ends != 1 || row.Method != calls[i].Method || calls[i].Status != 0 && row.Outcome.Status != calls[i].Status {
			t.Errorf("row %d: %+v, the server saw %+v", i, row, calls[i])
		}
		if row.Counts == (row.Operation == "authenticate") {
			t.Errorf("row %d: %s counts: %v", i, row.Operation, row.Counts)
		}
	}
}

func TestEveryFaultHasItsKindAndCostsOneCall(t *testing.T) {
	s := startSandbox(t, sandbox.DialectContract)
	tests := []struct {
		fault sandbox.FaultKind
		kind  upstream.Kind
		calls int
	}{
		{sandbox.FaultForbidden, upstream.Forbidden, 1},
		{sandbox.FaultNotFound, upstream.NotFound, 1},
		{sandbox.FaultRateLimited, upstream.RateLimited, 1},
		{sandbox.FaultServerError, upstream.Down, 1},
		{sandbox.FaultBadGateway, upstream.Down, 1},
		{sandbox.FaultUnavailable, upstream.Down, 1},
		{sandbox.FaultTimeout, upstream.Down, 1},
		{sandbox.FaultGarbage, upstream.Unexpected, 1},
		{sandbox.FaultEmpty, upstream.Unexpected, 1},
		{sandbox.FaultWrongType, upstream.Unexpected, 1},
		{sandbox.FaultCut, upstream.Down, 1},
		{sandbox.FaultDrop, upstream.Down, 1},
		{sandbox.FaultLost, upstream.Down, 1},
		{sandbox.FaultUnauthorized, upstream.WrongKey, 2}, // once more with a new session key
	}
	for _, tt := range tests {
		t.Run(string(tt.fault), func(t *testing.T) {
			v, ledger := sandboxClient(t, s)
			if _, err := v.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := s.CountCalls("sessions")
			defer s.Fault(sandbox.Fault{Operation: "sessions", Kind: tt.fault, RetryAfter: time.Second})()
			_, err := v.Sessions(t.Context(), lately())
			e := wantKind(t, err, tt.kind)
			if got := s.CountCalls("sessions") - before; got != tt.calls {
				t.Errorf("the server saw %d calls, want %d", got, tt.calls)
			}
			counted := 0
			for _, row := range ledger.Rows() {
				if row.Counts {
					counted++
				}
			}
			if counted != tt.calls {
				t.Errorf("%d counted rows, want %d", counted, tt.calls)
			}
			if tt.fault == sandbox.FaultRateLimited && e.Until.IsZero() {
				t.Error("does not say until when")
			}
		})
	}
}

func TestAnExpiredSessionKeyIsRenewedOnce(t *testing.T) {
	s := startSandbox(t, sandbox.DialectContract)
	v, ledger := sandboxClient(t, s)
	if _, err := v.Sessions(t.Context(), lately()); err != nil {
		t.Fatal(err)
	}
	s.ExpireRaygunKeys()
	if _, err := v.Sessions(t.Context(), lately()); err != nil {
		t.Fatal(err)
	}
	var did []string
	for _, row := range ledger.Rows() {
		did = append(did, row.Operation+strconv.Itoa(row.Outcome.Status)+"/"+strconv.Itoa(row.Attempt))
	}
	want := "authenticate202/1 sessions200/1 sessions401/1 authenticate202/1 sessions200/2"
	if got := strings.Join(did, " "); got != want {
		t.Errorf("did %s\nwant %s", got, want)
	}
}
