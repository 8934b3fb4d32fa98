package services

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"sightline/internal/db"
)

// ViewID is a saved view's.
type ViewID = db.ViewID

// Limits of saved views.
const (
	MaxViewName    = 80   // characters
	MaxViewQuery   = 8000 // bytes of its filter, as an address has it
	MaxViewColumns = 1000 // bytes
	MaxOwnViews    = 100  // of one member in one organization
	MaxSharedViews = 200  // of an organization
)

// View is a filter of the session explorer that somebody keeps, with the
// columns that it shows.
type View struct {
	ID    ViewID
	Name  string
	Owner UserID // who saved it
	// OwnerName is what its owner is called.
	OwnerName string
	// Shared says that it is the organization's: every member sees it.
	Shared bool
	// Default says that the member who asks begins with it.
	Default bool
	// Query is the filter as an address has it, without "?", Columns the columns
	// as the explorer writes them. Both are text that only the explorer reads.
	Query, Columns string
	// Editable says that the member who asks may change and delete it.
	Editable bool
}

// ViewForm is what a member gives a view.
type ViewForm struct {
	// ID is the view to change, 0 for a new one.
	ID             ViewID
	Name           string
	Shared         bool
	Query, Columns string
}

// Views keeps members' own views of the session explorer, which nobody else
// sees, and the organization's, which members with the role support, admin or
// owner change.
type Views struct {
	db  *db.DB
	now func() time.Time
}

func newViews(d *db.DB, now func() time.Time) *Views { return &Views{db: d, now: now} }

const noView = "There is no such view any more."

// MayShareViews says whether a role may add, change and delete the
// organization's views.
func MayShareViews(r Role) bool { return r >= Support }

func viewOf(v db.SavedView, role Role) View {
	return View{
		ID: v.ID, Name: v.Name, Owner: v.Owner, OwnerName: v.OwnerName, Shared: v.Shared, Default: v.Default,
		Query: v.Query, Columns: v.Columns, Editable: !v.Shared || MayShareViews(role),
	}
}

// List returns the organization's views and then the member's own, each by
// name.
func (v *Views) List(ctx context.Context, actor Actor) ([]View, error) {
	rows, err := v.db.Org(actor.Org).SavedViews(ctx, actor.User)
	var out []View
	for _, r := range rows {
		out = append(out, viewOf(r, actor.Role))
	}
	return out, err
}

// Get returns a view that the member sees.
func (v *Views) Get(ctx context.Context, actor Actor, id ViewID) (View, error) {
	row, err := v.db.Org(actor.Org).SavedView(ctx, actor.User, id)
	return viewOf(row, actor.Role), notFound(err, noView)
}

// Save keeps a view, a new one or in the place of an old one. Problems are by
// field: "name", "query", "columns", "shared".
func (v *Views) Save(ctx context.Context, actor Actor, f ViewForm) (View, Problems, error) {
	problems := Problems{}
	f.Name = checkViewName(f.Name, problems)
	f.Query = strings.TrimPrefix(strings.TrimSpace(f.Query), "?")
	if _, err := url.ParseQuery(f.Query); err != nil || !utf8.ValidString(f.Query) {
		problems["query"] = "This filter cannot be read. Choose it again in the explorer."
	} else if len(f.Query) > MaxViewQuery {
		problems["query"] = "This filter is too long to keep. Name fewer values in it."
	}
	if len(f.Columns) > MaxViewColumns || !utf8.ValidString(f.Columns) {
		problems["columns"] = "These columns cannot be kept. Choose them again."
	}
	if len(problems) > 0 {
		return View{}, problems, nil
	}
	o := v.db.Org(actor.Org)
	row := db.SavedView{ID: f.ID, Owner: actor.User, Shared: f.Shared, Name: f.Name, Query: f.Query, Columns: f.Columns, UpdatedAt: v.now()}
	was := db.SavedView{}
	if f.ID != 0 {
		var err error
		if was, err = o.SavedView(ctx, actor.User, f.ID); err != nil {
			return View{}, nil, notFound(err, noView)
		}
	}
	if (f.Shared || was.Shared) && !MayShareViews(actor.Role) {
		return View{}, nil, sharedDenied()
	}
	if was.Shared && !f.Shared && was.Owner != actor.User {
		problems["shared"] = fmt.Sprintf("This view is the organization's, and %s saved it. Save it under another name to have your own.", orElse(was.OwnerName, "somebody else"))
		return View{}, problems, nil
	}
	var err error
	if f.ID == 0 {
		row.ID, err = o.AddSavedView(ctx, row, mostViews(row), v.entry(actor, was, &row))
	} else {
		err = o.ChangeSavedView(ctx, actor.User, row, mostViews(row), v.entry(actor, was, &row))
	}
	if err = viewError(err, row, problems); err != nil || len(problems) > 0 {
		return View{}, problems, err
	}
	saved, err := v.Get(ctx, actor, row.ID)
	return saved, nil, err
}

