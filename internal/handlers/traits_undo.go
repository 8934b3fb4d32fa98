package handlers

import (
	"net/http"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

// undoTraits handles GET /customers/{id}/traits/edit?undo=: the preview of what
// takes an edit back, or one change of it. From there it is an edit like any.
func (a *app) undoTraits(w http.ResponseWriter, r *http.Request, c services.Customer, id services.TraitEditID) error {
	q := r.URL.Query()
	undo, err := a.Traits.Undo(r.Context(), orgOf(r), id, q.Get("field"), q.Get("key"))
	if err != nil {
		return err
	}
	if undo.Of.Customer != c.ID {
		return &services.Error{Kind: services.NotFound, Msg: "There is no such edit of this customer."}
	}
	plan, problems, err := a.Traits.Plan(r.Context(), orgOf(r), undo.Input)
	if err != nil {
		return err
	}
	f := traitForm{in: undo.Input, user: plan.User, reason: undo.Reason}
	if len(undo.Lost) > 0 {
		f.warnings = append(f.warnings, "What LogRocket had before the edit is not known for "+strings.Join(undo.Lost, ", ")+", so that cannot be brought back: it stays as it is now. “Change it” lets you set it by hand.")
	}
	if len(undo.Moved) > 0 {
		f.warnings = append(f.warnings, strings.Join(undo.Moved, ", ")+" changed again after the edit. Sending this takes that back as well.")
	}
	nothing := ""
	if problems["form"] != "" {
		nothing = "Nothing is left to take back: what LogRocket last answered is as it was before the edit."
		if len(undo.Lost) > 0 {
			nothing = "Nothing of this can be taken back without a guess, so there is nothing to send."
		}
	}
	return a.traitsPreview(w, r, http.StatusOK, c, f, plan, nothing)
}

// traitHistory handles GET /customers/{id}/traits/history: what happened to one
// field.
func (a *app) traitHistory(w http.ResponseWriter, r *http.Request) error {
	c, err := a.customerOf(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	conn, user, field, key := services.ConnectionID(idOf(q.Get("connection"))), q.Get("user"), q.Get("field"), q.Get("key")
	before := cursorOf(q.Get("before"))
	rows, err := a.Traits.FieldHistory(r.Context(), orgOf(r), c.ID, conn, user, field, key, before, pageRows+1)
	if err != nil {
		return err
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	v := templates.TraitHistoryView{
		Now: a.now(), Title: customerName(c), BackURL: traitsPath(r, c.ID), Field: fieldLabel(field, key), UserID: user, Connection: names[conn],
	}
	shown, next := rows[:min(len(rows), pageRows)], services.Moment{}
	if n := len(shown); n > 0 {
		next = services.Moment{At: shown[n-1].Edit.CreatedAt, ID: int64(shown[n-1].Edit.ID)}
	}
	v.Pager = pager(r.URL.Path, q, before != services.Moment{}, len(rows) > pageRows, next, len(shown), "change", "changes")
	for _, p := range shown {
		row := templates.PastTraitView{
			Change: changeView(p.Change), Href: traitEditPath(r, p.Edit), Author: p.Edit.AuthorName, Reason: p.Edit.Reason,
			State: string(p.Edit.State), At: p.Edit.CreatedAt,
		}
		if mayUndo(r, p.Edit) && p.Change.Before != nil {
			row.Change.UndoURL = undoPath(r, p.Edit, field, key)
		}
		v.Rows = append(v.Rows, row)
	}
	return a.page(w, r, http.StatusOK, "History of a trait", "customers", templates.TraitHistory(v))
}
