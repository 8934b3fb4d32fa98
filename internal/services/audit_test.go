package services

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/sandbox"
)

func TestAuditLogIsFollowedWithItsCursor(t *testing.T) {
	v := &auditVendor{size: 950}
	r := newAuditSite(t, v)
	r.follow(true)
	// More than a turn's pages: it goes on with the next one.
	if st := r.settled(); st.State != AuditFollowing || st.Entries != 950 || !st.Oldest.Equal(auditTimeOf(0)) || st.ReadAt.IsZero() || st.Since.IsZero() {
		t.Errorf("%+v", st)
	}
	r.has(950)
	if n := len(v.asked()); n != 10 {
		t.Errorf("asked %d times, want 10: %v", n, v.asked())
	}
	v.set(func() { v.size = 953 })
	r.fetch()
	r.has(953)
	if asked := v.asked(); len(asked) != 11 || asked[10] != fmt.Sprint(auditTimeOf(950).UnixMilli()) {
		t.Errorf("asked %v", asked[10:])
	}
	// The log of another app begins at its beginning.
	if problems, err := r.s.Connections.Rotate(t.Context(), r.actor, r.conn, ConnectionForm{Key: NewSecret("acme:shop:planted-key")}); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	r.settled()
	r.has(953)
	if asked := v.asked(); asked[11] != "" {
		t.Errorf("another app's log was asked for with the cursor %q", asked[11])
	}
	r.follow(false)
	if err := r.s.Audits.FetchNow(t.Context(), r.actor, r.conn); kindOf(err) != Invalid {
		t.Errorf("fetched although it is off: %v", err)
	}
	if st := r.settled(); st.State != AuditOff || st.Entries != 953 {
		t.Errorf("switched off: %+v", st)
	}
	support := r.actor
	support.Role = Support
	if err := r.s.Audits.Follow(t.Context(), support, r.conn, true); kindOf(err) != Denied {
		t.Errorf("a supporter switched it on: %v", err)
	}
	var said []string
	rows, err := r.store.Org(1).History(t.Context(), db.HistoryFilter{Limit: 100})
	for _, e := range rows {
		if e.Action == "connection.audit" {
			said = append(said, e.Summary)
		}
	}
	if err != nil || len(said) != 2 || !strings.HasSuffix(said[0], "off") || !strings.HasSuffix(said[1], "on") {
		t.Errorf("history: %q, %v", said, err)
	}
}

// TestAKillLosesAndDoublesNoAuditEntry cuts it off at every page: while the
// vendor is asked, and within the transaction that stores what came.
func TestAKillLosesAndDoublesNoAuditEntry(t *testing.T) {
	v := &auditVendor{size: 450}
	r := newAuditSite(t, v)
	cut, hold := make(chan int), make(chan struct{})
	t.Cleanup(func() { close(hold) })
	v.on = func(call int) {
		if call%2 == 1 && call < 8 {
			select {
			case cut <- call:
				<-hold // the kill comes before any answer
			case <-hold:
			}
		}
	}
	r.follow(true)
	for range 4 {
		select {
		case <-cut:
		case <-time.After(30 * time.Second):
			t.Fatal("it does not go on after a kill")
		}
		r.kill()
		r.open()
	}
	r.settled()
	r.has(450)

	v.set(func() { v.size = 650 })
	r.force(`CREATE TRIGGER broken BEFORE UPDATE OF cursor ON audit_follows BEGIN SELECT RAISE(ABORT, 'no'); END`)
	if st := r.fetch(); st.State != AuditFailing || st.Entries != 450 {
		t.Errorf("a page could not be stored: %+v", st)
	}
	r.has(450)
	r.force(`DROP TRIGGER broken`)
	r.fetch()
	r.has(650)
}

