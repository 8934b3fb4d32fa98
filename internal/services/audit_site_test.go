package services

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
	"sightline/internal/services/secrets"
)

// auditVendor is a LogRocket that has an audit log alone, written from its
// documentation and with the manners that a test gives it.
type auditVendor struct {
	*httptest.Server
	mu    sync.Mutex
	size  int // how many entries there are
	calls []string
	// refuse is a status to answer with instead; maxLimit and badCursor are what is
	// taken for wrong.
	refuse    int
	maxLimit  int
	badCursor func(string) bool
	// bend changes an answer; on is called before one.
	bend func(asked int, answer map[string]any)
	on   func(call int)
}

// recordingNo is the recording of the n-th entry.
func recordingNo(n int) string { return fmt.Sprintf("6-019d1baa-df86-7ab5-bacd-%012x", n) }

func auditTimeOf(n int) time.Time { return time.UnixMilli(1_700_000_000_000 + int64(n)*60_000).UTC() }

func (v *auditVendor) entry(n int) map[string]any {
	return map[string]any{
		"time": auditTimeOf(n).Format("01/02/06 03:04PM"), "created_date": auditTimeOf(n).Format("2006-01-02T15:04:05.000000Z"),
		"user": fmt.Sprintf("Member%d@acme.example", n%3), "action": "Viewed session", "description": recordingNo(n) + "/0",
	}
}

func (v *auditVendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	q := r.URL.Query()
	v.calls = append(v.calls, q.Get("cursor"))
	n, on, refuse := len(v.calls), v.on, v.refuse
	v.mu.Unlock()
	if on != nil {
		on(n)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	limit, _ := strconv.Atoi(q.Get("limit"))
	switch {
	case !strings.HasSuffix(r.URL.Path, "/audit/logs/"):
		w.WriteHeader(http.StatusNotFound)
	case refuse != 0:
		w.WriteHeader(refuse)
		fmt.Fprint(w, `{"error":"vendor's words"}`)
	case v.maxLimit > 0 && limit > v.maxLimit, v.badCursor != nil && v.badCursor(q.Get("cursor")):
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"wrong"}`)
	default:
		// The cursor is the first entry's time, as LogRocket's example has it.
		ms, _ := strconv.ParseInt(q.Get("cursor"), 10, 64)
		from := 0
		for from < v.size && auditTimeOf(from).UnixMilli() < ms {
			from++
		}
		to := min(v.size, from+limit)
		logs := []any{}
		for i := from; i < to; i++ {
			logs = append(logs, v.entry(i))
		}
		answer := map[string]any{"has_next": to < v.size, "cursor": auditTimeOf(to).UnixMilli(), "logs": logs}
		if v.bend != nil {
			v.bend(from, answer)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func (v *auditVendor) set(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
}

func (v *auditVendor) asked() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.calls)
}

// auditSite is Sightline with one connection to an auditVendor.
type auditSite struct {
	t      *testing.T
	v      *auditVendor
	path   string
	master secrets.Secret
	store  *db.DB
	s      *Services
	actor  Actor
	conn   ConnectionID
}

func newAuditSite(t *testing.T, v *auditVendor) *auditSite {
	t.Helper()
	t.Parallel()
	v.Server = httptest.NewServer(v)
	r := &auditSite{t: t, v: v, path: dbtest.File(t), master: secrets.NewMasterKey(), actor: Actor{Org: 1, User: 1, Name: "Ada", Role: Owner}}
	t.Cleanup(func() {
		r.kill()
		v.Close()
	})
	r.open()
	if _, err := r.s.People.FirstOwner(t.Context(), NewOwner{Email: "ada@example.com", Name: "Ada", Password: "correct horse", OrgName: "Acme"}); err != nil {
		t.Fatal(err)
	}
	c, problems, err := r.s.Connections.Add(t.Context(), r.actor, ConnectionForm{Vendor: LogRocket, Name: "Web app", Key: NewSecret("acme:web:planted-key")})
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	r.conn = c.ID
	return r
}

// open opens the services over the file and begins the jobs.
func (r *auditSite) open() {
	r.t.Helper()
	var err error
	if r.store, err = db.Open(r.t.Context(), r.path); err != nil {
		r.t.Fatal(err)
	}
	box, err := OpenBox(r.t.Context(), r.store, r.master, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	r.s, err = Open(r.t.Context(), Options{PasswordMemory: 64, DB: r.store, Box: box, Log: slog.New(slog.DiscardHandler), Vendors: Vendors{LogRocketURL: r.v.URL, LogRocketAppURL: r.v.URL, Timeout: 5 * time.Second}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.s.Audits.soon, r.s.Audits.pages = time.Millisecond, 6
	if err := r.s.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *auditSite) kill() {
	r.t.Helper()
	if r.store != nil {
		killed(r.t, r.s, r.store)
		r.store = nil
	}
}

func (r *auditSite) follow(on bool) {
	r.t.Helper()
	if err := r.s.Audits.Follow(r.t.Context(), r.actor, r.conn, on); err != nil {
		r.t.Fatal(err)
	}
}

// settled waits until nothing is read, and returns how the log stands.
func (r *auditSite) settled() AuditStatus {
	r.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if err := r.s.Audits.Wait(r.t.Context(), 1, r.conn, time.Second); err != nil {
			r.t.Fatal(err)
		}
		st, err := r.s.Audits.Status(r.t.Context(), 1, r.conn)
		if err != nil {
			r.t.Fatal(err)
		}
		row, err := r.store.Org(1).AuditFollow(r.t.Context(), r.conn)
		if err != nil {
			r.t.Fatal(err)
		}
		// Between two turns through a long log it rests for a millisecond.
		if st.State != AuditReading && (!row.Enabled || time.Until(row.NextAt) > 10*time.Second) {
			return st
		}
	}
	r.t.Fatal("the log is read for ever")
	return AuditStatus{}
}

// fetch has the log read and waits for it.
func (r *auditSite) fetch() AuditStatus {
	r.t.Helper()
	if err := r.s.Audits.FetchNow(r.t.Context(), r.actor, r.conn); err != nil {
		r.t.Fatal(err)
	}
	return r.settled()
}

// has fails the test unless the first n entries are kept, each once.
func (r *auditSite) has(n int) {
	r.t.Helper()
	var got []string
	q := AuditQuery{Limit: 7}
	for {
		page, err := r.s.Audits.List(r.t.Context(), 1, q)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range page.Entries {
			got = append(got, e.RecordingID)
		}
		if !page.More {
			break
		}
		q.After = page.Next
	}
	var want []string
	for i := n - 1; i >= 0; i-- {
		want = append(want, recordingNo(i))
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("%d entries are kept, want %d, each once and newest first:\n%v", len(got), n, got)
	}
}

func (r *auditSite) force(query string) {
	r.t.Helper()
	if _, err := r.store.Queue().ExecContext(r.t.Context(), query); err != nil {
		r.t.Fatal(err)
	}
}
