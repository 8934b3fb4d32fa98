package db_test

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
)

// The organization that owns every row, and the stranger. Every number in the
// owner's rows is theirs, every text is victimText, so that whatever comes out
// of them can be told.
const (
	owner      = 7
	stranger   = 8
	victimText = "victim"
)

// notTenant are the methods that no row of a tenant goes through.
var notTenant = []string{"ID"}

// echoes are the methods whose result is what was just put in for the stranger.
var echoes = []string{"AddConnection", "AddInvitation"}

// columnValues are the values of seeded columns that the schema or a reader
// does not take as victimText or as a 7.
func columnValues() map[string]any {
	return map[string]any{
		"memberships.role": "owner", "invitations.role": "viewer", "invitations.expires_at": 1_800_000_000_000,
		"invitations.accepted_at": nil, "invitations.revoked_at": nil, "connections.vendor": "raygun", "connections.dialect": "{}", "connections.removed_at": nil,
		"connections.blocked_until": nil, "calls.purpose": "person", "calls.state": "sending",
		"identities.kind": "email", "sessions.status": "active", "sessions.slow_class": 3, "asks.purpose": "person", "asks.state": "queued", "asks.result": "{}",
		"trait_edits.state": "queued", "trait_changes.field": "trait", "highlights.subject_kind": "email", "highlights.state": "queued",
		"trait_edits.request": "{}", "raygun_names.kind": "page", "vital_days.buckets": "[]", "sync_walks.purpose": "follow", "sync_walks.todo": "[]",
		"batches.state": "running", "batches.format": "{}", "batches.range_ms": 0, "batch_items.subject_kind": "email", "batch_items.state": "waiting", "batch_items.reused": 1,
		"bulk_edits.state": "running", "bulk_edits.format": "{}", "bulk_edits.mapping": "{}", "bulk_lines.state": "ready", "bulk_lines.changes": "[]",
		"graphql_locks.role": "owner", "graphql_runs.kind": "query", "graphql_runs.state": "queued", "graphql_runs.schedule_id": nil, "query_forms.role": "viewer",
		"query_schedules.every": "hour", "query_schedules.state": "active",
		"recordings.state": "shown", "recording_blocks.id": owner<<20 | owner, "recording_calls.id": owner<<20 | owner, "recording_texts.position": 8, "export_bad_lines.line": 8,
		// what Go reads as a bool
		"detail_runs.state": "open", "detail_runs.todo": "[7]", "syncs.details": 1, "asks.spare": 1,
		"export_follows.enabled": 1, "export_follows.claimed_until": nil, "export_files.origin": "followed", "export_files.state": "listed",
		"audit_follows.enabled": 1, "audit_entries.timed": 1, "audit_follows.claimed_until": nil,
		"connections.check_ok": 1, "calls.counts": 1, "sessions.user_anonymous": 1, "syncs.enabled": 1, "session_searches.complete": 1, "saved_views.shared": 1,
		"sessions.user_partial": 1, "raygun_users.anonymous": 1, "vital_days.whole": 0,
	}
}

// fieldValues are the texts of arguments that the schema constrains, by type
// and field, or by method and position (0 is the first after the context).
func fieldValues() map[string]string {
	return map[string]string{
		"Connection.Vendor": "raygun", "CallOutcome.State": "ok", "AskOutcome.State": "done", "Ask.Kind": "check",
		"Highlight.SubjectKind": "email", "HighlightOutcome.State": "failed", "TraitOutcome.State": "sent",
		"HighlightFilter.State": "queued", "EndHighlight.1": "queued", "TraitEdits.2": "", // the last: a bound left open
		"EndBatch.1": "cancelled", "NoteBatch.1": "waits", "NewBatchItem.SubjectKind": "email", "NewBatchItem.State": "waiting", "BatchItems.1": "waiting", "BatchAnswers.1": "waiting",
		"EndBulk.1": "cancelled", "NoteBulk.1": "waits", "EndBulkLine.2": "sent", "BulkLines.1": "ready", "BulkLine.State": "ready",
		"TraitChange.Field": "trait", "SetMember.1": "viewer", "Invitation.Role": "viewer",
		"MemberChange.Role": "viewer", "MemberByEmail.0": fmt.Sprint("u", owner), "Identity.Kind": "email", "Match.Kind": "email",
		"SyncWalk.Purpose": "follow", "SessionFilter.People": "anonymous", "SessionFilter.Errors": "with", "SessionFilter.State": "active",
		"GraphQLRun.Kind": "query", "GraphQLOutcome.State": "done", "GraphQLOutcome.Of": "", "SetGraphQLLock.1": "admin", "QueryForm.Role": "viewer",
		"QuerySchedule.Every": "day", "QuerySchedule.State": "active", "GraphQLOutcome.Verdict": "good",
		"Recordings.0": "", "Recordings.1": "", "CustomerRecordings.1": "", "CustomerRecordings.2": "",
		"FieldHistory.1": "trait", "PutRaygunNames.1": "page", "WaitingUsers.1": "", "RaygunNames.1": "page",
	}
}

