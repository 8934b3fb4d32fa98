package logrocket_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/logrocket"
	"sightline/internal/services/upstream"
)

func TestHighlightsAreAskedForAndReadInBothDialects(t *testing.T) {
	s, seen := fake(t, says(`{"id":"abc"}`))
	c, _ := client(t, s.URL)
	got, err := c.CreateHighlights(t.Context(), logrocket.HighlightsRequest{
		UserID: "google-oauth2|abc123", Question: "What?", Start: time.UnixMilli(1715481030000), End: time.UnixMilli(1715567430000), WebhookURL: "https://example.com/e",
	})
	if err != nil || got.RequestID != "abc" || got.Status != logrocket.Pending || got.Result != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	want := `{"question":"What?","timeRange":{"endMs":1715567430000,"startMs":1715481030000},"userID":"google-oauth2|abc123","webhookURL":"https://example.com/e"}`
	if r := seen.all()[0]; r.method != "POST" || r.path != "/v1/orgs/foo/apps/bar/highlights/" || r.body != want {
		t.Errorf("sent %+v", r)
	}
	const pair = "5-3cde95d6-a5b8-4a62-9b3a-6aa834f8747c"
	tests := []struct {
		name, body   string
		status       logrocket.HighlightsStatus
		word         string
		recording    string
		session      string
		hasNoSession bool
	}{
		{"live", `{"result":{"highlights":"h","sessions":[{"recordingID":"` + pair + `","sessionID":0,"highlights":"x"}]},"status":"READY","appID":"foo/bar","requestID":"abc"}`, logrocket.Done, "READY", pair, "0", false},
		{"contract", `{"result":{"highlights":"h","sessions":[{"sessionId":"` + pair + `/3","highlights":"x"}]},"status":"COMPLETE","requestID":"abc"}`, logrocket.Done, "COMPLETE", pair, "3", false},
		{"address", `{"result":{"highlights":"h","sessions":[{"sessionId":"https://app.logrocket.com/foo/bar/s/` + pair + `/2?t=1","highlights":"x"}]},"status":"COMPLETE","requestID":"abc"}`, logrocket.Done, "COMPLETE", pair, "2", false},
		{"recording only", `{"result":{"highlights":"h","sessions":[{"sessionId":"` + pair + `","highlights":"x"}]},"status":"COMPLETE"}`, logrocket.Done, "COMPLETE", pair, "", false},
		{"session only", `{"result":{"highlights":"h","sessions":[{"sessionId":"77","highlights":"x"}]},"status":"COMPLETE"}`, logrocket.Done, "COMPLETE", "", "77", false},
		{"pending", `{"result":null,"status":"PENDING"}`, logrocket.Pending, "PENDING", "", "", true},
		{"failed", `{"result":null,"status":"FAILED"}`, logrocket.Failed, "FAILED", "", "", true},
		{"new word", `{"result":null,"status":"SIMMERING"}`, logrocket.Unknown, "SIMMERING", "", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, seen := fake(t, says(tt.body))
			c, _ := client(t, s.URL)
			got, err := c.GetHighlights(t.Context(), "abc")
			if err != nil || got.Status != tt.status || got.VendorStatus != tt.word || got.RequestID != "abc" || string(got.Raw) != tt.body {
				t.Fatalf("got %+v, %v", got, err)
			}
			if seen.all()[0].query != "id=abc" {
				t.Errorf("query %s", seen.all()[0].query)
			}
			if tt.hasNoSession {
				if got.Result != nil {
					t.Errorf("result %+v", got.Result)
				}
				return
			}
			if got.Result.Highlights != "h" || len(got.Result.Sessions) != 1 {
				t.Fatalf("result %+v", got.Result)
			}
			if one := got.Result.Sessions[0]; one.RecordingID != tt.recording || one.SessionID != tt.session || one.Highlights != "x" {
				t.Errorf("session %+v", one)
			}
		})
	}
	for _, r := range []logrocket.HighlightsRequest{{}, {UserEmail: "a", UserID: "b"}, {UserID: "b", Start: time.Now()}, {UserID: "b", Start: time.UnixMilli(5), End: time.UnixMilli(5)}} {
		_, err := c.CreateHighlights(t.Context(), r)
		wantKind(t, err, upstream.Invalid)
	}
}

