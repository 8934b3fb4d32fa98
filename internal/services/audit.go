package services

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/logrocket"
)

// AuditEntry is one thing that somebody did in LogRocket. Its texts are
// LogRocket's.
type AuditEntry struct {
	db.AuditEntry
	// URL is the page in LogRocket of the recording session that it is about;
	// empty without one, or if the connection was removed.
	URL string
	// Customers are those whom the recording is known to be of.
	Customers []AuditCustomer
}

// AuditCustomer is a customer whose recording somebody did something with.
type AuditCustomer struct {
	ID   CustomerID
	Name string // a name, an email or "customer 7"
}

// AuditQuery selects entries. Zero fields select everything.
type AuditQuery struct {
	// Who is an email or an id as LogRocket writes it, in any case; Action is to
	// the letter.
	Who, Action string
	Connection  ConnectionID
	// Recording and Session are as ReadRecording gives them.
	Recording, Session string
	// Customer selects what is about the recordings that are known to be theirs.
	Customer    CustomerID
	From, Until time.Time // included, not included
	After       Moment
	// Limit is how many at most, by default ShortPage, never more than 500.
	Limit int
}

// AuditPage is a part of the audit log, newest first.
type AuditPage struct {
	Entries []AuditEntry
	// More says that there are older ones, from Next on.
	More bool
	Next Moment
}

// ReadRecording reads what a person types for a recording: LogRocket's address
// of it, its id, or both ids with a slash. Session is empty for the whole of it.
func ReadRecording(text string) (recording, session string, ok bool) {
	recording, session = logrocket.NamedRecording(text)
	return recording, session, recording != ""
}

// List returns a page of the audit log, as far as it was read.
func (a *Audits) List(ctx context.Context, org OrgID, q AuditQuery) (AuditPage, error) {
	limit := min(cmp.Or(max(q.Limit, 0), ShortPage), csvPage)
	rows, err := a.db.Org(org).AuditEntries(ctx, db.AuditFilter{
		Who: db.Normalize(q.Who), Action: q.Action, Connection: q.Connection, Recording: q.Recording, Session: q.Session, Customer: q.Customer,
		From: q.From, Until: q.Until, After: q.After, Limit: limit + 1,
	})
	if err != nil {
		return AuditPage{}, err
	}
	var page AuditPage
	if len(rows) > limit {
		rows, page.More = rows[:limit], true
		page.Next = Moment{At: rows[limit-1].At, ID: int64(rows[limit-1].ID)}
	}
	page.Entries, err = a.entries(ctx, org, rows)
	return page, err
}

// entries joins rows to the customers whose recordings they are about. That is
// done when they are read: whose a recording is may become known later.
func (a *Audits) entries(ctx context.Context, org OrgID, rows []db.AuditEntry) ([]AuditEntry, error) {
	out := make([]AuditEntry, len(rows))
	var pairs []db.RecordingSession
	place := map[db.RecordingSession]int{}
	links := map[ConnectionID]*logrocket.Client{}
	for i, r := range rows {
		out[i].AuditEntry = r
		if r.RecordingID == "" {
			continue
		}
		pair := db.RecordingSession{RecordingID: r.RecordingID, SessionID: r.SessionID}
		if _, ok := place[pair]; !ok {
			place[pair] = len(pairs)
			pairs = append(pairs, pair)
		}
		client, ok := links[r.Connection]
		if !ok {
			// Without a client (the connection was removed) there are no links.
			client, _, _ = a.connections.logrocket(ctx, org, r.Connection)
			links[r.Connection] = client
		}
		if client != nil {
			out[i].URL = client.SessionURL(r.RecordingID, r.SessionID, time.Time{})
		}
	}
	if len(pairs) == 0 {
		return out, nil
	}
	known, err := a.db.Org(org).CustomersOfRecordings(ctx, pairs)
	if err != nil {
		return nil, err
	}
	of := make([][]AuditCustomer, len(pairs))
	for _, k := range known {
		if k.Of >= 0 && k.Of < len(of) {
			of[k.Of] = append(of[k.Of], AuditCustomer{ID: k.Customer, Name: cmp.Or(k.Name, k.Email, fmt.Sprintf("customer %d", k.Customer))})
		}
	}
	for i, r := range rows {
		if r.RecordingID != "" {
			out[i].Customers = of[place[db.RecordingSession{RecordingID: r.RecordingID, SessionID: r.SessionID}]]
		}
	}
	return out, nil
}