// statesFor are seeded columns that a method needs otherwise than
// columnValues, because it works on rows in one state.
func statesFor(method string) map[string]any {
	switch method {
	case "PutRecordingParts":
		return map[string]any{"recordings.state": "coming", "recording_blocks.id": 0, "recording_calls.id": 0}
	case "PutRecordingTexts", "ShowRecording", "BeginReading":
		return map[string]any{"recordings.state": "coming"}
	case "SettleRecording", "UnsettledRecordings":
		return map[string]any{"recordings.state": "going"}
	case "AddBulkPart", "EndBulkUpload", "DropUpload":
		return map[string]any{"bulk_edits.state": "uploading", "bulk_parts.part": 8, "bulk_edits.undo_of": nil, "trait_edits.bulk_id": nil}
	case "RereadBatch", "StartBatch", "DropBatch", "StaleDrafts":
		return map[string]any{"batches.state": "draft"}
	case "AddBatch":
		return map[string]any{"batches.state": "draft", "connections.vendor": "logrocket", "batches.form_token": "another"}
	case "BatchItems", "BatchAnswers":
		return map[string]any{"batch_items.position": 8}
	case "ResumeBatch":
		return map[string]any{"batches.state": "paused"}
	case "AgainBatch":
		return map[string]any{"batches.state": "done", "batch_items.state": "ended", "highlights.state": "failed"}
	case "AskedBatchItems", "EndBatchItem", "PutBackBatchItem":
		return map[string]any{"batch_items.state": "asked"}
	case "AskBatchItem":
		return map[string]any{"connections.vendor": "logrocket", "highlights.form_token": "another"}
	case "SetBulkFormat":
		return map[string]any{"bulk_edits.state": "uploaded", "bulk_edits.undo_of": nil}
	case "PlanBulk", "StartBulk":
		return map[string]any{"bulk_edits.state": "planned"}
	case "AddBulkLines", "EndBulkPlan":
		return map[string]any{"bulk_edits.state": "planning", "bulk_lines.line": 8}
	case "DropBulkLines":
		return map[string]any{"bulk_edits.state": "planning", "bulk_edits.line": 0}
	case "BulkLines":
		return map[string]any{"bulk_lines.line": 8}
	case "ResumeBulk":
		return map[string]any{"bulk_edits.state": "paused"}
	case "AgainBulk":
		return map[string]any{"bulk_edits.state": "done", "bulk_lines.state": "failed"}
	case "AddBulkEdit":
		return map[string]any{"connections.vendor": "logrocket", "trait_edits.state": "sent", "trait_edits.form_token": "another"}
	case "EndAsk":
		return map[string]any{"asks.state": "sending"}
	case "AwaitHighlight", "PutBackHighlight":
		return map[string]any{"highlights.state": "sending"}
	case "ClaimPoll", "PolledHighlight":
		return map[string]any{"highlights.state": "pending"}
	case "WakeHighlights":
		return map[string]any{"highlights.state": "pending", "highlights.next_poll_at": int64(1) << 50}
	case "JoinRaygunUsers":
		return map[string]any{"raygun_users.joined": 0}
	case "ReopenHighlight", "ReportHighlight":
		return map[string]any{"highlights.state": "expired"}
	case "Sessions", "EachSession":
		return map[string]any{"identities.connection_id": 0}
	case "ReconnectConnection":
		return map[string]any{"connections.removed_at": 7}
	case "SetApplication":
		return map[string]any{"connections.vendor": "raygun_v3", "connections.app_slug": ""}
	case "ResumeDetailRun", "AddDetailRun":
		return map[string]any{"detail_runs.state": "paused"}
	case "ScheduledRuns":
		return map[string]any{"graphql_runs.schedule_id": 7, "graphql_runs.slot_at": 6}
	case "WatchNumber":
		return map[string]any{"query_schedules.trend": "another"}
	case "ReadExportFiles":
		return map[string]any{"export_files.state": "read"}
	case "ResumeQuerySchedule":
		return map[string]any{"query_schedules.state": "paused"}
	case "StartScheduled":
		return map[string]any{"connections.vendor": "logrocket", "graphql_runs.form_token": "another", "query_schedules.next_at": 1_700_000_000_000}
	case "AddGraphQLRun":
		return map[string]any{"connections.vendor": "logrocket", "graphql_runs.form_token": "another"}
	case "PutBackGraphQLRun":
		return map[string]any{"graphql_runs.state": "sending"}
	case "SetAlertHook", "SetAuditFollow", "SetExportFollow", "SetGraphQLLock":
		return map[string]any{"connections.vendor": "logrocket"}
	case "AddExportFile":
		return map[string]any{"connections.vendor": "logrocket", "export_files.key": "another"}
	case "EndTraitEdit", "PutBackTraitEdit":
		return map[string]any{"trait_edits.state": "sending"}
	}
	return nil
}