func TestTheHighlightsAddressIsFoundAndRemembered(t *testing.T) {
	route := func(path string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path != path:
				http.NotFound(w, r)
			case r.URL.Query().Get("id") == "missing":
				w.WriteHeader(404)
				io.WriteString(w, `{"error":"no such request"}`)
			default:
				io.WriteString(w, `{"status":"PENDING","requestID":"abc"}`)
			}
		}
	}
	const bare, slash = "/v1/orgs/foo/apps/bar/highlights", "/v1/orgs/foo/apps/bar/highlights/"
	for _, path := range []string{bare, slash} {
		for _, known := range []string{"", "bare", "slash", "nonsense"} {
			t.Run(path+" "+known, func(t *testing.T) {
				s, seen := fake(t, route(path))
				var learnt []logrocket.Dialect
				c, ledger := client(t, s.URL, func(o *logrocket.Options) {
					o.Dialect = logrocket.Dialect{HighlightsGet: known, HighlightsPost: known}
					o.OnDialect = func(d logrocket.Dialect) { learnt = append(learnt, d) }
				})
				for range 2 {
					if _, err := c.GetHighlights(t.Context(), "abc"); err != nil {
						t.Fatal(err)
					}
					if _, err := c.CreateHighlights(t.Context(), logrocket.HighlightsRequest{UserID: "u"}); err != nil {
						t.Fatal(err)
					}
				}
				want := "slash"
				if path == bare {
					want = "bare"
				}
				if known != want && (len(learnt) != 2 || learnt[1] != (logrocket.Dialect{HighlightsGet: want, HighlightsPost: want})) {
					t.Errorf("learnt %v", learnt)
				}
				for _, r := range seen.all()[len(seen.all())-2:] {
					if r.path != path {
						t.Errorf("still asks %s", r.path)
					}
				}
				_, err := c.GetHighlights(t.Context(), "missing")
				if e := wantKind(t, err, upstream.NotFound); e.Says != "no such request" {
					t.Errorf("says %q", e.Says)
				}
				if len(ledger.Rows()) != len(seen.all()) {
					t.Errorf("%d rows for %d requests", len(ledger.Rows()), len(seen.all()))
				}
			})
		}
	}
}

func TestAHighlightsPostIsRepeatedOnlyWhereNothingCanHaveStarted(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		posts  int
		kind   upstream.Kind
	}{
		{"404 in the vendor's words", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(404)
			io.WriteString(w, `{"error":"app not found"}`)
		}, 1, upstream.NotFound},
		{"404 of a router", http.NotFound, 2, upstream.NotFound},
		{"405", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(405) }, 2, upstream.Invalid},
		{"308 to the other form", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, strings.TrimSuffix(r.URL.Path, "/"), http.StatusPermanentRedirect)
		}, 2, upstream.Unexpected},
		{"308 elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/v1/orgs/foo/apps/bar/highlights", http.StatusPermanentRedirect)
		}, 1, upstream.Unexpected},
		{"303", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, strings.TrimSuffix(r.URL.Path, "/"), http.StatusSeeOther)
		}, 1, upstream.Unexpected},
		{"500", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }, 1, upstream.Down},
		{"503 try at once", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Retry-After", "0"); w.WriteHeader(503) }, 1, upstream.Down},
		{"429 try at once", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Retry-After", "0"); w.WriteHeader(429) }, 1, upstream.RateLimited},
		{"cut", func(w http.ResponseWriter, r *http.Request) { conn, _, _ := w.(http.Hijacker).Hijack(); conn.Close() }, 1, upstream.Down},
		{"garbage", says("<html>"), 1, upstream.Unexpected},
		{"no id", says("{}"), 1, upstream.Unexpected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, seen := fake(t, tt.answer)
			c, _ := client(t, s.URL)
			_, err := c.CreateHighlights(t.Context(), logrocket.HighlightsRequest{UserEmail: "a@example.com"})
			if e := wantKind(t, err, tt.kind); !e.Sent {
				t.Error("counts as not sent")
			}
			if len(seen.all()) != tt.posts {
				t.Errorf("%d requests, want %d", len(seen.all()), tt.posts)
			}
		})
	}
	t.Run("refused connection", func(t *testing.T) {
		s := httptest.NewServer(http.NotFoundHandler())
		s.Close()
		c, ledger := client(t, s.URL)
		_, err := c.CreateHighlights(t.Context(), logrocket.HighlightsRequest{UserEmail: "a@example.com"})
		if e := wantKind(t, err, upstream.Down); e.Sent || len(ledger.Rows()) != 1 {
			t.Errorf("got %+v after %d attempts", e, len(ledger.Rows()))
		}
	})
}

func FuzzHighlights(f *testing.F) {
	f.Add([]byte(`{"requestID":"a","status":"READY","result":{"highlights":"h","sessions":[{"sessionId":"a/b"},{"sessionID":1e9,"recordingID":"r"}]}}`))
	f.Add([]byte(`{"id":1,"result":"text"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := logrocket.ParseHighlights(body)
		if err == nil && (got.RequestID == "" || got.Status == "" || !json.Valid(got.Raw)) {
			t.Errorf("unusable answer %+v", got)
		}
	})
}
