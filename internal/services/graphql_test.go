package services

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

// query runs a form and waits for its end.
func (r *rocketSite) query(f GraphQLForm) GraphQLRun {
	r.t.Helper()
	f.Connection = r.conn
	if f.FormToken == "" {
		f.FormToken = NewFormToken()
	}
	run, check, err := r.s.GraphQL.Run(r.t.Context(), r.actor, f)
	if err != nil || !check.OK(f.Anyway) {
		r.t.Fatalf("%q was not asked: %+v, %v", f.Query, check, err)
	}
	run, err = r.s.GraphQL.Wait(r.t.Context(), 1, run.ID, patience)
	if err != nil || run.State.Open() {
		r.t.Fatalf("%+v, %v", run, err)
	}
	return run
}

// fetchSchema asks for the schema and waits for it.
func (r *rocketSite) fetchSchema() GraphQLSchema {
	r.t.Helper()
	ask, err := r.s.GraphQL.AskSchema(r.t.Context(), r.actor, r.conn)
	if err != nil {
		r.t.Fatal(err)
	}
	if ask, err = r.s.Asks.Wait(r.t.Context(), 1, ask.ID, patience); err != nil || ask.State.Open() {
		r.t.Fatalf("%+v, %v", ask, err)
	}
	s, err := r.s.GraphQL.Schema(r.t.Context(), 1, r.conn)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// rows are the texts of a run's table.
func (r *rocketSite) rows(run GraphQLRun, path string) (RunAnswer, []string) {
	r.t.Helper()
	a, ok, err := r.s.GraphQL.Answer(r.t.Context(), 1, run)
	if err != nil || !ok {
		r.t.Fatalf("no answer: %v", err)
	}
	var out []string
	for _, row := range a.Rows(path).Rows {
		var cells []string
		for _, c := range row {
			cells = append(cells, c.Text)
		}
		out = append(out, strings.Join(cells, "|"))
	}
	return a, out
}

func TestAQuestionIsAskedAndItsAnswerKept(t *testing.T) {
	eachDialect(t, func(t *testing.T, d sandbox.Dialect) {
		r := newRocketSite(t, d)
		r.start()
		s := r.fetchSchema()
		if !s.Known || s.Types < 8 || s.Problem != "" || s.ChangeCount != 0 {
			t.Fatalf("schema: %+v", s)
		}
		docs, err := r.s.GraphQL.Docs(t.Context(), 1, r.conn)
		if err != nil || len(docs.Search("email", 5)) == 0 {
			t.Fatalf("docs: %v", err)
		}
		who := r.box.Company().Demo()[0]
		run := r.query(GraphQLForm{Query: "# who is it\nquery Who($e: String!) { user(email: $e) { email sessions(first: 2) { recordingID pageViews { url } } } }\nquery Other { users { email } }", Operation: "Who", Variables: `{"e": "` + who.Email + `"}`})
		if run.State != GraphQLDone || run.Errors != 0 || run.Status != 200 || run.Kind != "query" {
			t.Fatalf("got %+v", run)
		}
		_, rows := r.rows(run, "user/sessions")
		if len(rows) != 2 || !strings.HasPrefix(rows[0], who.Email+"|") {
			t.Errorf("rows %v", rows)
		}
		mine, err := r.s.GraphQL.Mine(t.Context(), r.actor, 0, 10)
		if err != nil || len(mine) != 1 || mine[0].ID != run.ID {
			t.Errorf("history %+v, %v", mine, err)
		}
		page, err := r.s.History.Page(t.Context(), 1, HistoryQuery{})
		if err != nil || !strings.Contains(fmt.Sprintf("%+v", page.Events), "Ran the GraphQL query Who") || !strings.Contains(fmt.Sprintf("%+v", page.Events), "executeGraphQLQuery") {
			t.Errorf("history and ledger do not tell of it: %v", err)
		}
		// The same form again is the same run.
		f := GraphQLForm{Connection: r.conn, Query: "{ users(first: 1) { email } }", FormToken: "t"}
		first, _, _ := r.s.GraphQL.Run(t.Context(), r.actor, f)
		if second, _, err := r.s.GraphQL.Run(t.Context(), r.actor, f); err != nil || second.ID != first.ID {
			t.Errorf("a second press ran it again: %v", err)
		}
		// Data and errors both.
		partial := r.query(GraphQLForm{Query: "{ sessions(first: 50) { recordingID rageClicks } }"})
		a, rows := r.rows(partial, "")
		if partial.Errors == 0 || len(rows) == 0 || len(a.Errors) == 0 || a.Errors[0].Places[0].Line != 1 || !strings.Contains(partial.Message, "with data and") {
			t.Errorf("partial: %+v, %d rows, %v", partial, len(rows), a.Errors)
		}
		var file bytes.Buffer
		if err := WriteGraphQLCSV(&file, a.Rows("")); err != nil || !strings.Contains(file.String(), "recordingID,rageClicks\r\n") {
			t.Errorf("file: %v %.60q", err, file.String())
		}
	})
}

func TestMutationsAreLocked(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.start()
	calls := func() int {
		page, err := r.s.History.Page(t.Context(), 1, HistoryQuery{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, e := range page.Events {
			if e.Action == "call.executeGraphQLQuery" {
				n++
			}
		}
		return n
	}
	const text = "query Read { users { email } }\nmutation Evil { setSessionNote(recordingID: \"x\", sessionID: 1, note: \"y\") { note } }"
	f := GraphQLForm{Connection: r.conn, Query: text, Operation: "Evil", FormToken: NewFormToken(), Anyway: true}
	refused := func(actor Actor, want string) {
		t.Helper()
		_, check, err := r.s.GraphQL.Run(t.Context(), actor, f)
		if err != nil || check.OK(true) || !strings.Contains(check.Locked, want) {
			t.Errorf("%+v, %v", check, err)
		}
	}
	owner := r.actor
	owner.Role = Owner
	refused(owner, "locked for this connection")
	if run := r.query(GraphQLForm{Query: text, Operation: "Read"}); run.State != GraphQLDone {
		t.Errorf("the read beside it: %+v", run)
	}
	var denied *Error
	if err := r.s.GraphQL.SetLock(t.Context(), r.actor, r.conn, Support); !errors.As(err, &denied) || denied.Kind != Denied {
		t.Errorf("a member with the role support turned the lock: %v", err)
	}
	if err := r.s.GraphQL.SetLock(t.Context(), owner, r.conn, Admin); err != nil {
		t.Fatal(err)
	}
	refused(r.actor, "takes the role admin")
	if n := calls(); n != 1 {
		t.Errorf("%d calls were made, want that of the read", n)
	}
	run, check, err := r.s.GraphQL.Run(t.Context(), owner, f)
	if err != nil || !check.OK(true) {
		t.Fatal(check, err)
	}
	if run, err = r.s.GraphQL.Wait(t.Context(), 1, run.ID, patience); err != nil || run.State != GraphQLDone || run.Kind != "mutation" {
		t.Errorf("%+v, %v", run, err)
	}
	viewer := r.actor
	viewer.Role = Viewer
	if _, _, err := r.s.GraphQL.Run(t.Context(), viewer, GraphQLForm{Connection: r.conn, Query: "{ a }"}); !errors.As(err, &denied) || denied.Kind != Denied {
		t.Errorf("a viewer asked: %v", err)
	}
	f.Query, f.Operation = "subscription { x }", ""
	refused(owner, "does not run subscriptions")
}

func TestALockThatIsTurnedWhileARunWaitsHolds(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract) // its queue is not started yet
	owner := r.actor
	owner.Role = Owner
	if err := r.s.GraphQL.SetLock(t.Context(), owner, r.conn, Support); err != nil {
		t.Fatal(err)
	}
	run, check, err := r.s.GraphQL.Run(t.Context(), owner, GraphQLForm{Connection: r.conn, FormToken: "t", Query: `mutation { setSessionNote(recordingID: "x", sessionID: 1, note: "y") { note } }`})
	if err != nil || !check.OK(false) {
		t.Fatal(check, err)
	}
	if err := r.s.GraphQL.SetLock(t.Context(), owner, r.conn, NoRole); err != nil {
		t.Fatal(err)
	}
	r.start()
	if run, err = r.s.GraphQL.Wait(t.Context(), 1, run.ID, patience); err != nil || run.State != GraphQLFailed || !strings.Contains(run.Message, "locked") {
		t.Errorf("%+v, %v", run, err)
	}
}

func TestWhatIsWrongIsSaidBeforeAnythingLeaves(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.start()
	r.fetchSchema()
	for _, tt := range []struct {
		f    GraphQLForm
		want string
	}{
		{GraphQLForm{Query: "{ users {"}, "Query:[{Place:{Line:1"},
		{GraphQLForm{Query: "{ usrs { email } }"}, `Schema:[{Place:{Line:1 Column:3} Text:Cannot query field "usrs"`},
		{GraphQLForm{Query: "query A { a } query B { b }"}, "Operation:There are several"},
		{GraphQLForm{Query: "query($e: String!) { user(email: $e) { email } }"}, "Variables:[{Place:{Line:0 Column:0} Text:$e needs"},
		{GraphQLForm{Query: "query($e: String!) { user(email: $e) { email } }", Variables: `{"e":"x","f":1}`}, "no variable $f"},
		{GraphQLForm{Query: "{ users { email } }", Variables: `{`}, "Variables:[{Place:{Line:1"},
	} {
		tt.f.Connection = r.conn
		_, check, err := r.s.GraphQL.Run(t.Context(), r.actor, tt.f)
		if got := fmt.Sprintf("%+v", check); err != nil || check.OK(false) || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s, %v", tt.f.Query, got, err)
		}
	}
	// The schema may be out of date, so its word is not the last.
	if run := r.query(GraphQLForm{Query: "{ usrs { email } }", Anyway: true}); run.State != GraphQLDone || run.Errors != 1 {
		t.Errorf("anyway: %+v", run)
	}
}

func TestSavedQueriesAreTheOrganizations(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	ctx := t.Context()
	q := SavedQuery{Connection: r.conn, Name: "  Who  is it ", Query: "{ users { email } }", Description: "For tickets"}
	saved, problems, err := r.s.GraphQL.Save(ctx, r.actor, q)
	if err != nil || len(problems) > 0 || saved.Name != "Who is it" || saved.OwnerName != "Ada" {
		t.Fatal(saved, problems, err)
	}
	if _, problems, err := r.s.GraphQL.Save(ctx, r.actor, SavedQuery{Connection: r.conn, Name: "who is IT", Query: "{ a }"}); err != nil || !strings.Contains(problems["name"], "already") {
		t.Errorf("the same name twice: %v %v", problems, err)
	}
	if _, problems, _ := r.s.GraphQL.Save(ctx, r.actor, SavedQuery{Connection: r.conn, Query: "{", Variables: "["}); len(problems) != 3 {
		t.Errorf("problems %v", problems)
	}
	saved.Name, saved.Query = "Everybody", "{ users(first: 3) { email } }"
	if _, problems, err := r.s.GraphQL.Save(ctx, r.actor, saved); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	all, err := r.s.GraphQL.Saved(ctx, 1)
	if err != nil || len(all) != 1 || all[0].Name != "Everybody" {
		t.Errorf("saved %+v %v", all, err)
	}
	other := Actor{Org: 1, User: 99, Role: Support}
	if err := r.s.GraphQL.Delete(ctx, other, saved.ID); err == nil {
		t.Error("somebody else deleted it")
	}
	if err := r.s.GraphQL.Delete(ctx, r.actor, saved.ID); err != nil {
		t.Error(err)
	}
	if _, err := r.s.GraphQL.SavedQuery(ctx, 1, saved.ID); err == nil {
		t.Error("it is still there")
	}
}

func TestARunThatACrashCutOffIsNotSentAgain(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	run, check, err := r.s.GraphQL.Run(t.Context(), r.actor, GraphQLForm{Connection: r.conn, FormToken: "t", Query: "{ users { email } }"})
	if err != nil || !check.OK(false) {
		t.Fatal(check, err)
	}
	if err := r.store.Org(1).StartGraphQLRun(t.Context(), run.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	r.start()
	if run, err = r.s.GraphQL.Wait(t.Context(), 1, run.ID, patience); err != nil || run.State != GraphQLInterrupted || run.Message == "" {
		t.Errorf("%+v, %v", run, err)
	}
}

// stubborn is a GraphQL server of a few answers.
type stubborn struct {
	mu     sync.Mutex
	answer func(query string) (int, string)
	seen   []string
}

func (s *stubborn) set(f func(query string) (int, string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

func (s *stubborn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ Query string }
	body, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(body, &in)
	s.mu.Lock()
	s.seen = append(s.seen, in.Query)
	status, text := s.answer(in.Query)
	s.mu.Unlock()
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func TestServersWithoutASchemaAreNamedAndStillAsked(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	server := &stubborn{}
	s := httptest.NewServer(server)
	t.Cleanup(s.Close)
	r.s.Connections.vendors.LogRocketURL = s.URL
	r.start()
	small := `{"data":{"__schema":{"queryType":{"name":"Q"},"types":[{"kind":"OBJECT","name":"Q","fields":[{"name":"a","type":{"kind":"SCALAR","name":"String"}}]}]}}}`
	for _, tt := range []struct {
		name   string
		answer func(string) (int, string)
		why    string
	}{
		{"page", func(string) (int, string) { return 200, "<html>hello" }, "not_json"},
		{"not there", func(string) (int, string) { return 404, "nothing" }, "no_endpoint"},
		{"off", func(string) (int, string) { return 400, `{"errors":[{"message":"introspection disabled"}]}` }, "off"},
		{"old", func(q string) (int, string) {
			if strings.Contains(q, "isRepeatable") {
				return 400, `{"errors":[{"message":"Cannot query field \"isRepeatable\" on type \"__Directive\"."}]}`
			}
			return 200, small
		}, ""},
		{"changed", func(string) (int, string) { return 200, strings.Replace(small, `"a"`, `"b"`, 1) }, ""},
		{"off again", func(string) (int, string) { return 400, `{"errors":[{"message":"introspection disabled"}]}` }, "off"},
	} {
		server.set(tt.answer)
		got := r.fetchSchema()
		if got.Why != tt.why || (tt.why == "") != (got.Problem == "") {
			t.Errorf("%s: %+v", tt.name, got)
		}
		switch tt.name {
		case "changed":
			if got.ChangeCount != 2 || len(got.Changes) != 2 {
				t.Errorf("changes: %+v", got)
			}
		case "off again": // what was known stays
			if !got.Known || got.FetchedAt.IsZero() {
				t.Errorf("%+v", got)
			}
		}
	}
	server.set(func(string) (int, string) {
		return 200, `{"data":{"big":["` + strings.Repeat("x", 100) + strings.Repeat(`","`+strings.Repeat("x", 100), 60000) + `"]}}`
	})
	run := r.query(GraphQLForm{Query: "{ big }", Anyway: true})
	a, rows := r.rows(run, "")
	if run.State != GraphQLDone || !a.Cut || len(a.Raw) != MaxGraphQLAnswer || len(rows) == 0 || !strings.Contains(run.Message, "the first 4 MB are kept") {
		t.Errorf("%+v: cut %t, %d bytes, %d rows", run, a.Cut, len(a.Raw), len(rows))
	}
	server.set(func(string) (int, string) { return 502, "<html>bad gateway" })
	if run := r.query(GraphQLForm{Query: "{ big }", Anyway: true}); run.State != GraphQLFailed || run.Message == "" {
		t.Errorf("%+v", run)
	}
}

func TestEmailsAndUserIdsOfAnAnswerLeadToCustomers(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.start()
	who := r.box.Company().Demo()[0]
	id := r.customer(who)
	run := r.query(GraphQLForm{Query: "query($e: String!) { user(email: $e) { email userID name sessions(first: 2) { recordingID } } users(first: 1) { name } }", Variables: `{"e": "` + who.Email + `"}`})
	a, ok, err := r.s.GraphQL.Answer(t.Context(), 1, run)
	if err != nil || !ok {
		t.Fatal(err)
	}
	people, err := r.s.GraphQL.People(t.Context(), 1, a.Rows("user/sessions"), 10)
	if err != nil || people[who.Email] != id || people[who.FullName] != 0 {
		t.Errorf("%v, %v", people, err)
	}
	if people, err := r.s.GraphQL.People(t.Context(), 2, a.Rows("user/sessions"), 10); err != nil || len(people) != 0 {
		t.Errorf("another organization is told %v, %v", people, err)
	}
}