// ownerMisses are the methods that find and change nothing for the owner
// either, and why that proves no less about the stranger.
func ownerMisses() map[string]string {
	return map[string]string{
		"AddConnection":    "the owner has that name already",
		"AuditOldest":      "answers a time",
		"NextExportFileAt": "answers a time",
		"ExportFiles":      "lists what is older than a row, of which there is one alone",
		"AddInvitation":    "the stranger's has taken the token",
		"GraphQLLock":      "answers a role",
		"Pin":              "it is pinned already",
		"CallHours":        "names hours, of which the test knows none",
		"SyncDays":         "names days, of which the test knows none",
		"BareDays":         "names days, of which the test knows none",
		"BareSighted":      "names a time, in which the test knows no session",
		"BareSessions":     "names a time, in which the test knows no session",
		"SharesWith":       "needs a second customer",
		"GraphQLRuns":      "lists what is older than a row, of which there is one alone",
		"Batches":          "lists what is older than a row, of which there is one alone",
		"CountBatch":       "answers numbers",
		"Bulks":            "lists what is older than a row, of which there is one alone",
		"BulkEmails":       "needs a second identity",
		"DropUpload":       "what was seeded has lines, which no upload has",
		"SetDefaultView":   "it is their default already",
		// The explorer's own test asks as a stranger too.
		"CountSessions":   "answers a number",
		"SessionDays":     "answers numbers",
		"ToldDays":        "answers numbers, and not about a search",
		"UnknownSessions": "answers a number",

		"Searched": "answers yes or no; its own test asks as a stranger too",

		"BareSessionsOfViewed": "names a time, in which the test knows no session",

		"ConnectionTwins":  "needs a second connection",
		"CountRaygunUsers": "answers a number",
		"SpentBy":          "answers a number",
		"PutRaygunNames":   "takes a map, which the test leaves empty",
	}
}

// TestStrangerReachesNothing calls every method of Org for an organization
// that owns nothing, with the ids and texts of another one's rows. It may find
// nothing, change nothing of the other's, and refer to none of it; the same
// call by the owner must reach the row, or the attack would prove nothing. A
// method that is added later is attacked without being named here; one whose
// arguments cannot be made up fails until the tables above help.
func TestStrangerReachesNothing(t *testing.T) {
	typ := reflect.TypeFor[db.Org]()
	schema := schemaOf(t, dbtest.New(t).Queue())
	for i := range typ.NumMethod() {
		name := typ.Method(i).Name
		if slices.Contains(notTenant, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			d := dbtest.New(t)
			w := world{t: t, raw: d.Queue(), schema: schema, given: &[]reflect.Value{}}
			w.seed(statesFor(name))
			before := w.dump(owner)
			if len(before) < 15 {
				t.Fatalf("only %d tables were seeded", len(before))
			}
			answers, err := w.call(d.Org(stranger), i)
			if err != nil && !errors.Is(err, db.ErrNotFound) && !errors.Is(err, db.ErrExists) {
				t.Errorf("failed with %v: want not found, or no error and nothing in the answer", err)
			}
			for _, out := range answers {
				if found := victims(out); found != "" && !slices.Contains(echoes, name) {
					t.Errorf("gave the stranger %s: %+v", found, out)
				}
			}
			for table, rows := range w.dump(owner) {
				if rows != before[table] {
					t.Errorf("changed the owner's %s from\n%s to\n%s", table, before[table], rows)
				}
			}
			w.refersToNothing()

			answers, err = w.call(d.Org(owner), i)
			reached := !reflect.DeepEqual(before, w.dump(owner))
			for _, out := range answers {
				reached = reached || victims(out) != ""
			}
			if _, misses := ownerMisses()[name]; reached == misses {
				t.Errorf("reached the owner's row: %t (%v), want %t", reached, err, !misses)
			}
		})
	}
}

