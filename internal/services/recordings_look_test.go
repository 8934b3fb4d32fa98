package services

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/eventlog"
)

// walk reads all pages of a recording, forwards or backwards.
func (s *recordingSite) walk(id RecordingID, f EventFilter, back bool) []RecordedEvent {
	s.t.Helper()
	var out []RecordedEvent
	var page EventPage
	var err error
	for n := 0; n < 1000; n++ {
		switch {
		case n == 0 && back:
			page, err = s.r.EventsBefore(s.t.Context(), 1, id, f, 1<<40)
		case n == 0:
			page, err = s.r.Events(s.t.Context(), 1, id, f, 0)
		case back && page.Before >= 0:
			page, err = s.r.EventsBefore(s.t.Context(), 1, id, f, page.Before)
		case !back && page.Next >= 0:
			page, err = s.r.Events(s.t.Context(), 1, id, f, page.Next)
		default:
			return out
		}
		if err != nil {
			s.t.Fatal(err)
		}
		if back {
			out = append(slices.Clone(page.Events), out...)
		} else {
			out = append(out, page.Events...)
		}
	}
	s.t.Fatal("the pages have no end")
	return nil
}

func TestARecordingIsReadPageByPage(t *testing.T) {
	t.Parallel()
	s := newRecordingSite(t)
	_, list := s.ingest("a.jsonl", busyFile(700))
	rec := list[0]
	if rec.VendorRecording != firstPair || rec.VendorSession != "0" || rec.CustomerEmail != "ada0@example.com" || rec.Browser != "Chrome 131" || rec.Release != "4.1" ||
		!rec.StartedAt.Equal(startOf(firstPair)) || rec.Calls != 700 || rec.FailedCalls == 0 || rec.FirstURL != "https://shop.example.com/orders/17?x=1" {
		t.Errorf("recording %+v", rec)
	}
	all := s.walk(rec.ID, EventFilter{}, false)
	if int64(len(all)) != rec.Events() {
		t.Fatalf("%d events of %d", len(all), rec.Events())
	}
	for i, e := range all {
		if e.Place != int64(i) || i > 0 && e.At.Before(all[i-1].At) || e.Raw[0] != '{' {
			t.Fatalf("event %d: %+v", i, e)
		}
	}
	places := func(list []RecordedEvent) (out []int64) {
		for _, e := range list {
			out = append(out, e.Place)
		}
		return out
	}
	filters := map[string]EventFilter{
		"all": {}, "errors": {Lanes: []eventlog.Lane{eventlog.Error}}, "two lanes": {Lanes: []eventlog.Lane{eventlog.Navigation, eventlog.Custom}},
		"failed": {Failed: true}, "failed calls": {Failed: true, Lanes: []eventlog.Lane{eventlog.Network}}, "text": {Text: "ITEM 17"}, "nothing": {Text: "nowhere"},
		"no such lane here": {Lanes: []eventlog.Lane{eventlog.Input}},
	}
	for name, f := range filters {
		var want []int64
		for _, e := range all {
			if (len(f.Lanes) == 0 || slices.Contains(f.Lanes, e.Lane)) && (!f.Failed || e.Failed()) && strings.Contains(strings.ToLower(string(e.Raw)), strings.ToLower(f.Text)) {
				want = append(want, e.Place)
			}
		}
		for _, back := range []bool{false, true} {
			if got := places(s.walk(rec.ID, f, back)); !slices.Equal(got, want) {
				t.Errorf("%s, backwards %t: %d events, want %d", name, back, len(got), len(want))
			}
		}
	}
	for _, i := range []int{0, 1, 500, len(all) - 1} {
		at := all[i].At
		want := slices.IndexFunc(all, func(e RecordedEvent) bool { return !e.At.Before(at) })
		if place, err := s.r.PlaceAt(t.Context(), 1, rec.ID, at); err != nil || place != int64(want) {
			t.Errorf("at %v is event %d (%v), want %d", at, place, err, want)
		}
		e, err := s.r.Event(t.Context(), 1, rec.ID, int64(i))
		if err != nil || !bytes.Equal(e.Raw, all[i].Raw) || e.Line != all[i].Line {
			t.Errorf("event %d: %+v, %v", i, e, err)
		}
	}
	if place, err := s.r.PlaceAt(t.Context(), 1, rec.ID, rec.EndedAt.Add(time.Hour)); err != nil || place != int64(len(all)-1) {
		t.Errorf("after the end: %d, %v", place, err)
	}
	if _, err := s.r.Event(t.Context(), 1, rec.ID, int64(len(all))); kindOf(err) != NotFound {
		t.Errorf("an event too many: %v", err)
	}
	for _, n := range []int{2, 40} {
		strip, err := s.r.Overview(t.Context(), 1, rec, n)
		sum, failed := 0, 0
		for _, o := range strip {
			for _, n := range o.Lanes {
				sum += n
			}
			failed += o.Failed
		}
		if err != nil || len(strip) != n || int64(sum) != rec.Events() || int64(failed) != rec.FailedCalls+rec.Errors+rec.ConsoleErrors {
			t.Errorf("a strip of %d has %d events, %d failed (%v)", len(strip), sum, failed, err)
		}
	}
}

