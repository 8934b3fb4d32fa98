package services

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/sandbox"
)

// form opens the edit form of a LogRocket user.
func (r *rocketSite) form(customer CustomerID, userID string) TraitInput {
	r.t.Helper()
	u, err := r.s.Traits.User(r.t.Context(), 1, customer, r.conn, userID)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.s.Traits.InputFor(u, nil)
}

// send sends a form and fails the test on any problem.
func (r *rocketSite) send(in TraitInput, token string) TraitEdit {
	r.t.Helper()
	e, problems, err := r.s.Traits.Send(r.t.Context(), r.actor, in, "ticket 7", token)
	if err != nil || len(problems) > 0 {
		r.t.Fatal(problems, err)
	}
	return e
}

func (r *rocketSite) ended(id TraitEditID) TraitEdit {
	r.t.Helper()
	e, err := r.s.Traits.Wait(r.t.Context(), 1, id, patience)
	if err != nil || e.State.Open() {
		r.t.Fatalf("%+v, %v", e, err)
	}
	return e
}

func newTrait(key, value string) TraitField { return TraitField{key, FieldInput{"", value}} }

func TestTraitsAreEdited(t *testing.T) {
	eachDialect(t, func(t *testing.T, d sandbox.Dialect) {
		r := newRocketSite(t, d)
		r.start()
		who := r.box.Company().Demo()[0]
		id := r.customer(who)
		_, _, before, _ := r.box.LogRocketUser(who.UserID)

		in := r.form(id, who.UserID)
		in.New = []TraitField{newTrait("vip", "true"), newTrait("seats", "12")}
		plan, problems, err := r.s.Traits.Plan(t.Context(), 1, in)
		if err != nil || len(problems) > 0 || plan.Changes() != 2 || plan.User.Known() {
			t.Fatalf("plan %+v, %v, %v", plan, problems, err)
		}
		e := r.ended(r.send(in, NewFormToken()).ID)
		if e.State != TraitsSent || e.AuthorName != "Ada" || e.Reason != "ticket 7" {
			t.Fatalf("ended as %+v", e)
		}
		// Only what changed was sent: all the rest is still there, at LogRocket
		// and in what is known.
		want := maps.Clone(before)
		want["vip"], want["seats"] = "true", "12"
		name, email, now, _ := r.box.LogRocketUser(who.UserID)
		if !maps.Equal(now, want) || name != who.FullName || email != who.Email {
			t.Errorf("LogRocket has %s %s %v, want %v", name, email, now, want)
		}
		users, err := r.s.Traits.ForCustomer(t.Context(), 1, id)
		if err != nil || len(users) != 1 || users[0].Name != name || !users[0].Known() || len(users[0].Traits) != len(want) {
			t.Fatalf("known: %+v, %v", users, err)
		}
		h := r.history("trait.edit")
		if len(h) != 1 || h[0].Actor != 1 || h[0].Reason != "ticket 7" || h[0].Customer != id || !strings.Contains(h[0].After, `"trait vip":"true"`) || h[0].Before != "" {
			t.Errorf("history %+v", h)
		}

		in = r.form(id, who.UserID)
		for i, f := range in.Known {
			switch f.Key {
			case "vip":
				in.Known[i].Value = "no"
			case "seats":
				in.Known[i].Value = ""
			}
		}
		in.Name.Value = "Ada L."
		plan, problems, err = r.s.Traits.Plan(t.Context(), 1, in)
		if err != nil || len(problems) > 0 || fmt.Sprint(plan.Request.Traits) != "map[seats: vip:no]" || *plan.Request.Name != "Ada L." || plan.Request.Email != nil {
			t.Fatalf("plan %+v, %v, %v", plan, problems, err)
		}
		if e := r.ended(r.send(in, NewFormToken()).ID); e.State != TraitsSent || len(e.Changes) != 3 || *e.Changes[1].Before != "12" || e.Changes[1].After != nil {
			t.Fatalf("ended as %+v", e)
		}
		want["vip"], name = "no", "Ada L."
		delete(want, "seats")
		if got, _, now, _ := r.box.LogRocketUser(who.UserID); got != name || !maps.Equal(now, want) {
			t.Errorf("LogRocket has %s %v, want %v", got, now, want)
		}
		// The new name finds the customer too.
		ids, err := r.store.Org(1).Identities(t.Context(), id)
		if err != nil || !strings.Contains(fmt.Sprint(ids), "Ada L.") || !strings.Contains(fmt.Sprint(ids), who.UserID) {
			t.Errorf("identities %+v, %v", ids, err)
		}
	})
}