type world struct {
	t   *testing.T
	raw *sql.DB
	// schema are the tables with rows of organizations.
	schema []tableOf
	// given is what a method gave to functions that it was called with.
	given *[]reflect.Value
}

func (w world) exec(query string, args ...any) {
	w.t.Helper()
	if _, err := w.raw.Exec(query, args...); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
}

// call runs a method with made-up arguments that aim at the owner's rows.
func (w world) call(o db.Org, i int) (answers []reflect.Value, err error) {
	method := reflect.ValueOf(o).Method(i)
	name := reflect.TypeOf(o).Method(i).Name
	args := []reflect.Value{reflect.ValueOf(w.t.Context())}
	for p := 1; p < method.Type().NumIn(); p++ {
		args = append(args, w.made(method.Type().In(p), fmt.Sprintf("%s.%d", name, p-1)))
	}
	*w.given = nil
	out := method.Call(args)
	answers = append(answers, *w.given...)
	for _, out := range out {
		if out.Type() != reflect.TypeFor[error]() {
			answers = append(answers, out)
		} else if !out.IsNil() {
			err = out.Interface().(error)
		}
	}
	return answers, err
}

// texts reads rows of one column.
func (w world) texts(query string, args ...any) []string {
	w.t.Helper()
	rows, err := w.raw.Query(query, args...)
	if err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// tableOf is a table with rows of organizations.
type tableOf struct {
	name           string
	columns, types []string
	refs           [][2]string // column and the table that it refers to, one of these
}

// schemaOf reads the tables with rows of organizations, once for all attacks.
func schemaOf(t *testing.T, raw *sql.DB) []tableOf {
	w := world{t: t, raw: raw}
	names := w.texts(`
		SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c ON c.name = 'org_id'
		WHERE m.type = 'table' ORDER BY m.name`)
	out := make([]tableOf, len(names))
	for i, name := range names {
		out[i] = tableOf{
			name:    name,
			columns: w.texts(`SELECT name FROM pragma_table_info(?) ORDER BY cid`, name),
			types:   w.texts(`SELECT type FROM pragma_table_info(?) ORDER BY cid`, name),
		}
		for _, ref := range w.texts(`SELECT "from" || ' ' || "table" FROM pragma_foreign_key_list(?)`, name) {
			if column, to, _ := strings.Cut(ref, " "); slices.Contains(names, to) {
				out[i].refs = append(out[i].refs, [2]string{column, to})
			}
		}
	}
	return out
}

// seed gives the owner one row in every table.
func (w world) seed(states map[string]any) {
	w.exec(`PRAGMA foreign_keys = OFF`)
	for _, id := range []int{owner, stranger} {
		w.exec(`INSERT INTO organizations (id, slug, name, created_at) VALUES (?, ?, ?, 7)`, id, fmt.Sprint(victimText, id), victimText)
		w.exec(`INSERT INTO users (id, email, email_norm, name, password_hash, created_at) VALUES (?, ?, ?, '', '', 7)`, id, fmt.Sprint("u", id), fmt.Sprint("u", id))
	}
	values := columnValues()
	maps.Copy(values, states)
	for _, table := range w.schema {
		args := make([]any, len(table.columns))
		for i, c := range table.columns {
			args[i] = any(owner)
			if table.types[i] == "TEXT" {
				args[i] = victimText
			} else if table.types[i] == "BLOB" {
				args[i] = []byte(victimText)
			}
			if v, ok := values[table.name+"."+c]; ok {
				args[i] = v
			}
		}
		w.exec(`INSERT INTO `+table.name+` (`+strings.Join(table.columns, ", ")+`) VALUES (?`+strings.Repeat(", ?", len(args)-1)+`)`, args...)
	}
	w.exec(`INSERT INTO event_texts_fts (event_texts_fts) VALUES ('rebuild')`) // no trigger fills it
	w.exec(`PRAGMA foreign_keys = ON`)
	if broken := w.texts(`SELECT "table" FROM pragma_foreign_key_check`); len(broken) > 0 {
		w.t.Fatalf("the seeded rows refer to nothing in %v", broken)
	}
}

// dump writes an organization's rows down, by table.
func (w world) dump(org int) map[string]string {
	out := map[string]string{}
	for _, table := range w.schema {
		out[table.name] = strings.Join(w.texts(`SELECT quote("`+strings.Join(table.columns, `") || ',' || quote("`)+`") FROM `+table.name+` WHERE org_id = ?`, org), "\n")
	}
	return out
}

// refersToNothing fails if a row of the stranger names a row of the owner.
func (w world) refersToNothing() {
	left := w.dump(stranger)
	for _, table := range w.schema {
		if left[table.name] == "" {
			continue
		}
		for _, ref := range table.refs {
			if n := w.texts(`SELECT count(*) FROM `+table.name+` WHERE org_id = ? AND `+ref[0]+` = ?`, stranger, owner); n[0] != "0" {
				w.t.Errorf("left a row in %s of the stranger whose %s is the owner's row in %s", table.name, ref[0], ref[1])
			}
		}
	}
}

// made makes up an argument that aims at the owner's rows. at names it for
// fieldValues.
func (w world) made(typ reflect.Type, at string) reflect.Value {
	v := reflect.New(typ).Elem()
	if typ == reflect.TypeFor[time.Time]() {
		// Bounds inside structs stay open; a moment that a method asks for is now.
		_, open := fieldValues()[at]
		if !open && !strings.Contains(at, "Filter") && !strings.HasPrefix(at, "Moment") && !strings.HasPrefix(at, "Place") {
			v.Set(reflect.ValueOf(time.UnixMilli(1_700_000_000_000)))
		}
		return v
	}
	switch typ.Kind() {
	case reflect.String:
		text := victimText
		if s, ok := fieldValues()[at]; ok {
			text = s
		}
		v.SetString(text)
	case reflect.Int, reflect.Int64:
		if !strings.HasPrefix(at, "Moment") && !strings.HasPrefix(at, "Place") && !strings.HasSuffix(at, "Filter.BeforeID") {
			v.SetInt(owner)
		}
	case reflect.Bool:
		v.SetBool(strings.HasSuffix(at, "blockable"))
	case reflect.Pointer:
		v.Set(reflect.New(typ.Elem()))
		v.Elem().Set(w.made(typ.Elem(), at))
	case reflect.Slice:
		v.Set(reflect.Append(v, w.made(typ.Elem(), at)))
	case reflect.Struct:
		for i := range typ.NumField() {
			if f := typ.Field(i); f.IsExported() {
				v.Field(i).Set(w.made(f.Type, typ.Name()+"."+f.Name))
			}
		}
	case reflect.Func:
		v.Set(reflect.MakeFunc(typ, func(in []reflect.Value) []reflect.Value {
			*w.given = append(*w.given, in...)
			out := make([]reflect.Value, typ.NumOut())
			for i := range out {
				if out[i] = reflect.Zero(typ.Out(i)); out[i].Kind() == reflect.Struct {
					out[i] = w.made(typ.Out(i), at)
				}
			}
			return out
		}))
	case reflect.Uint8, reflect.Float64, reflect.Map, reflect.Interface:
		// the zero value says nothing of the owner
	default:
		w.t.Fatalf("cannot make up a %s for %s", typ, at)
	}
	return v
}

// victims finds what belongs to the owner in an answer, "" if nothing does.
func victims(v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		if strings.Contains(v.String(), victimText) {
			return fmt.Sprintf("the text %q", v.String())
		}
	case reflect.Int64:
		isRow := strings.HasSuffix(v.Type().Name(), "ID") && v.Type() != reflect.TypeFor[db.UserID]()
		if isRow && v.Int() == owner {
			return fmt.Sprintf("the %s %d", v.Type().Name(), v.Int())
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return victims(v.Elem())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return victims(reflect.ValueOf(string(v.Bytes())))
		}
		for i := range v.Len() {
			if s := victims(v.Index(i)); s != "" {
				return s
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if s := victims(k) + victims(v.MapIndex(k)); s != "" {
				return s
			}
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return ""
		}
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			if s := victims(v.Field(i)); s != "" {
				return v.Type().Field(i).Name + ": " + s
			}
		}
	}
	return ""
}
