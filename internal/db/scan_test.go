package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"modernc.org/sqlite"
)

// recorder is a driver that writes down every statement.
type recorder struct {
	inner      driver.Driver
	statements map[string][]any
}

func (r *recorder) Open(name string) (driver.Conn, error) {
	c, err := r.inner.Open(name)
	return &recordedConn{Conn: c, r: r}, err
}

type recordedConn struct {
	driver.Conn
	r *recorder
}

func (c *recordedConn) note(query string, args []driver.NamedValue) {
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a.Value
	}
	c.r.statements[query] = values
}

func (c *recordedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.note(query, args)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *recordedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.note(query, args)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *recordedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

// testConnector opens a file with a driver that is registered nowhere.
type testConnector struct {
	name string
	d    driver.Driver
}

func (c testConnector) Connect(context.Context) (driver.Conn, error) { return c.d.Open(c.name) }
func (c testConnector) Driver() driver.Driver                        { return c.d }

// TestNothingThatGrowsIsScanned looks at the plan of every statement in this
// package's code: none may walk or sort a table that grows. Statements that are
// whole in the code are planned as they are, those that are put together as
// they run, so both are run and written down here.
func TestNothingThatGrowsIsScanned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sightline.db")
	d, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	rec := &recorder{inner: &sqlite.Driver{}, statements: map[string][]any{}}
	watched := &DB{
		w: &writer{DB: sql.OpenDB(testConnector{dsn(path, false), rec})},
		r: &readers{DB: sql.OpenDB(testConnector{dsn(path, true), rec})},
	}
	watched.w.SetMaxOpenConns(1)
	defer watched.Close()
	askEverything(t, d, watched)
	askMembers(t, watched)

	for query, args := range rec.statements {
		checkPlan(t, d, query, args...)
	}
	if _, ok := rec.statements[upsertSession]; !ok || len(rec.statements) < 40 {
		t.Errorf("only %d statements were looked at", len(rec.statements))
	}
	askElsewhere(t, d, path, rec.statements)
	checkWritten(t, d, rec.statements)
}

// checkPlan fails the test if a statement walks or sorts a table that grows.
func checkPlan(t *testing.T, d *DB, query string, args ...any) {
	t.Helper()
	verb := verbOf(query)
	if !slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}, verb) {
		return
	}
	plan := strings.Split(planOf(t, d, query, args...), "\n")
	for _, step := range plan {
		// What FTS5 scans is its own index; h is a bounded subquery; an
		// organization has few connections.
		scan := strings.HasPrefix(step, "SCAN ") && !strings.Contains(step, "VIRTUAL TABLE") &&
			!strings.HasPrefix(step, "SCAN h") && !strings.HasPrefix(step, "SCAN (subquery") && step != "SCAN CONSTANT ROW" && step != "SCAN days" && // everyDay
			!strings.HasSuffix(step, "USING INDEX sessions_uncounted") && // which holds only what is still to be counted
			!strings.HasSuffix(step, "USING INDEX asks_by_state") && // which holds only what is open
			step != "SCAN connections" && !(step == "SCAN c" && strings.Contains(query, "FROM connections c"))
		// An INSERT's plan lists what the foreign keys would look at if it
		// replaced a row, which ours never do.
		if verb == "INSERT" {
			table, _, _ := strings.Cut(strings.TrimPrefix(step, "SCAN "), " ")
			scan = scan && strings.Contains(query, table)
		}
		for part, why := range mayScan() {
			scan = scan && (why == "" || !strings.Contains(strings.Join(strings.Fields(query), " "), part))
		}
		// A member has few pins, a recording few highlights.
		sort := strings.Contains(step, "USE TEMP B-TREE FOR ORDER BY")
		for part, why := range maySort() {
			sort = sort && (why == "" || !strings.Contains(strings.Join(strings.Fields(query), " "), part))
		}
		// A filter with an index of its own walks no other.
		for column, index := range map[string]string{"s.country = ?": "sessions_country", "s.user_identifier = ?": "sessions_identifier"} {
			scan = scan || strings.Contains(query, column) && !strings.Contains(query, "INDEXED BY") && !strings.Contains(step, index)
		}
		// Rows of an organization that nothing else narrows are all its rows: an
		// index that begins with it is right where it gives the order too.
		wide := false
		for _, table := range []string{"identities", "customers", "sessions", "page_views", "session_errors", "session_pages", "session_error_groups"} {
			all := strings.Contains(step, " INDEX "+table+"_") && (strings.HasSuffix(step, "(org_id=?)") || strings.HasSuffix(step, "(connection_id=?)"))
			all = all && (verb != "INSERT" || strings.Contains(query, "FROM "+table))
			wide = wide || all && (!strings.Contains(query, "ORDER BY") || strings.Contains(strings.Join(plan, " "), "TEMP B-TREE FOR ORDER BY"))
		}
		if scan || sort || wide {
			t.Errorf("%s\n%s\nin %s", step, strings.Join(plan, "\n"), query)
		}
	}
}