// Watched is what somebody did with a recording session: how often, and when
// last.
type Watched struct {
	Who, Action string
	LastAt      time.Time
	Times       int64
}

// WatchersOf sums up who did what with each part of a highlight's result, in
// the order of the parts.
func (a *Audits) WatchersOf(ctx context.Context, org OrgID, parts []HighlightSession) ([][]Watched, error) {
	out := make([][]Watched, len(parts))
	pairs := make([]db.RecordingSession, 0, len(parts))
	for _, p := range parts[:min(len(parts), checkedParts)] {
		pairs = append(pairs, db.RecordingSession{RecordingID: cmp.Or(p.RecordingID, "-"), SessionID: p.SessionID})
	}
	if len(pairs) == 0 {
		return out, nil
	}
	rows, err := a.db.Org(org).Watchers(ctx, pairs)
	for _, r := range rows {
		if r.Of >= 0 && r.Of < len(out) {
			out[r.Of] = append(out[r.Of], Watched{Who: r.Who, Action: r.Action, LastAt: r.LastAt, Times: r.Times})
		}
	}
	return out, err
}

// auditNames is how many names a filter offers.
const auditNames = 200

// Who lists those who have entries, in lower case and in order, at most 200.
func (a *Audits) Who(ctx context.Context, org OrgID) ([]string, error) {
	return a.db.Org(org).AuditWho(ctx, auditNames)
}

// Actions lists the actions that entries have, in order, at most 200.
func (a *Audits) Actions(ctx context.Context, org OrgID) ([]string, error) {
	return a.db.Org(org).AuditActions(ctx, auditNames)
}

// auditHeadings are the fields of a file of entries.
func auditHeadings() []string {
	return []string{"time", "time_is", "who", "action", "description", "recording_id", "session_id", "recording_url", "customer_ids", "customers", "connection"}
}

// each gives fn the fields of every entry that the query selects, newest first,
// in the order of auditHeadings.
func (a *Audits) each(ctx context.Context, org OrgID, q AuditQuery, fn func(fields []any) error) error {
	conns, err := a.connections.All(ctx, org)
	if err != nil {
		return err
	}
	names := map[ConnectionID]string{}
	for _, c := range conns {
		names[c.ID] = c.Name
	}
	q.Limit = csvPage
	for {
		page, err := a.List(ctx, org, q)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			var ids, who []string
			for _, c := range e.Customers {
				ids, who = append(ids, strconv.FormatInt(int64(c.ID), 10)), append(who, c.Name)
			}
			told := "told"
			if !e.Timed {
				told = "received"
			}
			if err := fn([]any{
				e.At, told, e.Who, e.Action, e.Description, e.RecordingID, e.SessionID, e.URL,
				strings.Join(ids, " "), strings.Join(who, "; "), names[e.Connection],
			}); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		q.After = page.Next
	}
}

// CSV writes all that the query selects, newest first, as RFC 4180 behind a byte
// order mark, with a line of headings; After and Limit play no part. Times are
// in UTC, as csvTime has them; time_is says "received" where LogRocket told none. Cells that
// a spreadsheet would take for a formula begin with an apostrophe.
func (a *Audits) CSV(ctx context.Context, org OrgID, q AuditQuery, w io.Writer) error {
	cells := auditHeadings()
	cells[0] += csvUTC
	out, err := newCSVFile(w, cells)
	if err != nil {
		return err
	}
	q.After = Moment{}
	if err := a.each(ctx, org, q, func(fields []any) error {
		for i, f := range fields {
			cells[i] = csvCell(f)
		}
		return out.row(cells)
	}); err != nil {
		return err
	}
	return out.flush()
}

// JSON writes the same as one array of objects, one a line; times are RFC 3339,
// and what is empty is null.
func (a *Audits) JSON(ctx context.Context, org OrgID, q AuditQuery, w io.Writer) error {
	out := newJSONFile(w, auditHeadings())
	q.After = Moment{}
	if err := a.each(ctx, org, q, out.row); err != nil {
		return err
	}
	return out.end()
}
