package handlers

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/a-h/templ"

	"sightline/internal/services"
	"sightline/web/templates"
)

// customerOf reads the customer whose page the request is about.
func (a *app) customerOf(r *http.Request) (services.Customer, error) {
	return a.Customers.Get(r.Context(), orgOf(r), services.CustomerID(idParam(r, "id")))
}

func traitsPath(r *http.Request, id services.CustomerID) string {
	return orgPath(r, "customers/%d/traits", id)
}

// traitsCard is a customer's traits for their page.
func (a *app) traitsCard(r *http.Request, p services.CustomerPage) (templ.Component, error) {
	var users []services.LogRocketUser
	var err error
	if p.Users {
		if users, err = a.Traits.ForCustomer(r.Context(), orgOf(r), p.Customer.ID); err != nil {
			return nil, err
		}
	}
	v, err := a.traitsCardView(r, p.Customer, users)
	if err != nil {
		return nil, err
	}
	v.AllURL = traitsPath(r, p.Customer.ID)
	if !may(r, services.Support) {
		v.EditURL = "" // why, the page of traits says
	}
	return templates.TraitsCard(v), nil
}

func (a *app) traitsCardView(r *http.Request, c services.Customer, users []services.LogRocketUser) (templates.TraitsCardView, error) {
	v := templates.TraitsCardView{Now: a.now(), Disabled: whyNotSupport(r)}
	full := r.URL.Path == traitsPath(r, c.ID)
	names, err := a.connectionNames(r)
	if err != nil {
		return v, err
	}
	conns, err := a.rocketConnections(r)
	if err != nil {
		return v, err
	}
	inUse := map[services.ConnectionID]bool{}
	for _, conn := range conns {
		inUse[conn.ID] = true
	}
	if len(conns) > 0 {
		v.EditURL = traitsPath(r, c.ID) + "/edit"
	}
	for _, u := range users {
		view := templates.RocketUserView{UserID: u.UserID, Connection: names[u.Connection], Name: u.Name, Email: u.Email, AnsweredAt: u.AnsweredAt}
		for _, t := range u.Traits {
			view.Traits = append(view.Traits, templates.TraitView{Key: t.Key, Value: t.Value})
		}
		if full {
			history := func(field, key string) string { return fieldHistoryPath(r, c.ID, u.Connection, u.UserID, field, key) }
			view.NameHistoryURL, view.EmailHistoryURL = history("name", ""), history("email", "")
			for i, t := range u.Traits {
				view.Traits[i].HistoryURL = history("trait", t.Key)
			}
		}
		if inUse[u.Connection] && may(r, services.Support) {
			view.EditURL = editPath(r, c.ID, u.Connection, u.UserID)
		}
		v.Users = append(v.Users, view)
	}
	return v, nil
}

// editPath is the edit form of one LogRocket user. Ids that are not ours travel
// in the query.
func editPath(r *http.Request, c services.CustomerID, conn services.ConnectionID, userID string) string {
	return traitsPath(r, c) + "/edit" + query(valuesOf("connection", fmt.Sprint(conn), "user", userID))
}

// fieldHistoryPath is the history of one field of one LogRocket user.
func fieldHistoryPath(r *http.Request, c services.CustomerID, conn services.ConnectionID, userID, field, key string) string {
	return traitsPath(r, c) + "/history" + query(valuesOf("connection", fmt.Sprint(conn), "user", userID, "field", field, "key", key))
}

// undoPath is the preview that takes back an edit, or one change of it.
func undoPath(r *http.Request, e services.TraitEdit, field, key string) string {
	return traitsPath(r, e.Customer) + "/edit" + query(valuesOf("undo", fmt.Sprint(e.ID), "field", field, "key", key))
}

// mayUndo says whether taking an edit back is offered.
func mayUndo(r *http.Request, e services.TraitEdit) bool {
	return may(r, services.Support) && (e.State == services.TraitsSent || e.State == services.TraitsUnknown)
}