func TestCallsAreJoinedWithTheirAnswers(t *testing.T) {
	t.Parallel()
	s := newRecordingSite(t)
	begin := startOf(firstPair).UnixMilli()
	var b strings.Builder
	for _, l := range []string{
		`{"type":"lr.network.RequestEvent","time":%d,"reqId":"a","url":"https://api.example.com/a/1?q=2","method":"get"}`,
		`{"type":"lr.network.RequestEvent","time":%d,"reqId":"b","url":"https://api.example.com/b","method":"POST"}`,
		`{"type":"lr.network.ResponseEvent","time":%d,"reqId":"b","status":503,"responseSize":12}`,
		`{"type":"lr.network.ResponseEvent","time":%d,"reqId":"a","status":200}`,
		`{"type":"lr.network.ResponseEvent","time":%d,"reqId":"nobody asked","status":404}`,
		`{"type":"networkResponse","time":%d,"url":"https://api.example.com/c","method":"GET","status":200,"duration":7}`,
		`{"type":"lr.network.RequestEvent","time":%d,"reqId":"a","url":"https://api.example.com/never","method":"GET"}`,
	} {
		fmt.Fprintf(&b, l+"\n", begin)
		begin += 100
	}
	_, list := s.ingest(firstPair+"/3.jsonl", []byte(b.String()))
	if len(list) != 1 || list[0].VendorSession != "3" || list[0].Calls != 5 || list[0].FailedCalls != 2 {
		t.Fatalf("recordings %+v", list)
	}
	say := func(f CallFilter, from int) (out []string) {
		page, err := s.r.Calls(t.Context(), 1, list[0].ID, f, from)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Calls {
			out = append(out, fmt.Sprintf("%s %s %d %dms %d %d-%d", c.Method, c.URL, c.Status, c.Took, c.Size, c.Asked, c.Answered))
		}
		return out
	}
	want := []string{
		"GET https://api.example.com/a/1?q=2 200 300ms -1 0-3",
		"POST https://api.example.com/b 503 100ms 12 1-2",
		"  404 -1ms -1 -1-4",
		"GET https://api.example.com/c 200 7ms -1 5-5",
		"GET https://api.example.com/never 0 -1ms -1 6--1",
	}
	for name, tt := range map[string]struct {
		f    CallFilter
		from int
		want []string
	}{
		"all":     {want: want},
		"later":   {from: 3, want: want[3:]},
		"failed":  {f: CallFilter{Failed: true}, want: want[1:3]},
		"text":    {f: CallFilter{Text: "get HTTPS://api.example.com/a/*"}, want: want[:1]},
		"slowest": {f: CallFilter{Slowest: true}, want: []string{want[0], want[1], want[3], want[2], want[4]}},
	} {
		if got := say(tt.f, tt.from); !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
}

func TestRecordingsAreSearched(t *testing.T) {
	t.Parallel()
	s := newRecordingSite(t)
	_, list := s.ingest("a.jsonl", busyFile(200))
	var customer CustomerID
	for _, rec := range list {
		if rec.VendorRecording == firstPair {
			customer = rec.Customer
		}
	}
	tests := []struct {
		name string
		q    RecordingQuery
		hits int
		want string // of the first: text, times, failures
	}{
		{"an address with ids and query", RecordingQuery{Text: "/orders/4711?page=3", Kinds: []TextKind{TextEndpoint}}, 2, "GET https://api.example.com/orders/* 200 57"},
		{"an endpoint", RecordingQuery{Text: "GET /orders/1", Kinds: []TextKind{TextEndpoint}}, 2, "GET https://api.example.com/orders/* 200 57"},
		{"failures of anything", RecordingQuery{Failed: true, Kinds: []TextKind{TextEndpoint}}, 2, "GET https://api.example.com/orders/* 200 57"},
		{"an error's words", RecordingQuery{Text: "x49 IS null"}, 2, "TypeError: x49 is null 1 1"},
		{"console", RecordingQuery{Text: "item 7", Kinds: []TextKind{TextConsoleError}}, 2, "item 7 7 7"},
		{"a custom event", RecordingQuery{Text: "step 3"}, 2, "step 3 50 0"},
		{"the beginning of a custom event", RecordingQuery{Text: "st", Kinds: []TextKind{TextCustom}}, 8, "step 3 50 0"},
		{"of somebody", RecordingQuery{Text: "step 3", Customer: customer}, 1, "step 3 50 0"},
		{"all errors of somebody", RecordingQuery{Kinds: []TextKind{TextError}, Customer: customer, Failed: true}, 4, "TypeError: x199 is null 1 1"},
		{"too late", RecordingQuery{Text: "step 3", From: startOf(secondPair).Add(time.Second)}, 0, ""},
		{"only the second", RecordingQuery{Text: "step 3", From: startOf(secondPair)}, 1, "step 3 50 0"},
		{"only the first", RecordingQuery{Text: "step 3", To: startOf(secondPair)}, 1, "step 3 50 0"},
		{"nothing", RecordingQuery{Text: "nowhere to be found"}, 0, ""},
		{"an operator", RecordingQuery{Text: `"step" OR *`}, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.r.Search(t.Context(), 1, tt.q)
			if err != nil || len(got.Hits) != tt.hits || got.More {
				t.Fatalf("%d hits (%v): %+v", len(got.Hits), err, got)
			}
			if tt.hits == 0 {
				return
			}
			h := got.Hits[0]
			if said := fmt.Sprintf("%s %d %d", h.Text, h.Times, h.Bad); said != tt.want {
				t.Errorf("first is %q, want %q", said, tt.want)
			}
			e, err := s.r.Event(t.Context(), 1, h.Recording.ID, h.Place)
			if err != nil || !e.At.Equal(h.At) || tt.q.Failed && !e.Failed() {
				t.Errorf("it leads to %+v at %v (%v)", e.Event, h.At, err)
			}
			if other, err := s.r.Search(t.Context(), 2, tt.q); err != nil || len(other.Hits) > 0 {
				t.Errorf("another organization finds %d (%v)", len(other.Hits), err)
			}
		})
	}
	// All pages of a search with many hits, each once.
	for name, q := range map[string]RecordingQuery{"all": {}, "text": {Text: "item"}, "customer": {Customer: customer}} {
		seen, pages := map[string]bool{}, 0
		for more := true; more; pages++ {
			got, err := s.r.Search(t.Context(), 1, q)
			if err != nil || pages > 20 {
				t.Fatal(err, pages)
			}
			for _, h := range got.Hits {
				key := fmt.Sprint(h.Recording.ID, " ", h.TextID)
				if seen[key] {
					t.Errorf("%s: %s comes twice", name, key)
				}
				seen[key] = true
			}
			q.After, more = got.Next, got.More
		}
		if want := map[string]int{"all": 2 * (1 + 1 + 60 + 4 + 4 + 2), "text": 2 * 60, "customer": 1 + 1 + 60 + 4 + 4 + 2}[name]; len(seen) > want || len(seen) < want-2*30-2 {
			t.Errorf("%s: %d hits on %d pages, want about %d", name, len(seen), pages, want)
		}
	}
}