func askEverything(t *testing.T, d, watched *DB) {
	t.Helper()
	ctx := t.Context()
	now := time.UnixMilli(1_000_000)
	if _, err := d.AddOrgUnscoped(ctx, "acme", "Acme", now); err != nil {
		t.Fatal(err)
	}
	if _, err := d.AddUserUnscoped(ctx, User{Email: "a", CreatedAt: now}, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.w.Exec(`INSERT INTO connections (org_id, vendor, name, created_at) VALUES (1, 'raygun', 'Web', 7)`); err != nil {
		t.Fatal(err)
	}
	o := watched.Org(1)
	row := Session{VendorID: "1", UserEmail: "ada@example.com", UserName: "Ada", UserIdentifier: "u1", StartedAt: now}
	place := Moment{At: now, ID: 9}
	period := Period{Before: 1, From: 5, To: 9}
	var ids []SessionID
	for _, step := range []func() error{
		func() (err error) {
			ids, err = o.PutSessions(ctx, 1, []Session{row}, now, &SearchPage{Params: "{}"})
			return err
		},
		func() error {
			_, err := o.PutFullSessions(ctx, 1, []FullSession{{Session: row, Views: []PageView{{URL: "/"}}, Errors: []SessionError{{Title: "x"}}, Answer: []byte(`{}`)}}, now)
			return err
		},
		func() error { // again, and now it began on another day
			row.StartedAt = now.AddDate(0, 0, -9)
			_, err := o.PutSessions(ctx, 1, []Session{row}, now, nil)
			return err
		},
		func() error {
			_, err := o.PutFullSessions(ctx, 1, []FullSession{{Session: row, Views: []PageView{{URL: "/b"}}, Errors: []SessionError{{Title: "y"}}}}, now)
			return err
		},
		func() error {
			if _, err := d.w.Exec(`UPDATE sessions SET counted = 0`); err != nil {
				return err
			}
			if _, err := d.w.Exec(`DELETE FROM session_pages; DELETE FROM session_error_groups`); err != nil {
				return err
			}
			return countSessions(ctx, watched.w.DB)
		},
		func() error { _, err := o.Page(ctx, 1); return err },
		func() error { _, err := o.Pages(ctx, []PageID{1, 2}); return err },
		func() error { _, err := o.ErrorGroup(ctx, 1); return err },
		func() error { _, err := o.ErrorGroups(ctx, []ErrorGroupID{1, 2}); return err },
		func() error { _, err := o.DayCounts(ctx, []ConnectionID{1}, FacetOS, "iOS", period); return err },
		func() error { _, err := o.FacetCounts(ctx, []ConnectionID{1}, FacetOS, period, 9); return err },
		func() error { _, err := o.PageCounts(ctx, []ConnectionID{1}, period); return err },
		func() error { _, _, err := o.PageLoads(ctx, []ConnectionID{1}, period, nil); return err },
		func() error { _, _, err := o.PageLoads(ctx, []ConnectionID{1}, period, []PageID{1, 2}); return err },
		func() error { _, err := o.ErrorCounts(ctx, []ConnectionID{1}, period, 9); return err },
		func() error { // an id only, and an email for whom an id names
			_, err := o.Resolve(ctx, Sighting{Connection: 1, RaygunIdentifier: "u2", SeenAt: now})
			return err
		},
		func() error {
			_, err := o.Resolve(ctx, Sighting{Connection: 1, RaygunIdentifier: "u2", Email: "b@example.com", SeenAt: now})
			return err
		},
		func() error { _, err := o.Session(ctx, ids[0]); return err },
		func() error { _, err := o.SessionsByVendorID(ctx, "1"); return err },
		func() error { _, err := o.PageViews(ctx, ids[0]); return err },
		func() error { _, err := o.SessionErrors(ctx, ids[0]); return err },
		func() error { _, err := o.Sessions(ctx, SessionFilter{}, Moment{}, 51); return err },
		func() error { _, err := o.Sessions(ctx, SessionFilter{From: now, To: now}, place, 51); return err },
		func() error {
			_, err := o.Sessions(ctx, SessionFilter{From: now, To: now, Identifier: "u", Countries: []string{"NZ", "US"}}, place, 51)
			return err
		},
		func() error {
			_, err := o.Sessions(ctx, SessionFilter{From: now, Countries: []string{"NZ", "US"}}, place, 51)
			return err
		},
		func() error { _, err := o.CustomerSessions(ctx, 1, place, 51); return err },
		func() error {
			_, _, err := o.SessionNeighbours(ctx, Session{ID: 1, Customer: 1, StartedAt: now})
			return err
		},
		func() error { _, err := o.Search(ctx, 1, "{}"); return err },
		func() error { _, err := o.Searched(ctx, 1, "sessions", "{}"); return err },
		func() error { _, err := o.Sessions(ctx, SessionFilter{Search: 1}, place, 51); return err },
		func() error { _, err := o.Customer(ctx, 1); return err },
		func() error { _, err := o.Customers(ctx, place, 51); return err },
		func() error { _, err := o.Customers(ctx, Moment{ID: 5}, 51); return err },
		func() error { _, err := o.SharesWith(ctx, 1); return err },
		func() error { return o.View(ctx, 1, 1, now) },
		func() error { _, err := o.Recent(ctx, 1, 10); return err },
		func() error { return o.Pin(ctx, 1, 1, now) },
		func() error { _, err := o.Pinned(ctx, 1); return err },
		func() error { _, err := o.Glance(ctx, 1, 1); return err },
		func() error { return o.Unpin(ctx, 1, 1) },
		func() error { _, err := o.Identities(ctx, 1); return err },
		func() error { _, err := o.MatchExact(ctx, "ada"); return err },
		func() error { _, err := o.MatchPrefix(ctx, "ada", 100); return err },
		func() error { _, err := o.MatchText(ctx, "ada", 100); return err },
		func() error { _, err := o.RecordingCustomers(ctx, "6-x", ""); return err },
		func() error { _, err := o.TimelineHighlights(ctx, 1, place, 51); return err },
		func() error { _, err := o.TimelineEdits(ctx, 1, place, 51); return err },
		func() error { _, err := o.ExportFiles(ctx, ExportFilter{Connection: 1, Trouble: true}); return err },
		func() error { _, err := o.AuditEntries(ctx, AuditFilter{After: place}); return err },
		func() error { _, err := o.AuditEntries(ctx, AuditFilter{Customer: 1, After: place}); return err },
		func() error { return o.SetSync(ctx, 1, SyncSettings{Enabled: true, RetentionDays: 60}, nil) },
		func() error { _, err := o.ClaimSync(ctx, 1, now, now.Add(1)); return err },
		func() error { _, err := o.EndSync(ctx, 1, Sync{}, SyncOutcome{NextAt: now}); return err },
		func() error { _, err := watched.SettleSyncsUnscoped(ctx, 0, 10); return err },
		func() error { _, err := watched.OverdueSyncsUnscoped(ctx, now, 0, 10); return err },
		func() error {
			r := SyncRange{From: now, To: now.Add(time.Hour)}
			calls := int64(3)
			return o.PlanWalks(ctx, 1, func([]SyncWalk) []SyncWalk {
				return []SyncWalk{{Purpose: WalkPerson, SyncRange: r, CallsLeft: &calls, Todo: []SyncRange{r}}}
			}, now, nil, nil)
		},
		func() error {
			walks, err := o.SyncWalks(ctx, 1)
			if err != nil {
				return err
			}
			_, err = o.PutSyncPage(ctx, walks[0], []Session{row}, nil, now, func(w SyncWalk, _ int64) SyncWalk { w.Todo = nil; return w })
			return err
		},
		func() error { _, err := o.SyncDays(ctx, 1, 0, 100); return err },
		func() error {
			_, err := o.AddSavedView(ctx, SavedView{Owner: 1, Name: "a", Shared: true, UpdatedAt: now}, 9, &HistoryEntry{At: now})
			return err
		},
		func() error {
			_, err := o.AddSavedView(ctx, SavedView{Owner: 1, Name: "a", UpdatedAt: now}, 9, nil)
			return err
		},
		func() error { return o.SetDefaultView(ctx, 1, 1) },
		func() error { return o.ChangeSavedView(ctx, 1, SavedView{ID: 1, Name: "b", UpdatedAt: now}, 9, nil) },
		func() error { _, err := o.SavedViews(ctx, 1); return err },
		func() error { _, err := o.SavedView(ctx, 1, 1); return err },
		func() error { return o.DeleteSavedView(ctx, 1, 1, nil) },
		func() error { return o.SetDefaultView(ctx, 1, 0) },
		func() error {
			_, err := o.BareSessions(ctx, 1, SyncRange{From: now, To: now}, now, 9)
			return err
		},
		func() error {
			_, err := o.BareSessionsOfViewed(ctx, 1, SyncRange{From: now, To: now}, now, now, 9)
			return err
		},
		func() error {
			_, err := o.BareSighted(ctx, 1, SyncRange{From: now, To: now}, now, 9)
			return err
		},
		func() error { _, err := o.BareDays(ctx, 1, 1, 9); return err },
		func() error { _, err := o.LackingDetail(ctx, 1, ids); return err },
		func() error { return o.SpendDetails(ctx, 1, 1, 1) },
		func() error {
			run, _, err := o.AddDetailRun(ctx, 1, 1, ids, HistoryEntry{At: now}, func(context.Context, *sql.Tx, int64) error { return nil })
			if err != nil {
				return err
			}
			if err := o.PauseDetailRun(ctx, run.ID, "x", now); err != nil {
				return err
			}
			if err := o.ResumeDetailRun(ctx, run.ID, 1, now, func(context.Context, *sql.Tx, int64) error { return nil }); err != nil {
				return err
			}
			if _, err := o.LatestDetailRun(ctx, 1); err != nil {
				return err
			}
			return o.EndDetailStep(ctx, run, DetailStep{Came: true, At: now})
		},
		func() error { _, err := watched.OpenDetailRunsUnscoped(ctx, 0, 10); return err },
		func() error { _, err := o.CallHours(ctx, 0, now, now); return err },
		func() error { _, err := o.CallHours(ctx, 1, now, now); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// askMembers asks what the pages of members, invitations and accounts ask.
func askMembers(t *testing.T, watched *DB) {
	t.Helper()
	ctx := t.Context()
	now := time.UnixMilli(1_000_000)
	o := watched.Org(1)
	entry := HistoryEntry{At: now}
	decide := func(Standing) (HistoryEntry, error) { return entry, nil }
	change := InvitationChange{ID: 1, At: now, Decide: func(Standing, Invitation) (HistoryEntry, error) { return entry, nil }}
	voided := func(Invitation) HistoryEntry { return entry }
	for _, step := range []func() error{
		func() error { return o.SetMember(ctx, 1, "owner", now) },
		func() error { _, err := o.Member(ctx, 1); return err },
		func() error { _, err := o.MemberByEmail(ctx, "a"); return err },
		func() error {
			i := Invitation{Email: "b", Role: "viewer", FormToken: "f", CreatedBy: 1, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
			_, err := o.AddInvitation(ctx, i, "b", []byte("1"), decide)
			return err
		},
		func() error { _, err := o.OpenInvitations(ctx); return err },
		func() error { return o.RenewInvitation(ctx, change, []byte("2"), now.Add(time.Hour)) },
		func() error { _, err := watched.InvitationByTokenUnscoped(ctx, []byte("2")); return err },
		func() error {
			return o.ChangeMember(ctx, MemberChange{User: 1, Role: "admin", At: now, Decide: decide, Void: []string{"viewer"}, Voided: voided})
		},
		func() error {
			_, err := o.AddInvitation(ctx, Invitation{Email: "c", Role: "viewer", FormToken: "g", CreatedAt: now, ExpiresAt: now.Add(time.Hour)}, "c", []byte("3"), decide)
			return err
		},
		func() error {
			_, err := o.AcceptInvitation(ctx, 2, User{Email: "c", CreatedAt: now}, "c", now, entry)
			return err
		},
		func() error {
			_, err := o.AddInvitation(ctx, Invitation{Email: "d", Role: "viewer", FormToken: "h", CreatedAt: now, ExpiresAt: now.Add(time.Hour)}, "d", []byte("4"), decide)
			return err
		},
		func() error { change.ID = 3; return o.RevokeInvitation(ctx, change) },
		func() error { return o.RemoveMember(ctx, MemberChange{User: 2, At: now, Decide: decide}) },
		func() error { return watched.RenameUserUnscoped(ctx, 1, "Ada", entry) },
		func() error { return watched.ChangePasswordUnscoped(ctx, 1, "", "x", entry) },
		func() error { _, err := watched.CountWebSessionsUnscoped(ctx, 1, now, now); return err },
		func() error {
			_, err := watched.DeleteOtherWebSessionsUnscoped(ctx, 1, []byte("k"), now, now, entry)
			return err
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}
