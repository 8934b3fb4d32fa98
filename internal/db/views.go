package db

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// SavedView is a filter of the session explorer that somebody keeps.
type SavedView struct {
	ID    ViewID
	Owner UserID
	// OwnerName is what the owner is called today, filled on reading.
	OwnerName string
	// Shared says that it is the organization's; any other is its owner's alone.
	Shared bool
	// Default says that the member who asks begins with it, filled on reading.
	Default bool
	// Name is one of a kind among the organization's views, and among each
	// member's own, by its normalised form.
	Name           string
	Query, Columns string
	UpdatedAt      time.Time
}

const (
	viewColumns = `v.id, v.owner_id, coalesce(nullif(u.name, ''), u.email, ''), v.shared, d.view_id IS NOT NULL, v.name, v.query, v.columns, v.updated_at`
	viewFrom    = ` FROM saved_views v
		LEFT JOIN users u ON u.id = v.owner_id
		LEFT JOIN default_views d ON d.org_id = v.org_id AND d.user_id = ? AND d.view_id = v.id`
)

func scanView(s scanner) (SavedView, error) {
	var v SavedView
	var updated sql.NullInt64
	err := s.Scan(&v.ID, &v.Owner, &v.OwnerName, &v.Shared, &v.Default, &v.Name, &v.Query, &v.Columns, &updated)
	v.UpdatedAt = timeOf(updated)
	return v, err
}

// SavedViews lists the organization's views, then a member's own, each by name;
// at most 1000.
func (o Org) SavedViews(ctx context.Context, user UserID) ([]SavedView, error) {
	shared, err := list(ctx, o.kept(), "saved views", scanView, `SELECT `+viewColumns+viewFrom+`
		WHERE v.org_id = ? AND v.shared = 1 ORDER BY v.name_norm LIMIT 500`, user, o.id)
	if err != nil {
		return nil, err
	}
	own, err := list(ctx, o.kept(), "saved views", scanView, `SELECT `+viewColumns+viewFrom+`
		WHERE v.org_id = ? AND v.owner_id = ? AND v.shared = 0 ORDER BY v.name_norm LIMIT 500`, user, o.id, user)
	return append(shared, own...), err
}

// SavedView reads a view that a member may see: the organization's, or their
// own.
func (o Org) SavedView(ctx context.Context, user UserID, id ViewID) (SavedView, error) {
	return one(ctx, o.db.r, "saved view", scanView, `SELECT `+viewColumns+viewFrom+`
		WHERE v.id = ? AND v.org_id = ? AND (v.shared = 1 OR v.owner_id = ?)`, user, id, o.id, user)
}

// ErrFull means that there are as many as there may be.
var ErrFull = errors.New("no room for another")

// AddSavedView keeps a new view. If there are most of its kind, the
// organization's or its owner's, it is ErrFull; if the name is taken,
// ErrExists. The entry is written with it, unless it is nil.
func (o Org) AddSavedView(ctx context.Context, v SavedView, most int, entry *HistoryEntry) (ViewID, error) {
	var id int64
	err := o.write(ctx, func(tx *sql.Tx) error {
		if err := o.roomForView(ctx, tx, v, most); err != nil {
			return err
		}
		var err error
		id, err = one(ctx, tx, "saved view", scanInt, `
			INSERT INTO saved_views (org_id, owner_id, shared, name, name_norm, query, columns, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			o.id, v.Owner, v.Shared, v.Name, Normalize(v.Name), v.Query, v.Columns, ms(v.UpdatedAt), ms(v.UpdatedAt))
		if err != nil {
			return err
		}
		return o.note(ctx, tx, entry)
	})
	return ViewID(id), err
}

func (o Org) roomForView(ctx context.Context, q querier, v SavedView, most int) error {
	query, args := `SELECT count(*) FROM saved_views WHERE org_id = ? AND shared = 1`, []any{o.id}
	if !v.Shared {
		query, args = `SELECT count(*) FROM saved_views WHERE org_id = ? AND owner_id = ? AND shared = 0`, []any{o.id, v.Owner}
	}
	n, err := one(ctx, q, "saved views", scanInt, query, args...)
	if err == nil && n >= int64(most) {
		err = ErrFull
	}
	return err
}

// note writes a history entry if there is one.
func (o Org) note(ctx context.Context, q querier, e *HistoryEntry) error {
	if e == nil {
		return nil
	}
	return addHistory(ctx, q, o.id, *e)
}

// ChangeSavedView gives a view that a member may see, by its id, what v says
// but its owner. One that is not shared any more is nobody's default but its
// owner's. Errors are those of AddSavedView, and ErrNotFound.
func (o Org) ChangeSavedView(ctx context.Context, user UserID, v SavedView, most int, entry *HistoryEntry) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		was, err := one(ctx, tx, "saved view", scanView, `SELECT `+viewColumns+viewFrom+`
			WHERE v.id = ? AND v.org_id = ? AND (v.shared = 1 OR v.owner_id = ?)`, user, v.ID, o.id, user)
		if err != nil {
			return err
		}
		v.Owner = was.Owner
		if v.Shared != was.Shared {
			if err := o.roomForView(ctx, tx, v, most); err != nil {
				return err
			}
		}
		if err := must(exec(ctx, tx, "saved view", `
			UPDATE saved_views SET shared = ?, name = ?, name_norm = ?, query = ?, columns = ?, updated_at = ?
			WHERE id = ? AND org_id = ?`, v.Shared, v.Name, Normalize(v.Name), v.Query, v.Columns, ms(v.UpdatedAt), v.ID, o.id)); err != nil {
			return err
		}
		if was.Shared && !v.Shared {
			if _, err := exec(ctx, tx, "default view", `
				DELETE FROM default_views WHERE view_id = ? AND org_id = ? AND user_id <> ?`, v.ID, o.id, v.Owner); err != nil {
				return err
			}
		}
		return o.note(ctx, tx, entry)
	})
}

// DeleteSavedView deletes a view that a member may see. Those who began with it
// begin without one.
func (o Org) DeleteSavedView(ctx context.Context, user UserID, id ViewID, entry *HistoryEntry) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		err := must(exec(ctx, tx, "saved view", `
			DELETE FROM saved_views WHERE id = ? AND org_id = ? AND (shared = 1 OR owner_id = ?)`, id, o.id, user))
		if err != nil {
			return err
		}
		return o.note(ctx, tx, entry)
	})
}

// SetDefaultView makes a view that a member may see the one that they begin
// with; 0 is none.
func (o Org) SetDefaultView(ctx context.Context, user UserID, id ViewID) error {
	if id == 0 {
		_, err := exec(ctx, o.db.w, "default view", `DELETE FROM default_views WHERE org_id = ? AND user_id = ?`, o.id, user)
		return err
	}
	return must(exec(ctx, o.db.w, "default view", `
		INSERT INTO default_views (org_id, user_id, view_id)
		SELECT org_id, ?, id FROM saved_views WHERE id = ? AND org_id = ? AND (shared = 1 OR owner_id = ?)
		ON CONFLICT (org_id, user_id) DO UPDATE SET view_id = excluded.view_id`, user, id, o.id, user))
}