// Neither the texts of a long recording nor those of a customer with many are
// lost behind the last page.
func TestAllOfACustomerIsSearched(t *testing.T) {
	t.Parallel()
	s := newRecordingSite(t)
	const texts = 600
	var b strings.Builder
	fmt.Fprintf(&b, `{"type":"lr.Identify","time":1763812800000,"userID":"u-1","email":"ada@example.com"}`+"\n")
	for n := range texts {
		fmt.Fprintf(&b, `{"type":"click","time":1763812800000,"text":"button %d of many"}`+"\n", n)
	}
	_, list := s.ingest("a.jsonl", []byte(b.String()))
	if _, err := s.store.Queue().Exec(`
		INSERT INTO recordings (org_id, connection_id, file_id, recording_id, session_id, state, customer_id, started_at, ended_at)
		WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)
		SELECT 1, 1, 1, '5-' || n, '0', 'shown', ?, 1763812800000 + 1000 * n, 1763812800000 + 1000 * n FROM n`, customerRecordings+1, list[0].Customer); err != nil {
		t.Fatal(err)
	}
	q, found := RecordingQuery{Customer: list[0].Customer, Kinds: []TextKind{TextInput}}, 0
	for more := true; more; {
		got, err := s.r.Search(t.Context(), 1, q)
		if err != nil || found > texts {
			t.Fatal(err, found)
		}
		found += len(got.Hits)
		q.After, more = got.Next, got.More
	}
	if found != texts {
		t.Errorf("%d of %d texts are found", found, texts)
	}
}