// Rename gives a view another name. Problems are by field: "name".
func (v *Views) Rename(ctx context.Context, actor Actor, id ViewID, name string) (Problems, error) {
	was, err := v.Get(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	_, problems, err := v.Save(ctx, actor, ViewForm{ID: id, Name: name, Shared: was.Shared, Query: was.Query, Columns: was.Columns})
	return problems, err
}

// Delete deletes a view. Those who began with it begin without one.
func (v *Views) Delete(ctx context.Context, actor Actor, id ViewID) error {
	o := v.db.Org(actor.Org)
	was, err := o.SavedView(ctx, actor.User, id)
	if err != nil {
		return notFound(err, noView)
	}
	if was.Shared && !MayShareViews(actor.Role) {
		return sharedDenied()
	}
	return notFound(o.DeleteSavedView(ctx, actor.User, id, v.entry(actor, was, nil)), noView)
}

// SetDefault makes a view the one that the member begins with; 0 is none.
func (v *Views) SetDefault(ctx context.Context, actor Actor, id ViewID) error {
	return notFound(v.db.Org(actor.Org).SetDefaultView(ctx, actor.User, id), noView)
}

func sharedDenied() error {
	return &Error{Kind: Denied, Msg: "Members with the role support, admin or owner change the organization's views. Keep it as your own instead."}
}

func checkViewName(name string, problems Problems) string {
	name = db.CleanText(name)
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		problems["name"] = "Give the view a name."
	case n > MaxViewName:
		problems["name"] = fmt.Sprintf("That is too long: a name has at most %d characters.", MaxViewName)
	}
	return name
}

func mostViews(v db.SavedView) int {
	if v.Shared {
		return MaxSharedViews
	}
	return MaxOwnViews
}

// viewError turns what the store says into a problem of a field or a sentence.
func viewError(err error, v db.SavedView, problems Problems) error {
	whose := "You have"
	if v.Shared {
		whose = "The organization has"
	}
	switch {
	case errors.Is(err, db.ErrExists):
		problems["name"] = whose + " a view of this name already. Choose another name."
		return nil
	case errors.Is(err, db.ErrFull):
		problems["name"] = fmt.Sprintf("%s %d views, and there is no room for more. Delete one first.", whose, mostViews(v))
		return nil
	}
	return notFound(err, noView)
}

// entry is the history entry of what happened to a view of the organization:
// from was to is, of which one may not have been. It is nil for what is only
// the member's own.
func (v *Views) entry(actor Actor, was db.SavedView, is *db.SavedView) *db.HistoryEntry {
	e := db.HistoryEntry{At: v.now(), Actor: actor.User, ActorName: actor.Name}
	switch {
	case is != nil && is.Shared && !was.Shared:
		e.Action, e.Summary = "view.share", fmt.Sprintf("Shared the view “%s”", is.Name)
	case !was.Shared:
		return nil
	case is == nil:
		e.Action, e.Summary = "view.delete", fmt.Sprintf("Deleted the view “%s”", was.Name)
	case !is.Shared:
		e.Action, e.Summary = "view.unshare", fmt.Sprintf("Took the view “%s” back for themselves", was.Name)
	case is.Query == was.Query && is.Columns == was.Columns && is.Name == was.Name:
		return nil
	case is.Query == was.Query && is.Columns == was.Columns:
		e.Action, e.Summary = "view.rename", fmt.Sprintf("Renamed the view “%s” to “%s”", was.Name, is.Name)
	default:
		e.Action, e.Summary = "view.change", fmt.Sprintf("Changed the view “%s”", is.Name)
	}
	e.Subject = was.Name
	if was.Shared {
		e.Before = viewFields(was)
	}
	if is != nil {
		e.Subject = is.Name
		if is.Shared {
			e.After = viewFields(*is)
		}
	}
	return &e
}

func viewFields(v db.SavedView) string {
	return historyFields(map[string]string{"Name": v.Name, "Filter": v.Query, "Columns": v.Columns})
}
