package services

import (
	"context"
	"time"

	"sightline/internal/db"
)

// ViewID is a saved view's.
type ViewID = db.ViewID

// View is a filter of the session explorer that somebody has kept, with the
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

// Views keeps members' and the organization's views of the session explorer.
type Views struct {
	db  *db.DB
	now func() time.Time
}

func newViews(d *db.DB, now func() time.Time) *Views { return &Views{db: d, now: now} }

var errNoViews = &Error{Kind: Unavailable, Msg: "Views cannot be kept yet."}

// List returns the organization's views and the member's own, by name.
func (v *Views) List(ctx context.Context, actor Actor) ([]View, error) { return nil, nil }

// Save keeps a view, a new one or in the place of an old one. Problems are by
// field: "name", "query", "columns".
func (v *Views) Save(ctx context.Context, actor Actor, f ViewForm) (View, Problems, error) {
	return View{}, nil, errNoViews
}

// Rename gives a view another name. Problems are by field: "name".
func (v *Views) Rename(ctx context.Context, actor Actor, id ViewID, name string) (Problems, error) {
	return nil, errNoViews
}

// Delete deletes a view. Those who began with it begin without one.
func (v *Views) Delete(ctx context.Context, actor Actor, id ViewID) error { return errNoViews }

// SetDefault makes a view the one that the member begins with; 0 is none.
func (v *Views) SetDefault(ctx context.Context, actor Actor, id ViewID) error { return errNoViews }
