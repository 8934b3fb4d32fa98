package services

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
	"sightline/internal/services/secrets"
)

// untidyRaygun is a Raygun whose lists keep none of the promises that its
// documents do not make.
type untidyRaygun struct {
	mu       sync.Mutex
	sessions []untidySession
	now      func() time.Time
	rand     *rand.Rand
	// The ways.
	oldestFirst, shuffle, move, repeat, exclusive, noTotal bool
	// refusesBehind answers 400 behind the last page instead of an empty one.
	refusesBehind bool
	// atMost is how many rows a page of v1 has, whatever is asked for; 0 is as many.
	atMost int
	// each is how many sessions in a row are of one user of v3.
	each int
	// strangers are those users whom it does not know.
	strangers map[int]bool
	paths     []string
	withheld  map[int]bool
	// fault, if not nil, answers instead.
	fault func(w http.ResponseWriter, r *http.Request)
	// limit is how many calls a UTC day has; 0 is no limit.
	limit int
	byDay map[string]int
	calls []string // the skip and dates of each
	// detailed are the sessions that were asked for in full, gone those that it
	// does not know any more.
	detailed []string
	gone     map[string]bool
	before   func() // runs before a list is answered
}

type untidySession struct {
	id    int
	start time.Time
}

// fill adds n sessions a day, evenly, from the first moment to the last.
func (u *untidyRaygun) fill(from, to time.Time, perDay int) {
	step := 24 * time.Hour / time.Duration(perDay)
	for at := from; at.Before(to); at = at.Add(step) {
		u.sessions = append(u.sessions, untidySession{id: len(u.sessions) + 1, start: at})
	}
}