func TestTraitsOfOddUserIDs(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectLive)
	r.start()
	for i, odd := range []string{"google-oauth2|abc", "a/b", "ü@x", "100%", "a b?c#d", "%2F", strings.Repeat("é", 1024)} {
		id := r.customer(sandbox.Customer{Email: fmt.Sprintf("odd%d@example.com", i)})
		in := r.form(id, odd)
		in.New = []TraitField{newTrait("k", "v")}
		if e := r.ended(r.send(in, NewFormToken()).ID); e.State != TraitsSent {
			t.Fatalf("%q: %+v", odd, e)
		}
		if _, _, now, _ := r.box.LogRocketUser(odd); now["k"] != "v" {
			t.Errorf("%q: LogRocket has %v", odd, now)
		}
	}
}

func TestTraitFormIsSentOnce(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.start()
	id := r.customer(r.box.Company().Demo()[0])
	in := r.form(id, "u1")
	in.New = []TraitField{newTrait("plan", "pro")}
	token := NewFormToken()
	first := r.send(in, token)
	if again := r.send(in, token); again.ID != first.ID {
		t.Errorf("a double click made %d beside %d", again.ID, first.ID)
	}
	r.ended(first.ID)
	if late := r.send(in, token); late.ID != first.ID {
		t.Errorf("a retry made %d beside %d", late.ID, first.ID)
	}
	// Another tab that was opened before does not overwrite unseen.
	var stale *StalePlan
	if _, _, err := r.s.Traits.Send(t.Context(), r.actor, in, "", NewFormToken()); !errors.As(err, &stale) || !stale.Plan.Stale || stale.Plan.Newest.ID != first.ID {
		t.Errorf("another tab: %v", err)
	}
	if n := r.box.CountCalls(sandbox.OpUpdateUser); n != 1 {
		t.Errorf("put %d times", n)
	}
}

// Two people edit at once: what the second did not touch is left as the first
// made it, and what both touched is said.
func TestTraitConflictIsShown(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.start()
	id := r.customer(r.box.Company().Demo()[0])
	in := r.form(id, "u1")
	in.New = []TraitField{newTrait("plan", "free"), newTrait("seats", "1")}
	r.ended(r.send(in, NewFormToken()).ID)

	mine, theirs := r.form(id, "u1"), r.form(id, "u1")
	theirs.Known[0].Value = "pro" // plan
	r.ended(r.send(theirs, NewFormToken()).ID)
	mine.Known[1].Value = "5" // seats; plan still says "free" in this form

	var stale *StalePlan
	_, _, err := r.s.Traits.Send(t.Context(), r.actor, mine, "", NewFormToken())
	if !errors.As(err, &stale) {
		t.Fatalf("sent over another's edit: %v", err)
	}
	for _, row := range stale.Plan.Rows {
		if row.Key == "plan" && (row.Effect != TraitUnchanged || *row.Before != "pro" || !row.Moved) {
			t.Errorf("plan: %+v", row)
		}
	}
	mine.Seen = stale.Plan.User.LastEdit
	if e := r.ended(r.send(mine, NewFormToken()).ID); e.State != TraitsSent {
		t.Fatalf("%+v", e)
	}
	if _, _, now, _ := r.box.LogRocketUser("u1"); now["plan"] != "pro" || now["seats"] != "5" {
		t.Errorf("LogRocket has %v", now)
	}
}

func TestTraitEditInFlightHoldsTheNext(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	id := r.customer(r.box.Company().Demo()[0])
	in := r.form(id, "u1")
	in.New = []TraitField{newTrait("plan", "free")}
	first := r.send(in, NewFormToken()) // no job runs yet
	next := r.form(id, "u1")
	next.New = []TraitField{newTrait("plan", "pro")}
	var stale *StalePlan
	if _, _, err := r.s.Traits.Send(t.Context(), r.actor, next, "", NewFormToken()); !errors.As(err, &stale) || !stale.Plan.InFlight {
		t.Errorf("beside an open edit: %v", err)
	}
	r.start()
	r.ended(first.ID)
}

