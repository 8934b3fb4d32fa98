package services

import (
	"context"
	"io"
	"slices"
)

// SessionExport is what a file of sessions holds: all that the page shows for a
// checked query, newest first, in the same columns.
type SessionExport struct {
	Query   SessionQuery
	Columns []SessionColumn
}

// headings are the names of a file's fields: Sightline's id of the session and
// the columns. A length is in milliseconds, and its name says so.
func (e SessionExport) headings() []string {
	out := []string{"id"}
	for _, c := range e.Columns {
		key := c.Key
		if key == "length" {
			key = "length_ms"
		}
		out = append(out, key)
	}
	return out
}

// rows gives fn the fields of every session, in the order of the headings. The
// slice is used again for the next one.
func (s *Sessions) rows(ctx context.Context, org OrgID, e SessionExport, fn func(fields []any) error) error {
	conns, err := s.connections.All(ctx, org)
	if err != nil {
		return err
	}
	names, raygun := map[ConnectionID]string{}, 0
	for _, c := range conns {
		names[c.ID] = c.Name
		if c.Vendor.IsRaygun() {
			raygun++
		}
	}
	fields := make([]any, 1+len(e.Columns))
	put := func(row Session, connection string) error {
		fields[0] = int64(row.ID)
		for i, c := range e.Columns {
			fields[i+1] = c.value(row, connection)
		}
		return fn(fields)
	}
	named := slices.ContainsFunc(e.Columns, func(c SessionColumn) bool { return c.Key == connectionColumn })
	if !named || raygun < 2 {
		return s.Each(ctx, org, e.Query, func(row Session) error { return put(row, names[row.Connection]) })
	}
	// Who else told of a session is asked for many at once.
	rows := make([]Session, 0, csvPage)
	flush := func() error {
		others, err := s.SeenBy(ctx, org, rows)
		if err != nil {
			return err
		}
		for _, row := range rows {
			connection := names[row.Connection]
			for _, id := range others[row.ID] {
				connection += ", " + names[id]
			}
			if err := put(row, connection); err != nil {
				return err
			}
		}
		rows = rows[:0]
		return nil
	}
	if err := s.Each(ctx, org, e.Query, func(row Session) error {
		if rows = append(rows, row); len(rows) < csvPage {
			return nil
		}
		return flush()
	}); err != nil {
		return err
	}
	return flush()
}

// CSV writes the sessions as RFC 4180 behind a byte order mark, with a line of
// headings. Times are in UTC, as csvTime has them; what is not known is empty. Cells that a
// spreadsheet would take for a formula begin with an apostrophe. It holds a few
// rows at a time, however many there are, and stops when ctx ends.
func (s *Sessions) CSV(ctx context.Context, org OrgID, e SessionExport, w io.Writer) error {
	cells := e.headings()
	for i, c := range e.Columns {
		if c.moment {
			cells[i+1] += csvUTC
		}
	}
	out, err := newCSVFile(w, cells)
	if err != nil {
		return err
	}
	if err := s.rows(ctx, org, e, func(fields []any) error {
		for i, f := range fields {
			cells[i] = csvCell(f)
		}
		return out.row(cells)
	}); err != nil {
		return err
	}
	return out.flush()
}

// JSON writes the sessions as one array of objects, one a line, as CSV does;
// times are RFC 3339, and what is not known is null.
func (s *Sessions) JSON(ctx context.Context, org OrgID, e SessionExport, w io.Writer) error {
	out := newJSONFile(w, e.headings())
	if err := s.rows(ctx, org, e, out.row); err != nil {
		return err
	}
	return out.end()
}
