package sandbox_test

import (
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

func TestDefaultCompanyIsBigFastAndSmall(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	s, _ := start(t, sandbox.Options{Customers: 2000, Sessions: 50_000})
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	c := s.Company()
	t.Logf("made in %v, %d KB kept, %d sessions, %d recordings complete", took, (int64(after.HeapAlloc)-int64(before.HeapAlloc))/1024, c.SessionCount(), c.Recorded())
	if took > 5*time.Second { // a second on a quiet machine
		t.Errorf("took %v", took)
	}
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 40<<20 {
		t.Errorf("keeps %d bytes", kept)
	}
	if len(c.Customers()) < 2000 || c.SessionCount() < 50_000 || c.Recorded() < 20_000 {
		t.Errorf("%d customers, %d sessions, %d recordings", len(c.Customers()), c.SessionCount(), c.Recorded())
	}
}

func TestCompanyIsBelievable(t *testing.T) {
	s, _ := start(t, sandbox.Options{Customers: 2000, Sessions: 50_000})
	c := s.Company()
	heavy, odd, unicode, shared, none := 0, 0, 0, map[string]int{}, 0
	for _, p := range c.Customers() {
		if strings.ContainsAny(p.UserID, "|/+% ") {
			odd++
		}
		if slices.ContainsFunc([]rune(p.FullName), func(r rune) bool { return r > 127 }) {
			unicode++
		}
		if p.Email == "" {
			none++
		}
		shared[p.Identifier]++
	}
	most := 0
	for _, n := range shared {
		most = max(most, n)
	}
	for _, p := range c.Customers()[:20] {
		if len(c.SessionsOf(p)) >= 300 {
			heavy++
		}
	}
	if heavy < 2 || odd < 100 || unicode < 200 || most < 2 || none == 0 {
		t.Errorf("heavy %d, odd ids %d, unicode names %d, most sharing an identifier %d, without email %d", heavy, odd, unicode, most, none)
	}
}

func TestAdaHasABadDay(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	ada, ok := s.Company().Customer("ADA.lovelace@example.com")
	if !ok {
		t.Fatal("no Ada")
	}
	today, days, recorded := 0, map[string]bool{}, 0
	for _, v := range s.Company().SessionsOf(ada) {
		if v.Start.After(noon()) {
			t.Errorf("session at %v lies ahead", v.Start)
		}
		if noon().Sub(v.Start) < 7*24*time.Hour {
			days[v.Start.Format(time.DateOnly)] = true
		}
		if noon().Sub(v.Start) < 12*time.Hour {
			today += len(v.Errors)
		}
		if v.Recording.RecordingID != "" {
			recorded++
		}
	}
	if today < 2 || len(days) < 6 || recorded < 8 {
		t.Errorf("%d errors today, %d days of the last week, %d recordings", today, len(days), recorded)
	}
}

func TestSameSeedSameData(t *testing.T) {
	tell := func(seed uint64) string {
		s, _ := start(t, sandbox.Options{Seed: seed})
		c := s.Company()
		raw, err := json.Marshal([]any{c.Customers(), c.SessionsOf(c.Customers()[0]), c.SessionsOf(c.Customers()[99]), c.SessionCount()})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	once, again := tell(5), tell(5)
	if once != again {
		t.Error("the same seed gave different data")
	}
	if once == tell(6) {
		t.Error("another seed gave the same data")
	}
}

func TestSessionsHoldTogether(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	c := s.Company()
	ratings, active, negative := map[string]int{}, 0, 0
	for _, p := range c.Customers() {
		for _, v := range c.SessionsOf(p) {
			again, ok := c.Session(v.ID)
			if !ok || !again.Start.Equal(v.Start) || len(again.PageViews) != len(v.PageViews) {
				t.Fatalf("session %d is not found again as it was", v.ID)
			}
			if len(v.PageViews) == 0 {
				t.Fatalf("session %d has no page views", v.ID)
			}
			for i, pv := range v.PageViews {
				if pv.At.Before(v.Start) || i > 0 && pv.At.Before(v.PageViews[i-1].At) || pv.At.After(v.Start.Add(v.Length)) && !v.Active {
					t.Fatalf("session %d, page view %d at %v lies outside of %v + %v", v.ID, i, pv.At, v.Start, v.Length)
				}
				if pv.Viewing < 0 {
					negative++
				}
			}
			for _, e := range v.Errors {
				if e.At.Before(v.PageViews[e.View].At) {
					t.Fatalf("session %d: an error before its page", v.ID)
				}
			}
			ratings[v.Rating]++
			if v.Active {
				active++
				if !v.End.IsZero() {
					t.Errorf("active session %d has an end", v.ID)
				}
			}
		}
	}
	for _, r := range []string{"Excellent", "Good", "Average", "Poor", "", "Frustrating"} {
		if ratings[r] == 0 {
			t.Errorf("no session is rated %q: %v", r, ratings)
		}
	}
	if active == 0 || negative == 0 {
		t.Errorf("%d active sessions, %d negative viewing times", active, negative)
	}
}

func TestRecordingsGoOnInLaterSessions(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	began, later := map[string]time.Time{}, 0
	for _, p := range s.Company().Customers() {
		list := s.Company().SessionsOf(p)
		slices.Reverse(list)
		for _, v := range list {
			if v.Recording.RecordingID == "" {
				continue
			}
			at, known := began[v.Recording.RecordingID]
			if known != (v.Recording.SessionID > 0) {
				t.Fatalf("%s at %v; its recording began at %v", v.Recording, v.Start, at)
			}
			if !known {
				began[v.Recording.RecordingID] = v.Start
				continue
			}
			if later++; later < 20 {
				if a := mustSend(t, "GET", s.LogRocketAppURL()+"/acme/web/s/"+v.Recording.String(), nil, nil); a.code != 200 {
					t.Errorf("%s leads to %d", v.Recording, a.code)
				}
			}
		}
	}
	if later == 0 {
		t.Error("every recording has one session")
	}
}