// TestAnOvertakenPageDoesNotMoveTheCursor stores a page that was asked for
// before another one was stored, as two jobs could.
func TestAnOvertakenPageDoesNotMoveTheCursor(t *testing.T) {
	r := newAuditSite(t, &auditVendor{})
	r.follow(true)
	r.settled()
	o := r.store.Org(1)
	before, err := o.AuditFollow(t.Context(), r.conn)
	if err != nil {
		t.Fatal(err)
	}
	entry := func(n int) []db.NewAuditEntry {
		return []db.NewAuditEntry{{AuditEntry: db.AuditEntry{At: auditTimeOf(n), RecordingID: recordingNo(n)}, Hash: []byte{byte(n)}}}
	}
	for n, cursor := range []string{"new", "old"} {
		after, err := o.PutAuditPage(t.Context(), before, entry(n), time.Now(), func(fresh int64) db.AuditPlace {
			if fresh != 1 {
				t.Errorf("%d entries are new", fresh)
			}
			return db.AuditPlace{App: "acme/web", Cursor: cursor}
		})
		if err != nil || after.Cursor != "new" || after.Pages != before.Pages+1 {
			t.Errorf("after the page with %q: %+v, %v", cursor, after, err)
		}
	}
	r.has(2)
}

func TestNoMannersOfTheVendorLoopOrDouble(t *testing.T) {
	stay := func(answer map[string]any) { answer["has_next"] = true }
	tests := map[string]struct {
		v *auditVendor
		// want is how many of 250 entries come; calls how often is asked at most.
		want, calls int
		state       AuditState
		// last is how often the third look asks at most; 0 is 6.
		last int
	}{
		"repeats entries": {&auditVendor{bend: func(from int, a map[string]any) {
			logs := a["logs"].([]any)
			a["logs"] = append(slices.Clone(logs), logs[max(0, len(logs)-30):]...)
		}}, 250, 3, AuditFollowing, 0},
		"shuffles them": {&auditVendor{bend: func(_ int, a map[string]any) { slices.Reverse(a["logs"].([]any)) }}, 250, 3, AuditFollowing, 0},
		"gives one cursor for ever": {&auditVendor{bend: func(_ int, a map[string]any) {
			a["cursor"] = auditTimeOf(0).UnixMilli()
			stay(a)
		}}, 100, 2, AuditFailing, 1},
		"leads back to the beginning at the end": {&auditVendor{bend: func(from int, a map[string]any) {
			if from >= 200 {
				a["cursor"] = auditTimeOf(0).UnixMilli()
			}
		}}, 250, 3, AuditFollowing, 1},
		"has more for ever, with the last cursor": {&auditVendor{bend: func(_ int, a map[string]any) { stay(a) }}, 250, 4, AuditFailing, 0},
		"has more for ever, and nothing in it": {&auditVendor{bend: func(_ int, a map[string]any) {
			if len(a["logs"].([]any)) == 0 {
				a["cursor"] = time.Now().UnixNano()
			}
			stay(a)
		}}, 250, 6, AuditFollowing, 0},
		"goes back to where it began": {&auditVendor{bend: func(from int, a map[string]any) {
			if from >= 200 {
				a["cursor"] = auditTimeOf(0).UnixMilli()
			}
			stay(a)
		}}, 250, 6, AuditFailing, 0},
		"gives no cursor at the end": {&auditVendor{bend: func(from int, a map[string]any) {
			if from >= 200 {
				a["cursor"] = nil
			}
		}}, 250, 3, AuditFollowing, 0},
		"takes small pages alone":      {&auditVendor{maxLimit: 10}, 250, 1 + 25 + 25/6 + 1, AuditFollowing, 0},
		"does not know its own cursor": {&auditVendor{badCursor: func(c string) bool { return c == fmt.Sprint(auditTimeOf(200).UnixMilli()) }}, 250, 20, AuditFollowing, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.v.size = 250
			r := newAuditSite(t, tt.v)
			r.follow(true)
			st := r.settled()
			if st.State != tt.state {
				t.Errorf("%s: %s", st.State, st.Sentence)
			}
			r.has(tt.want)
			if asked := tt.v.asked(); len(asked) > tt.calls {
				t.Errorf("asked %d times, want at most %d: %v", len(asked), tt.calls, asked)
			}
			// The next looks ask little and change nothing.
			for look, most := range []int{6, cmp.Or(tt.last, 6)} {
				before := len(tt.v.asked())
				r.fetch()
				r.has(tt.want)
				if n := len(tt.v.asked()) - before; n > most {
					t.Errorf("look %d asked %d times, want at most %d", look+2, n, most)
				}
			}
		})
	}
}