func (u *untidyRaygun) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/authenticate") {
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"sessionKey":"k"}`)
		return
	}
	u.mu.Lock()
	before, fault := u.before, u.fault
	u.calls, u.paths = append(u.calls, r.URL.RawQuery), append(u.paths, r.URL.Path)
	u.mu.Unlock()
	if before != nil {
		before()
	}
	if fault != nil {
		fault(w, r)
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	day := u.now().UTC().Format(time.DateOnly)
	if u.byDay == nil {
		u.byDay = map[string]int{}
	}
	if u.limit > 0 && u.byDay[day] >= u.limit {
		http.Error(w, "too many", http.StatusTooManyRequests)
		return
	}
	u.byDay[day]++
	if strings.HasPrefix(r.URL.Path, "/v3/") {
		u.v3(w, r)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/session") {
		u.detail(w, r.URL.Query().Get("id"))
		return
	}
	u.list(w, r)
}

// detail answers one session in full.
func (u *untidyRaygun) detail(w http.ResponseWriter, id string) {
	u.detailed = append(u.detailed, id)
	n, _ := strconv.Atoi(id)
	if n < 1 || n > len(u.sessions) || u.gone[id] {
		http.NotFound(w, nil)
		return
	}
	s := u.json(u.sessions[n-1 : n])[0]
	delete(s, "pageViewCount")
	s["satisfactionRating"], s["errors"] = "Good", []any{}
	s["pageViews"] = []any{map[string]any{"page": "https://example.com/a", "loadingTime": 900, "viewingTime": 1000}}
	_ = json.NewEncoder(w).Encode(map[string]any{"session": s})
}

func (u *untidyRaygun) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from, _ := time.Parse(time.RFC3339, q.Get("dateFrom"))
	to, _ := time.Parse(time.RFC3339, q.Get("dateTo"))
	skip, _ := strconv.Atoi(q.Get("skip"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	if u.atMost > 0 {
		limit = min(limit, u.atMost)
	}
	var rows []untidySession
	for _, s := range u.sessions {
		in := !s.start.Before(from) && !s.start.After(to)
		if u.exclusive {
			in = s.start.After(from) && s.start.Before(to)
		}
		if in && !s.start.After(u.now()) && !u.withheld[s.id] {
			rows = append(rows, s)
		}
	}
	for id := range u.withheld { // a few arrive with each list
		if u.rand.IntN(4) == 0 {
			delete(u.withheld, id)
		}
	}
	total := len(rows)
	if !u.oldestFirst {
		slices.Reverse(rows)
	}
	if u.move {
		for range len(rows)/25 + 1 {
			if len(rows) > 1 {
				i, j := u.rand.IntN(len(rows)), u.rand.IntN(len(rows))
				rows[i], rows[j] = rows[j], rows[i]
			}
		}
	}
	if u.repeat {
		var twice []untidySession
		for i, s := range rows {
			twice = append(twice, s)
			if i%20 == 0 {
				twice = append(twice, rows[max(0, i-u.rand.IntN(300))])
			}
		}
		rows = twice
	}
	if u.shuffle {
		u.rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
	if u.refusesBehind && skip > 0 && skip >= len(rows) {
		http.Error(w, `{"message":"skip is out of range"}`, http.StatusBadRequest)
		return
	}
	page := rows[min(skip, len(rows)):min(skip+limit, len(rows))]
	out := map[string]any{"sessions": u.json(page)}
	if !u.noTotal {
		out["totalSessions"] = total
	}
	if skip+limit < len(rows) {
		out["links"] = map[string]string{"next": fmt.Sprintf("?skip=%d", skip+limit)}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (u *untidyRaygun) json(rows []untidySession) []map[string]any {
	out := make([]map[string]any, len(rows))
	for i, s := range rows {
		who := fmt.Sprintf("u%d@example.com", s.id%40)
		out[i] = map[string]any{
			"id": s.id, "sessionStart": s.start.Format(time.RFC3339), "sessionUpdated": s.start.Add(time.Minute).Format(time.RFC3339),
			"status": "ended", "pageViewCount": 2, "user": map[string]any{"id": s.id % 40, "identifier": who, "emailAddress": who},
		}
	}
	return out
}

func (u *untidyRaygun) set(change func(u *untidyRaygun)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(u)
}

func (u *untidyRaygun) called() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.calls)
}

// syncSite is Sightline over such a Raygun, with a clock that a test moves.
type syncSite struct {
	*Services
	raygun *untidyRaygun
	store  *db.DB
	box    *secrets.Box
	actor  Actor
	conn   ConnectionID
	clock  *atomic.Int64
	url    string
}

var testDay = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

func (m *syncSite) now() time.Time              { return time.UnixMilli(m.clock.Load()).UTC() }
func (m *syncSite) at(t time.Time)              { m.clock.Store(t.UnixMilli()) }
func (m *syncSite) db() db.Org                  { return m.store.Org(1) }
func noJitter(time.Duration) time.Duration      { return 0 }
func (m *syncSite) open(t *testing.T) *Services { return m.openIn(t, 300*time.Millisecond) }

func (m *syncSite) openIn(t *testing.T, limit time.Duration) *Services {
	t.Helper()
	s, err := Open(t.Context(), Options{PasswordMemory: 64, DB: m.store, Box: m.box, Vendors: Vendors{RaygunURL: m.url, Timeout: limit}, Log: slog.New(slog.DiscardHandler), Now: m.now})
	if err != nil {
		t.Fatal(err)
	}
	s.Syncs.jitter = noJitter
	s.Connections.paces[sha256.Sum256([]byte("t"))] = rate.NewLimiter(rate.Inf, 1) // these vendors count no seconds
	return s
}

// newSyncSite starts at noon of 20 November, with sync on. The queue does not
// run: the test takes the turns.
func newSyncSite(t *testing.T, u *untidyRaygun, days int, f ConnectionForm) *syncSite {
	t.Helper()
	m := &syncSite{raygun: u, store: dbtest.New(t), clock: &atomic.Int64{}}
	m.at(testDay.Add(12 * time.Hour))
	u.now, u.rand = m.now, rand.New(rand.NewPCG(1, 2))
	srv := httptest.NewServer(u)
	t.Cleanup(srv.Close)
	m.url = srv.URL
	box, err := OpenBox(t.Context(), m.store, secrets.NewMasterKey(), m.now())
	if err != nil {
		t.Fatal(err)
	}
	m.box = box
	m.Services = m.openIn(t, 10*time.Second)
	if _, err := m.People.FirstOwner(t.Context(), NewOwner{Email: "a@example.com", Password: "correct horse", OrgName: "Acme"}); err != nil {
		t.Fatal(err)
	}
	m.actor = Actor{Org: 1, User: 1, Name: "a", Role: Owner}
	spending := SpendingForm{Allowance: 50, Reserve: 10, Share: f.Share, Sync: true, RetentionDays: days}
	if f.Name = "Web"; f.Vendor == RaygunV3 {
		f.Token, f.Application, spending.Allowance = NewSecret("t"), "a1", 10_000
	} else {
		f.Vendor, f.APIKey, f.ClientID, f.ClientSecret = Raygun, NewSecret("k"), NewSecret("i"), NewSecret("s")
	}
	c, problems, err := m.Connections.Add(t.Context(), m.actor, f)
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	m.conn = c.ID
	problems, err = m.Connections.SetSpending(t.Context(), m.actor, c.ID, spending)
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	return m
}

// work takes the turns that are due until the clock reaches end, letting time
// pass between them as the queue would.
func (m *syncSite) work(t *testing.T, end time.Time) {
	t.Helper()
	for range 5000 {
		again, err := m.Syncs.run(t.Context(), 1, m.conn)
		if err != nil {
			t.Fatal(err)
		}
		next := m.now().Add(again)
		if again == 0 { // not its turn: the job that has it wakes then
			row, err := m.db().Sync(t.Context(), m.conn)
			if err != nil {
				t.Fatal(err)
			}
			if next = row.NextAt; !row.Enabled || !next.After(m.now()) {
				next = end.Add(1)
			}
		}
		if next.After(end) {
			if m.now().Before(end) {
				m.at(end)
			}
			return
		}
		m.at(next)
	}
	t.Fatal("the sync never rests")
}

// mirrored is how often each session of the vendor is in the mirror.
func (m *syncSite) mirrored(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, s := range m.sessions(t) {
		out[s.VendorID]++
	}
	return out
}

// holdsAll fails unless every session begun in the time is in the mirror once.
func (m *syncSite) holdsAll(t *testing.T, from, to time.Time) {
	t.Helper()
	got := m.mirrored(t)
	missing := 0
	for _, s := range m.raygun.sessions {
		if s.start.Before(from) || !s.start.Before(to) {
			continue
		}
		if got[strconv.Itoa(s.id)] != 1 {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of the vendor's sessions from %s to %s are not in the mirror", missing, from, to)
	}
}

func (m *syncSite) coverage(t *testing.T, from, to time.Time) Coverage {
	t.Helper()
	c, err := m.Syncs.Coverage(t.Context(), 1, m.conn, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (m *syncSite) status(t *testing.T) SyncStatus {
	t.Helper()
	s, err := m.Syncs.Status(t.Context(), 1, m.conn)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ledgerIsHonest fails unless the ledger has counted what the vendor was asked.
func (m *syncSite) ledgerIsHonest(t *testing.T) {
	t.Helper()
	if counted, asked := m.counted(t), m.raygun.called(); counted != asked {
		t.Errorf("the ledger counted %d calls, the vendor was asked %d times", counted, asked)
	}
}

// counted is how many calls the ledger has counted.
func (m *syncSite) counted(t *testing.T) int {
	t.Helper()
	hours, err := m.db().CallHours(context.Background(), m.conn, time.Unix(0, 0), m.now().AddDate(0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	var counted int64
	for _, h := range hours {
		counted += h.People + h.Background
	}
	return int(counted)
}