func TestTraitEditsSurviveAKill(t *testing.T) {
	begin := func(t *testing.T) (*rocketSite, TraitEdit) {
		r := newRocketSite(t, sandbox.DialectContract)
		in := r.form(r.customer(r.box.Company().Demo()[0]), "u1")
		in.New = []TraitField{newTrait("plan", "pro")}
		return r, r.send(in, NewFormToken())
	}
	t.Run("before the job ran", func(t *testing.T) {
		r, e := begin(t)
		r.force(`DELETE FROM river_job`)
		r.restart()
		if e = r.ended(e.ID); e.State != TraitsSent || r.box.CountCalls(sandbox.OpUpdateUser) != 1 {
			t.Errorf("%+v after %d puts", e, r.box.CountCalls(sandbox.OpUpdateUser))
		}
	})
	t.Run("between committing and sending", func(t *testing.T) {
		r, e := begin(t)
		r.force(`UPDATE trait_edits SET state = 'sending', sent_at = created_at WHERE id = ?`, e.ID)
		r.restart()
		if e = r.ended(e.ID); e.State != TraitsUnknown || r.box.CountCalls(sandbox.OpUpdateUser) != 0 {
			t.Errorf("%+v after %d puts", e, r.box.CountCalls(sandbox.OpUpdateUser))
		}
		if h := r.history("trait.unknown"); len(h) != 1 || h[0].Reason != "ticket 7" {
			t.Errorf("history %+v", h)
		}
		// A person sends it again, as a new edit with the same contents.
		u, err := r.s.Traits.User(t.Context(), 1, e.Customer, r.conn, "u1")
		if err != nil {
			t.Fatal(err)
		}
		if again := r.ended(r.send(r.s.Traits.InputFor(u, &e), NewFormToken()).ID); again.State != TraitsSent || again.Request.Traits["plan"] != "pro" {
			t.Errorf("again: %+v", again)
		}
	})
	t.Run("while LogRocket answers", func(t *testing.T) {
		r, e := begin(t)
		r.box.Fault(sandbox.Fault{Operation: sandbox.OpUpdateUser, Kind: sandbox.FaultLatency, Latency: time.Minute, Times: 1})
		r.start()
		if _, err := waitFor(t.Context(), patience, func() (int, bool, error) {
			n := r.box.CountCalls(sandbox.OpUpdateUser)
			return n, n > 0, nil
		}); err != nil {
			t.Fatal(err)
		}
		r.restart()
		if e = r.ended(e.ID); e.State != TraitsUnknown || r.box.CountCalls(sandbox.OpUpdateUser) != 1 {
			t.Errorf("%+v after %d puts", e, r.box.CountCalls(sandbox.OpUpdateUser))
		}
	})
}

func TestTraitsThatCannotBeSent(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.start()
	id := r.customer(r.box.Company().Demo()[0])
	tests := map[sandbox.FaultKind]TraitEditState{
		sandbox.FaultUnauthorized: TraitsFailed, sandbox.FaultForbidden: TraitsFailed, sandbox.FaultRateLimited: TraitsFailed,
		sandbox.FaultServerError: TraitsUnknown, sandbox.FaultGarbage: TraitsUnknown, sandbox.FaultLost: TraitsUnknown, sandbox.FaultDrop: TraitsUnknown,
	}
	for fault, want := range tests {
		t.Run(string(fault), func(t *testing.T) {
			before := r.box.CountCalls(sandbox.OpUpdateUser)
			remove := r.box.Fault(sandbox.Fault{Operation: sandbox.OpUpdateUser, Kind: fault})
			in := r.form(id, "u1")
			in.New = []TraitField{newTrait("k", string(fault))}
			e := r.ended(r.send(in, NewFormToken()).ID)
			remove()
			r.force(`UPDATE connections SET blocked_until = NULL`)
			if e.State != want || e.Message == "" || strings.Contains(e.Message, "mirror") {
				t.Errorf("%s: %s", e.State, e.Message)
			}
			if n := r.box.CountCalls(sandbox.OpUpdateUser) - before; n != 1 {
				t.Errorf("put %d times", n)
			}
			if users, err := r.s.Traits.ForCustomer(t.Context(), 1, id); err != nil || len(users) != 1 || users[0].Known() {
				t.Errorf("what failed is taken for known: %+v, %v", users, err)
			}
		})
	}
}