// traits handles GET /customers/{id}/traits: what is known, and the edits.
func (a *app) traits(w http.ResponseWriter, r *http.Request) error {
	c, err := a.customerOf(r)
	if err != nil {
		return err
	}
	users, err := a.Traits.ForCustomer(r.Context(), orgOf(r), c.ID)
	if err != nil {
		return err
	}
	card, err := a.traitsCardView(r, c, users)
	if err != nil {
		return err
	}
	before := cursorOf(r.URL.Query().Get("before"))
	rows, err := a.Traits.Edits(r.Context(), orgOf(r), c.ID, before.At, services.TraitEditID(before.ID), pageRows+1)
	if err != nil {
		return err
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	v := templates.TraitsPageView{
		Now: a.now(), Title: customerName(c), BackURL: orgPath(r, "customers/%d", c.ID), Card: card,
		NoConnection: card.EditURL == "", ConnectionsHref: orgPath(r, "settings/connections"),
	}
	shown, next := rows[:min(len(rows), pageRows)], services.Moment{}
	if n := len(shown); n > 0 {
		next = services.Moment{At: shown[n-1].CreatedAt, ID: int64(shown[n-1].ID)}
	}
	v.Pager = pager(traitsPath(r, c.ID), r.URL.Query(), before != services.Moment{}, len(rows) > pageRows, next, len(shown), "edit", "edits")
	for _, e := range shown {
		v.Edits = append(v.Edits, templates.TraitEditItem{
			Href: traitEditPath(r, e), UserID: e.UserID, Connection: names[e.Connection], Author: e.AuthorName, Reason: e.Reason,
			State: string(e.State), CreatedAt: e.CreatedAt,
		})
	}
	return a.page(w, r, http.StatusOK, "Traits", "customers", templates.TraitsPage(v))
}

func traitEditPath(r *http.Request, e services.TraitEdit) string {
	return fmt.Sprintf("%s/%d", traitsPath(r, e.Customer), e.ID)
}

// showTraitEdit handles GET /customers/{id}/traits/{edit}. A page that waits
// asks for the status alone; when that is final the page loads itself anew.
func (a *app) showTraitEdit(w http.ResponseWriter, r *http.Request) error {
	c, err := a.customerOf(r)
	if err != nil {
		return err
	}
	e, err := a.Traits.Get(r.Context(), orgOf(r), services.TraitEditID(idParam(r, "edit")))
	if err != nil {
		return err
	}
	if e.Customer != c.ID {
		return &services.Error{Kind: services.NotFound, Msg: "There is no such edit of this customer."}
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	v := templates.TraitEditView{
		Now: a.now(), ID: int64(e.ID), URL: traitEditPath(r, e), BackURL: traitsPath(r, c.ID), Title: customerName(c), UserID: e.UserID,
		Connection: names[e.Connection], Author: orText(e.AuthorName, "Somebody who left"), Reason: e.Reason, State: string(e.State),
		Message: e.Message, Open: e.State.Open(), CreatedAt: e.CreatedAt, SentAt: e.SentAt, FinishedAt: e.FinishedAt,
		AgainURL: traitsPath(r, c.ID) + "/edit" + query(valuesOf("again", fmt.Sprint(e.ID))), AgainDisabled: whyNotSupport(r),
	}
	if mayUndo(r, e) {
		v.UndoURL = undoPath(r, e, "", "")
	}
	if e.Undoes != 0 {
		v.UndoesURL = fmt.Sprintf("%s/%d", traitsPath(r, c.ID), e.Undoes)
	}
	if e.UndoneBy != 0 {
		v.UndoneURL = fmt.Sprintf("%s/%d", traitsPath(r, c.ID), e.UndoneBy)
	}
	for _, change := range e.Changes {
		row := changeView(change)
		row.HistoryURL = fieldHistoryPath(r, c.ID, e.Connection, e.UserID, change.Field, change.Key)
		if mayUndo(r, e) && len(e.Changes) > 1 && change.Before != nil {
			row.UndoURL = undoPath(r, e, change.Field, change.Key)
		}
		v.Rows = append(v.Rows, row)
	}
	if wantsPart(r) {
		if !v.Open {
			w.Header().Set("HX-Refresh", "true")
		}
		return a.render(w, r, http.StatusOK, templates.TraitEditStatus(v))
	}
	return a.page(w, r, http.StatusOK, "Trait edit", "customers", templates.TraitEdit(v))
}

func changeView(c services.TraitChange) templates.TraitChangeView {
	v := templates.TraitChangeView{Field: fieldLabel(c.Field, c.Key), Before: c.Before, Effect: string(services.TraitChanged)}
	switch {
	case c.After == nil:
		v.Effect = string(services.TraitRemoved)
	case c.Before == nil || *c.Before == "":
		v.Effect, v.After = string(services.TraitAdded), *c.After
	default:
		v.After = *c.After
	}
	return v
}

// fieldLabel is a field's name for people.
func fieldLabel(field, key string) string {
	switch field {
	case "name":
		return "Name"
	case "email":
		return "Email"
	}
	return key
}

// editTraits handles GET /customers/{id}/traits/edit: which user, then the form.
func (a *app) editTraits(w http.ResponseWriter, r *http.Request) error {
	c, err := a.customerOf(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	if id := idOf(q.Get("again")); id != 0 {
		e, err := a.Traits.Get(r.Context(), orgOf(r), services.TraitEditID(id))
		if err != nil {
			return err
		}
		return a.openTraits(w, r, c, e.Connection, e.UserID, &e)
	}
	if id := idOf(q.Get("undo")); id != 0 {
		return a.undoTraits(w, r, c, services.TraitEditID(id))
	}
	if q.Has("user") && q.Get("user") != "" && idOf(q.Get("connection")) != 0 {
		return a.openTraits(w, r, c, services.ConnectionID(idOf(q.Get("connection"))), q.Get("user"), nil)
	}
	return a.chooseUser(w, r, c, q.Has("user"))
}

// chooseUser asks which LogRocket user the customer is.
func (a *app) chooseUser(w http.ResponseWriter, r *http.Request, c services.Customer, tried bool) error {
	conns, err := a.rocketConnections(r)
	if err != nil {
		return err
	}
	if len(conns) == 0 {
		return a.redirect(w, r, traitsPath(r, c.ID), "info", "There is no LogRocket connection in use, so traits cannot be edited.")
	}
	chosen := services.ConnectionID(idOf(r.URL.Query().Get("connection")))
	if err := a.ourConnection(r, chosen, conns); err != nil {
		return err
	}
	if chosen == 0 {
		chosen = conns[0].ID
	}
	ids, err := a.Traits.UserIDs(r.Context(), orgOf(r), c.ID, chosen)
	if err != nil {
		return err
	}
	field, options := connectionChoice(conns, int64(chosen))
	v := templates.TraitsChooseView{
		Title: customerName(c), BackURL: traitsPath(r, c.ID), Action: traitsPath(r, c.ID) + "/edit", Connection: *field, Connections: options,
		User: templates.FieldView{
			ID: "user", Name: "user", Label: "User id at LogRocket", Required: true, Autofocus: true, Autocomplete: "off", Mono: true, Suggest: ids,
			Hint: "What your site gives LogRocket's identify call. Filled in with the likeliest that is known. An id that LogRocket does not know makes a new user there.",
		},
	}
	if len(ids) > 0 && !tried {
		v.User.Value = ids[0]
	}
	status := http.StatusOK
	if tried {
		v.User.Error, status = "Give the id under which LogRocket knows this customer.", http.StatusUnprocessableEntity
	}
	return a.page(w, r, status, "Edit traits", "customers", templates.TraitsChoose(v))
}

// openTraits shows the edit form as it opens.
func (a *app) openTraits(w http.ResponseWriter, r *http.Request, c services.Customer, conn services.ConnectionID, userID string, again *services.TraitEdit) error {
	u, err := a.Traits.User(r.Context(), orgOf(r), c.ID, conn, userID)
	if err != nil {
		return err
	}
	if u.Customer != c.ID {
		u = services.LogRocketUser{Connection: conn, Customer: c.ID, UserID: userID}
	}
	f := traitForm{in: a.Traits.InputFor(u, again)}
	plan, problems, err := a.Traits.Plan(r.Context(), orgOf(r), f.in)
	if err != nil {
		return err
	}
	f.user = plan.User
	delete(problems, "form") // nothing was typed yet
	if msg := problems["user"]; msg != "" {
		f.problems = services.Problems{"user": msg}
	}
	if plan.InFlight {
		f.in.Seen = 0 // what that edit changes has to be seen before anything is sent
		f.notice = "An edit of this user by " + orText(plan.Newest.AuthorName, "somebody") + " is being sent right now. What it changes is not shown here yet."
	}
	return a.traitsForm(w, r, http.StatusOK, c, f)
}

// postTraits handles POST /customers/{id}/traits: preview, more rows, back to
// the form, or send.
func (a *app) postTraits(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	c, err := a.customerOf(r)
	if err != nil {
		return err
	}
	f := readTraitForm(r, c)
	plan, problems, err := a.Traits.Plan(r.Context(), orgOf(r), f.in)
	if err != nil {
		return err
	}
	f.user = plan.User
	switch r.PostForm.Get("step") {
	case "more":
		f.more = 3
		return a.traitsForm(w, r, http.StatusOK, c, f)
	case "edit":
		return a.traitsForm(w, r, http.StatusOK, c, f)
	case "send":
		return a.sendTraits(w, r, c, f)
	}
	nothing := problems["form"]
	delete(problems, "form")
	if len(problems) > 0 {
		f.problems = problems
		return a.traitsForm(w, r, http.StatusUnprocessableEntity, c, f)
	}
	return a.traitsPreview(w, r, http.StatusOK, c, f, plan, nothing)
}

// sendTraits queues the edit, unless somebody else was first: then the preview
// comes again, with what is there now.
func (a *app) sendTraits(w http.ResponseWriter, r *http.Request, c services.Customer, f traitForm) error {
	e, problems, err := a.Traits.Send(r.Context(), actorOf(r), f.in, f.reason, f.token)
	var stale *services.StalePlan
	if errors.As(err, &stale) {
		return a.traitsPreview(w, r, http.StatusConflict, c, f, stale.Plan, "")
	}
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		plan, _, err := a.Traits.Plan(r.Context(), orgOf(r), f.in)
		if err != nil {
			return err
		}
		f.problems = problems
		if problems["reason"] != "" || problems["form"] != "" {
			return a.traitsPreview(w, r, http.StatusUnprocessableEntity, c, f, plan, problems["form"])
		}
		return a.traitsForm(w, r, http.StatusUnprocessableEntity, c, f)
	}
	if e, err = a.Traits.Wait(r.Context(), orgOf(r), e.ID, waitForVendor); err != nil {
		return err
	}
	return a.redirect(w, r, traitEditPath(r, e), "", "")
}