func TestARefusedAuditLogIsLeftAlone(t *testing.T) {
	for status, want := range map[int]string{401: "does not accept the credentials", 403: "may not do this", 402: "may not do this", 404: "has no audit log for this key", 405: "has no audit log for this key"} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			v := &auditVendor{size: 120, refuse: status}
			r := newAuditSite(t, v)
			r.follow(true)
			st := r.settled()
			if st.State != AuditRefused || st.On() || !strings.Contains(st.Sentence, want) || !strings.Contains(st.Sentence, "vendor's words") {
				t.Errorf("%s: %s", st.State, st.Sentence)
			}
			// A restart does not try again; other credentials do.
			r.kill()
			r.open()
			if st := r.settled(); st.State != AuditRefused || len(v.asked()) != 1 {
				t.Errorf("after a restart %s, asked %d times", st.State, len(v.asked()))
			}
			v.set(func() { v.refuse = 0 })
			if problems, err := r.s.Connections.Rotate(t.Context(), r.actor, r.conn, ConnectionForm{Key: NewSecret("acme:web:another")}); err != nil || len(problems) > 0 {
				t.Fatal(problems, err)
			}
			if st := r.settled(); st.State != AuditFollowing || st.Entries != 120 {
				t.Errorf("with other credentials %s: %s", st.State, st.Sentence)
			}
			// What has worked is not given up for one bad answer.
			v.set(func() { v.refuse = status })
			if st := r.fetch(); st.State != AuditFailing || !strings.Contains(st.Sentence, "once more") {
				t.Errorf("refused after it worked: %s: %s", st.State, st.Sentence)
			}
			r.force(`UPDATE audit_follows SET next_at = 1`)
			if err := r.s.queue.again(t.Context(), jobAudit, 1, int64(r.conn), 0); err != nil {
				t.Fatal(err)
			}
			if st := r.settled(); st.State != AuditRefused || st.Entries != 120 {
				t.Errorf("refused again: %s: %s", st.State, st.Sentence)
			}
			r.has(120)
		})
	}
}

func TestAFailingAuditLogIsTriedAgainLater(t *testing.T) {
	v := &auditVendor{size: 120, refuse: 500}
	r := newAuditSite(t, v)
	r.follow(true)
	if st := r.settled(); st.State != AuditFailing || !strings.Contains(st.Sentence, "Tried once") {
		t.Errorf("%s: %s", st.State, st.Sentence)
	}
	row, err := r.store.Org(1).AuditFollow(t.Context(), r.conn)
	if pause := time.Until(row.NextAt); err != nil || pause < 30*time.Second || pause > time.Minute {
		t.Errorf("the next try is in %s (%v)", pause, err)
	}
	v.set(func() { v.refuse = 0 })
	if st := r.fetch(); st.State != AuditFollowing {
		t.Errorf("%s: %s", st.State, st.Sentence)
	}
	r.has(120)
}