func TestTraitProblemsAreNamed(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.start()
	id := r.customer(r.box.Company().Demo()[0])
	other := r.customer(sandbox.Customer{Email: "other@example.com", FullName: "Other"})
	in := r.form(other, "theirs")
	in.New = []TraitField{newTrait("k", "v")}
	r.ended(r.send(in, NewFormToken()).ID)

	long, fits := strings.Repeat("ü", 1025), strings.Repeat("ü", 1024)
	with := func(change func(*TraitInput)) TraitInput {
		in := r.form(id, "u1")
		in.New = []TraitField{newTrait(fits, fits)}
		change(&in)
		return in
	}
	tests := []struct {
		name, field, says string
		in                TraitInput
	}{
		{"no user", "user", "Give the id", with(func(in *TraitInput) { in.UserID = "" })},
		{"dots", "user", "dots only", with(func(in *TraitInput) { in.UserID = ".." })},
		{"long user", "user", "1025 characters", with(func(in *TraitInput) { in.UserID = long })},
		{"another's user", "user", "belongs to Other other@example.com", with(func(in *TraitInput) { in.UserID = "theirs"; in.Seen = 1 })},
		{"long name", "name", "1025 characters", with(func(in *TraitInput) { in.Name.Value = long })},
		{"long email", "email", "1025 characters", with(func(in *TraitInput) { in.Email.Value = long })},
		{"bad email", "email", "no email address", with(func(in *TraitInput) { in.Email.Value = "ada" })},
		{"no key", "new-key-1", "Give the trait a name", with(func(in *TraitInput) { in.New = append(in.New, newTrait("", "v")) })},
		{"same key twice", "new-key-1", "already", with(func(in *TraitInput) { in.New = append(in.New, in.New[0]) })},
		{"long key", "new-key-0", "1025 characters", with(func(in *TraitInput) { in.New[0].Key = long })},
		{"long value", "new-value-0", "1025 characters", with(func(in *TraitInput) { in.New[0].Value = long })},
		{"line break", "new-key-0", "line breaks", with(func(in *TraitInput) { in.New[0].Key = "a\nb" })},
		{"control", "new-value-0", "cannot be sent", with(func(in *TraitInput) { in.New[0].Value = "a\x00b" })},
		{"no text", "new-value-0", "cannot be sent", with(func(in *TraitInput) { in.New[0].Value = "\xff" })},
		{"nothing", "form", "nothing to send", with(func(in *TraitInput) { in.New = nil })},
	}
	for _, tt := range tests {
		_, problems, err := r.s.Traits.Plan(t.Context(), 1, tt.in)
		if err != nil || len(problems) != 1 || !strings.Contains(problems[tt.field], tt.says) {
			t.Errorf("%s: %v, %v", tt.name, problems, err)
		}
		if _, problems, err := r.s.Traits.Send(t.Context(), r.actor, tt.in, "", NewFormToken()); err != nil || len(problems) == 0 {
			t.Errorf("%s was sent: %v", tt.name, err)
		}
	}
	if _, problems, err := r.s.Traits.Send(t.Context(), r.actor, with(func(*TraitInput) {}), strings.Repeat("ü", 501), NewFormToken()); err != nil || problems["reason"] == "" {
		t.Errorf("long reason: %v, %v", problems, err)
	}
	viewer := r.actor
	viewer.Role = Viewer
	var e *Error
	if _, _, err := r.s.Traits.Send(t.Context(), viewer, with(func(*TraitInput) {}), "", NewFormToken()); !errors.As(err, &e) || e.Kind != Denied {
		t.Errorf("a viewer: %v", err)
	}
	if _, _, err := r.s.Traits.Plan(t.Context(), 2, with(func(*TraitInput) {})); !errors.As(err, &e) || e.Kind != NotFound {
		t.Errorf("another organization: %v", err)
	}
	if n := r.box.CountCalls(sandbox.OpUpdateUser); n != 1 {
		t.Errorf("put %d times", n)
	}
	if e := r.ended(r.send(with(func(*TraitInput) {}), NewFormToken()).ID); e.State != TraitsSent {
		t.Errorf("1024 characters: %+v", e)
	}
}

// A blank new trait removes one of which we only do not know.
func TestUnknownTraitCanBeRemoved(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.start()
	who := r.box.Company().Demo()[0]
	_, _, before, _ := r.box.LogRocketUser(who.UserID)
	var key string
	for key = range before {
		break
	}
	in := r.form(r.customer(who), who.UserID)
	in.New = []TraitField{newTrait(key, "")}
	if e := r.ended(r.send(in, NewFormToken()).ID); e.State != TraitsSent {
		t.Fatalf("%+v", e)
	}
	if _, _, now, _ := r.box.LogRocketUser(who.UserID); now[key] != "" || len(now) != len(before)-1 {
		t.Errorf("LogRocket has %v", now)
	}
}

func TestUserIDsAreOfferedLikeliestFirst(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	id, err := r.store.Org(1).Resolve(t.Context(), db.Sighting{Connection: r.conn, Email: "a@example.com", LogRocketUser: "lr", SeenAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = r.store.Org(1).Resolve(t.Context(), db.Sighting{Connection: 99, Email: "a@example.com", RaygunIdentifier: "rg", SeenAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	got, err := r.s.Traits.UserIDs(t.Context(), 1, id, r.conn)
	if err != nil || fmt.Sprint(got) != "[lr rg a@example.com]" {
		t.Errorf("%v, %v", got, err)
	}
}
