package db

import (
	"context"
	"database/sql"
	"time"
)

// QueryForm is a saved query that is asked through a form.
type QueryForm struct {
	ID    QueryFormID
	Saved SavedQueryID
	// Publisher last published it; PublisherName is what they are called today,
	// filled on reading.
	Publisher     UserID
	PublisherName string
	// Role is the least that may ask.
	Role        string
	Title, Help string
	// Fields is a JSON list of how the variables are asked for.
	Fields    string
	UpdatedAt time.Time
}

const queryFormColumns = `f.id, f.saved_id, f.publisher_id, coalesce((SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = f.publisher_id), ''),
	f.role, f.title, f.help, f.fields, f.updated_at`

func scanQueryForm(s scanner) (QueryForm, error) {
	var f QueryForm
	var updated sql.NullInt64
	err := s.Scan(&f.ID, &f.Saved, &f.Publisher, &f.PublisherName, &f.Role, &f.Title, &f.Help, &f.Fields, &updated)
	f.UpdatedAt = timeOf(updated)
	return f, err
}

// QueryForms lists the organization's forms by title, at most 500.
func (o Org) QueryForms(ctx context.Context) ([]QueryForm, error) {
	return list(ctx, o.db.r, "forms", scanQueryForm, `
		SELECT `+queryFormColumns+` FROM query_forms f WHERE f.org_id = ? ORDER BY f.title_norm, f.id LIMIT 500`, o.id)
}

// QueryForm finds a form.
func (o Org) QueryForm(ctx context.Context, id QueryFormID) (QueryForm, error) {
	return one(ctx, o.db.r, "form", scanQueryForm, `
		SELECT `+queryFormColumns+` FROM query_forms f WHERE f.id = ? AND f.org_id = ?`, id, o.id)
}

// QueryFormOf finds the form of a saved query.
func (o Org) QueryFormOf(ctx context.Context, saved SavedQueryID) (QueryForm, error) {
	return one(ctx, o.db.r, "form", scanQueryForm, `
		SELECT `+queryFormColumns+` FROM query_forms f WHERE f.saved_id = ? AND f.org_id = ?`, saved, o.id)
}

// PutQueryForm publishes the form of a saved query, in the place of the one it
// has. ErrNotFound: there is no such query here.
func (o Org) PutQueryForm(ctx context.Context, f QueryForm, e HistoryEntry) (QueryFormID, error) {
	var id int64
	err := o.write(ctx, func(tx *sql.Tx) error {
		var err error
		id, err = one(ctx, tx, "form", scanInt, `
			INSERT INTO query_forms (org_id, saved_id, publisher_id, role, title, title_norm, help, fields, updated_at)
			SELECT q.org_id, q.id, ?, ?, ?, ?, ?, ?, ? FROM saved_queries q WHERE q.id = ? AND q.org_id = ?
			ON CONFLICT (saved_id) DO UPDATE SET publisher_id = excluded.publisher_id, role = excluded.role, title = excluded.title,
				title_norm = excluded.title_norm, help = excluded.help, fields = excluded.fields, updated_at = excluded.updated_at
			RETURNING id`,
			f.Publisher, f.Role, f.Title, Normalize(f.Title), f.Help, f.Fields, ms(f.UpdatedAt), f.Saved, o.id)
		if err != nil {
			return err
		}
		return addHistory(ctx, tx, o.id, e)
	})
	return QueryFormID(id), err
}

// DeleteQueryForm takes the form of a saved query back; its runs stay.
func (o Org) DeleteQueryForm(ctx context.Context, saved SavedQueryID, e HistoryEntry) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "form", `DELETE FROM query_forms WHERE saved_id = ? AND org_id = ?`, saved, o.id)); err != nil {
			return err
		}
		return addHistory(ctx, tx, o.id, e)
	})
}