func TestPatternsAreWhatTheRecordingsHold(t *testing.T) {
	t.Parallel()
	s := newRecordingSite(t)
	s.ingest("a.jsonl", busyFile(200))
	day := startOf(firstPair)
	get := func(kind TextKind, order PatternOrder) []Pattern {
		list, err := s.r.Patterns(t.Context(), 1, nil, kind, order, day, day, 10)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	p := get(TextEndpoint, ByFailures)
	if len(p) != 1 || p[0].Text != "GET https://api.example.com/orders/*" || p[0].Recordings != 2 || p[0].BadRecordings != 2 || p[0].Times != 400 || p[0].Bad != 114 || p[0].Timed != 344 {
		t.Fatalf("failing endpoints %+v", p)
	}
	if p := get(TextEndpoint, BySlowest); len(p) != 1 || p[0].P50 < 90 || p[0].P50 > 110 || p[0].P95 < 165 || p[0].P95 > 200 {
		t.Errorf("slowest endpoints %+v", p)
	}
	if p := get(TextConsoleError, ByTimes); len(p) != 10 || p[0].Times != 14 || p[0].Bad != 14 {
		t.Errorf("console errors %+v", p)
	}
	p = get(TextCustom, ByTimes)
	if len(p) != 4 || p[0].Times != 100 {
		t.Errorf("custom events %+v", p)
	}
	days, err := s.r.PatternDays(t.Context(), 1, nil, TextCustom, []EventTextID{p[0].TextID}, day.AddDate(0, 0, -3), day)
	if err != nil || len(days) != 1 || days[0].Times != 100 || days[0].Day != db.DayOf(day) {
		t.Errorf("days %+v, %v", days, err)
	}
	if hits, err := s.r.Search(t.Context(), 1, RecordingQuery{Exactly: p[0].TextID}); err != nil || len(hits.Hits) != 2 {
		t.Errorf("behind it are %d recordings (%v)", len(hits.Hits), err)
	}
}

func TestAVisitIsASessionAndARecordingAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := newRecordingSite(t)
	_, list := s.ingest("a.jsonl", busyFile(60))
	begin := startOf(firstPair)
	at := time.UnixMilli(1_763_000_000_000)
	if _, err := s.org().AddConnection(t.Context(), db.Connection{Vendor: "raygun", Name: "Web", CreatedAt: at},
		func(db.ConnectionID) (map[string][]byte, error) { return nil, nil }, db.HistoryEntry{At: at}); err != nil {
		t.Fatal(err)
	}
	session := func(id, email string, from, to time.Duration) db.FullSession {
		return db.FullSession{Session: db.Session{VendorID: id, UserEmail: email, StartedAt: begin.Add(from), EndedAt: begin.Add(to)},
			Views: []db.PageView{{URL: "https://shop.example.com/orders/17", ViewedAt: begin.Add(from)}}}
	}
	if _, err := s.org().PutFullSessions(t.Context(), 2, []db.FullSession{
		session("1", "ada0@example.com", -time.Hour, -time.Minute), session("2", "Ada0@example.com", time.Second, time.Minute),
		session("3", "ada1@example.com", time.Second, time.Minute), session("4", "ada0@example.com", time.Hour, 2*time.Hour),
	}, at); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(r Recording) bool { return r.VendorRecording == firstPair })
	visit, err := s.r.VisitOf(t.Context(), 1, list[i].Recording)
	if err != nil || len(visit) != 1 || !visit[0].Session.StartedAt.Equal(begin.Add(time.Second)) || len(visit[0].Pages) != 1 || !visit[0].Timed {
		t.Fatalf("visit %+v, %v", visit, err)
	}
	back, err := s.r.OfSession(t.Context(), 1, visit[0].Session)
	if err != nil || len(back) != 1 || back[0].ID != list[i].ID {
		t.Errorf("recordings of the session: %+v, %v", back, err)
	}
	mine, more, err := s.r.OfCustomer(t.Context(), 1, list[i].Customer, time.Time{}, time.Time{}, Moment{})
	if err != nil || more || len(mine) != 1 {
		t.Errorf("recordings of the customer: %d, %v", len(mine), err)
	}
	if got, err := s.r.ByVendor(t.Context(), 1, firstPair, ""); err != nil || len(got) != 1 || got[0].ID != list[i].ID {
		t.Errorf("by LogRocket's id: %+v, %v", got, err)
	}
}