// TestWhoseRecordingItWasIsFoundWhenItIsRead joins an entry to a customer whom
// nobody knew when the entry came.
func TestWhoseRecordingItWasIsFoundWhenItIsRead(t *testing.T) {
	v := &auditVendor{size: 30}
	r := newAuditSite(t, v)
	r.follow(true)
	r.settled()
	ctx := t.Context()
	ids := map[string]CustomerID{}
	for _, email := range []string{"ada@example.com", "bob@example.com"} {
		id, err := r.store.Org(1).Resolve(ctx, db.Sighting{Connection: r.conn, Email: email, SeenAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		ids[email] = id
	}
	of := func(q AuditQuery) []string {
		t.Helper()
		q.Limit = PageSize
		page, err := r.s.Audits.List(ctx, 1, q)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range page.Entries {
			for _, c := range e.Customers {
				out = append(out, e.RecordingID[len(e.RecordingID)-2:]+" "+c.Name)
			}
		}
		return out
	}
	ada := AuditQuery{Customer: ids["ada@example.com"]}
	if got := of(AuditQuery{}); len(got) != 0 || len(of(ada)) != 0 {
		t.Errorf("nobody is known yet: %v", got)
	}
	for i, email := range []string{"ada@example.com", "ada@example.com", "bob@example.com"} {
		r.force(fmt.Sprintf(`INSERT INTO highlights (id, org_id, connection_id, customer_id, subject_kind, subject, subject_norm, form_token, state, created_at)
			VALUES (%d, 1, %d, %d, 'email', 'x', 'x', 'f%d', 'ready', 7)`, i+1, r.conn, ids[email], i))
	}
	// The first tells the session, the second the recording only, the third
	// another session of Ada's first recording.
	r.force(fmt.Sprintf(`INSERT INTO highlight_sessions (highlight_id, position, org_id, recording_id, session_id, markdown)
		VALUES (1, 0, 1, '%s', '0', ''), (2, 0, 1, '%s', '', ''), (2, 1, 1, '%s', '0', ''), (3, 0, 1, '%s', '1', '')`, recordingNo(4), recordingNo(5), recordingNo(4), recordingNo(4)))
	want := []string{"05 ada@example.com", "04 ada@example.com"}
	if got := of(AuditQuery{}); !slices.Equal(got, want) {
		t.Errorf("joined as %v, want %v", got, want)
	}
	if got := of(ada); !slices.Equal(got, want) {
		t.Errorf("of the customer %v, want %v", got, want)
	}
	if got := of(AuditQuery{Customer: ids["bob@example.com"]}); len(got) != 0 {
		t.Errorf("of another one %v", got)
	}
	if got := of(AuditQuery{Customer: ids["ada@example.com"], Who: "MEMBER1@acme.example", Action: "Viewed session"}); !slices.Equal(got, want[1:]) {
		t.Errorf("of the customer and a member %v", got)
	}
	watched, err := r.s.Audits.WatchersOf(ctx, 1, []HighlightSession{{RecordingID: recordingNo(4), SessionID: "0"}, {}, {RecordingID: recordingNo(5)}})
	if err != nil || len(watched[0]) != 1 || watched[0][0].Who != "Member1@acme.example" || watched[0][0].Times != 1 || len(watched[1]) != 0 || len(watched[2]) != 1 {
		t.Errorf("watched by %+v, %v", watched, err)
	}
}

func TestTheDemosAuditLogIsReadInBothDialects(t *testing.T) {
	eachDialect(t, func(t *testing.T, d sandbox.Dialect) {
		r := newRocketSite(t, d)
		r.start()
		owner := r.actor
		owner.Role = Owner
		if err := r.s.Audits.Follow(t.Context(), owner, r.conn, true); err != nil {
			t.Fatal(err)
		}
		if err := r.s.Audits.Wait(t.Context(), 1, r.conn, patience); err != nil {
			t.Fatal(err)
		}
		st, err := r.s.Audits.Status(t.Context(), 1, r.conn)
		if err != nil || st.State != AuditFollowing || st.Entries == 0 || st.Entries != int64(r.box.Company().Audited()) {
			t.Errorf("%+v, %v; there are %d", st, err, r.box.Company().Audited())
		}
	})
}
