package services

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sightline/internal/db/dbtest"
)

// viewers are members of organization 1 with each role, and one of another.
func viewers(t *testing.T) (v *Views, history func() []string, as func(UserID, Role) Actor) {
	t.Helper()
	store := dbtest.New(t)
	if _, err := store.Queue().Exec(`
		INSERT INTO organizations (id, slug, name, created_at) VALUES (1, 'a', 'A', 1), (2, 'b', 'B', 1);
		INSERT INTO users (id, email, email_norm, name, password_hash, created_at) VALUES (1, 'u1', 'u1', '', '', 1), (2, 'u2', 'u2', '', '', 1), (3, 'u3', 'u3', '', '', 1)`); err != nil {
		t.Fatal(err)
	}
	history = func() []string {
		page, err := NewHistory(store, time.Now).Page(t.Context(), 1, HistoryQuery{Kind: HistoryViews})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range page.Events {
			out = append(out, e.Summary)
		}
		return out
	}
	return newViews(store, time.Now), history, func(id UserID, r Role) Actor {
		return Actor{Org: 1, User: id, Name: fmt.Sprint("Member ", id), Role: r}
	}
}

func viewNames(t *testing.T, v *Views, a Actor) string {
	t.Helper()
	list, err := v.List(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range list {
		s := x.Name
		if x.Shared {
			s += "*"
		}
		if x.Default {
			s += "!"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func mustSave(t *testing.T, v *Views, a Actor, f ViewForm) View {
	t.Helper()
	saved, problems, err := v.Save(t.Context(), a, f)
	if err != nil || len(problems) > 0 {
		t.Fatalf("save %+v: %v %v", f, problems, err)
	}
	return saved
}

func kindOf(err error) Kind {
	var e *Error
	errors.As(err, &e)
	if e == nil {
		return ""
	}
	return e.Kind
}

func TestAViewIsItsOwnersUntilItIsShared(t *testing.T) {
	v, history, as := viewers(t)
	ctx := t.Context()
	one, two, reader := as(1, Support), as(2, Support), as(3, Viewer)
	mine := mustSave(t, v, one, ViewForm{Name: " Slow ", Query: "?slow_ms=3000"})
	if mine.Name != "Slow" || mine.Query != "slow_ms=3000" || !mine.Editable || len(history()) != 0 {
		t.Errorf("saved %+v, history %v", mine, history())
	}
	if got := viewNames(t, v, two) + viewNames(t, v, Actor{Org: 2, User: 1, Role: Owner}); got != "" {
		t.Errorf("others see %q", got)
	}
	for what, err := range map[string]error{"default": v.SetDefault(ctx, two, mine.ID), "delete": v.Delete(ctx, two, mine.ID), "foreign": v.Delete(ctx, Actor{Org: 2, User: 1, Role: Owner}, mine.ID)} {
		if kindOf(err) != NotFound {
			t.Errorf("%s by another: %v", what, err)
		}
	}
	// Viewers keep their own, and share none.
	own := mustSave(t, v, reader, ViewForm{Name: "Slow", Query: "slow_ms=1"})
	if _, _, err := v.Save(ctx, reader, ViewForm{ID: own.ID, Name: "Slow", Shared: true}); kindOf(err) != Denied {
		t.Errorf("a viewer shares: %v", err)
	}
	shared := mustSave(t, v, one, ViewForm{ID: mine.ID, Name: "Slow", Query: "slow_ms=3000", Shared: true})
	if shared.ID != mine.ID || viewNames(t, v, reader) != "Slow* Slow" {
		t.Errorf("shared %+v; the reader sees %q", shared, viewNames(t, v, reader))
	}
	if err := v.Delete(ctx, reader, mine.ID); kindOf(err) != Denied {
		t.Errorf("a viewer deletes the organization's: %v", err)
	}
	if err := v.SetDefault(ctx, reader, mine.ID); err != nil || viewNames(t, v, reader) != "Slow*! Slow" || viewNames(t, v, two) != "Slow*" {
		t.Errorf("default: %v, %q, %q", err, viewNames(t, v, reader), viewNames(t, v, two))
	}
	if _, problems, err := v.Save(ctx, two, ViewForm{ID: mine.ID, Name: "Slow"}); err != nil || problems["shared"] == "" {
		t.Errorf("another takes it for themselves: %v %v", problems, err)
	}
	if problems, err := v.Rename(ctx, two, mine.ID, "Slow pages"); err != nil || len(problems) > 0 {
		t.Errorf("rename: %v %v", problems, err)
	}
	mustSave(t, v, two, ViewForm{ID: mine.ID, Name: "Slow pages", Query: "slow_ms=5000", Shared: true})
	mustSave(t, v, two, ViewForm{ID: mine.ID, Name: "Slow pages", Query: "slow_ms=5000", Shared: true}) // nothing new
	mustSave(t, v, one, ViewForm{ID: mine.ID, Name: "Slow pages", Query: "slow_ms=5000"})
	if got := viewNames(t, v, reader); got != "Slow" {
		t.Errorf("taken back, the reader sees %q", got)
	}
	mustSave(t, v, one, ViewForm{ID: mine.ID, Name: "Slow pages", Shared: true})
	if got := viewNames(t, v, reader); got != "Slow pages* Slow" {
		t.Errorf("what was taken back is somebody's default again: %q", got)
	}
	if err := v.SetDefault(ctx, reader, mine.ID); err != nil {
		t.Fatal(err)
	}
	if err := v.Delete(ctx, two, mine.ID); err != nil || viewNames(t, v, reader) != "Slow" {
		t.Errorf("delete: %v, %q", err, viewNames(t, v, reader))
	}
	if err := v.SetDefault(ctx, reader, own.ID); err != nil {
		t.Fatal(err)
	}
	if err := v.SetDefault(ctx, reader, 0); err != nil || viewNames(t, v, reader) != "Slow" {
		t.Errorf("no default: %v, %q", err, viewNames(t, v, reader))
	}
	want := []string{"Deleted the view “Slow pages”", "Shared the view “Slow pages”", "Took the view “Slow pages” back for themselves", "Changed the view “Slow pages”", "Renamed the view “Slow” to “Slow pages”", "Shared the view “Slow”"}
	if got := history(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("history is %q", got)
	}
}

func TestWhatCannotBeSavedSaysWhy(t *testing.T) {
	v, _, as := viewers(t)
	me := as(1, Support)
	mustSave(t, v, me, ViewForm{Name: "Poor", Shared: true})
	for _, c := range []struct {
		field string
		form  ViewForm
	}{
		{"name", ViewForm{Name: " \x00"}},
		{"name", ViewForm{Name: strings.Repeat("ä", MaxViewName+1)}},
		{"name", ViewForm{Name: "POOR", Shared: true}},
		{"query", ViewForm{Name: "a", Query: "a=%zz"}},
		{"query", ViewForm{Name: "a", Query: strings.Repeat("a", MaxViewQuery+1)}},
		{"columns", ViewForm{Name: "a", Columns: strings.Repeat("a", MaxViewColumns+1)}},
	} {
		if _, problems, err := v.Save(t.Context(), me, c.form); err != nil || problems[c.field] == "" || len(problems) > 1 {
			t.Errorf("%.50q: %v %v, want a problem of %s", c.form.Name, problems, err, c.field)
		}
	}
	if _, _, err := v.Save(t.Context(), me, ViewForm{ID: 99, Name: "a"}); kindOf(err) != NotFound {
		t.Errorf("a view that is not there: %v", err)
	}
	mustSave(t, v, me, ViewForm{Name: strings.Repeat("ä", MaxViewName)})
	for i := range MaxOwnViews - 1 {
		mustSave(t, v, me, ViewForm{Name: fmt.Sprint("v", i)})
	}
	if _, problems, err := v.Save(t.Context(), me, ViewForm{Name: "one more"}); err != nil || !strings.Contains(problems["name"], "no room") {
		t.Errorf("one more: %v %v", problems, err)
	}
	mustSave(t, v, as(2, Support), ViewForm{Name: "v1"})
}
