package services

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sightline/internal/db"
)

// HistoryKind is what people filter the history by.
type HistoryKind string

// The kinds of history. Each is what stands before the dot in an entry's action,
// but HistoryCalls, and HistoryDeeds, which is all kinds but the calls.
const (
	HistoryDeeds       HistoryKind = "deed"
	HistoryTraits      HistoryKind = "trait"
	HistoryHighlights  HistoryKind = "highlight"
	HistoryConnections HistoryKind = "connection"
	HistorySignIns     HistoryKind = "sign_in"
	HistoryMembers     HistoryKind = "member"
	HistoryViews       HistoryKind = "view"
	HistoryGraphQL     HistoryKind = "graphql"
	HistoryExports     HistoryKind = "export"
	HistoryCalls       HistoryKind = "call"
)

// HistoryKinds returns the kinds with their names, in the order in which they
// are offered.
func HistoryKinds() []struct {
	Kind HistoryKind
	Name string
} {
	return []struct {
		Kind HistoryKind
		Name string
	}{
		{HistoryDeeds, "All but vendor calls"},
		{HistoryTraits, "Trait edits"},
		{HistoryHighlights, "Highlights"},
		{HistoryConnections, "Connections"},
		{HistoryCalls, "Vendor calls"},
		{HistorySignIns, "Sign-ins"},
		{HistoryMembers, "Members"},
		{HistoryViews, "Saved views"},
		{HistoryExports, "Exports"},
		{HistoryGraphQL, "GraphQL"},
	}
}

// HistoryQuery selects from the history. Zero fields select everything.
type HistoryQuery struct {
	Kind       HistoryKind
	Person     UserID
	Customer   CustomerID
	Connection ConnectionID
	From       time.Time // included
	Until      time.Time // not included
	// Cursor is the Next of the page before, empty to start.
	Cursor string
	// Limit is how many at most, by default 50, never more than 200.
	Limit int
}

// HistoryEvent is one thing that a member did, or one call that was made.
type HistoryEvent struct {
	At   time.Time
	Kind HistoryKind
	// Actor is who did it, by the name they had then; Person is 0 for a job and
	// the command line.
	Actor  string
	Person UserID
	// Action is "kind.verb", for a call "call." and the contract's operation.
	Action  string
	Summary string // one sentence
	Subject string
	// Customer is 0 and CustomerName empty if it is about nobody in particular.
	Customer     CustomerID
	CustomerName string
	// Connection and ConnectionName are empty likewise; the name is today's.
	Connection     ConnectionID
	ConnectionName string
	Changes        []HistoryChange
	Reason         string
	// Call is set for calls only.
	Call *CallEvent
}

// HistoryChange is one field before and after. Absent says that there was, or
// is, no such value.
type HistoryChange struct {
	Field                     string // empty for a change that has no fields
	Before, After             string
	BeforeAbsent, AfterAbsent bool
}

// CallEvent is what is known about a vendor call.
type CallEvent struct {
	Vendor     Vendor
	Operation  string
	State      string // sending, ok, failed or unknown
	Status     int    // HTTP status, 0 without an answer
	ErrorKind  string
	Says       string // the vendor's words; hostile text
	Counts     bool   // it took one of the day's calls
	Background bool
	Attempt    int
	Duration   time.Duration
	Bytes      int64
}

// HistoryPage is a part of the history, newest first.
type HistoryPage struct {
	Events []HistoryEvent
	// Next is the cursor of the page with what is older; empty if there is none.
	Next string
}

// History tells what members did and what was asked of the vendors. Both are
// append-only, and stand in one list here.
type History struct {
	db  *db.DB
	now func() time.Time
}

// NewHistory returns the service.
func NewHistory(d *db.DB, now func() time.Time) *History { return &History{db: d, now: now} }

// SignedIn notes a sign-in in every organization that the user belongs to.
func (h *History) SignedIn(ctx context.Context, u User) error {
	orgs, err := h.db.MembershipsUnscoped(ctx, u.ID)
	if err != nil {
		return err
	}
	name := orElse(u.Name, u.Email)
	for _, m := range orgs {
		err := h.db.Org(m.Org.ID).AddHistory(ctx, db.HistoryEntry{
			At: h.now(), Actor: u.ID, ActorName: name, Action: string(HistorySignIns) + ".password", Subject: u.Email, Summary: "Signed in",
		})
		if err != nil {
			return fmt.Errorf("note the sign-in of user %d in organization %d: %w", u.ID, m.Org.ID, err)
		}
	}
	return nil
}

// Page returns a page of the history. A cursor that none of our pages gave is
// Invalid.
func (h *History) Page(ctx context.Context, org OrgID, q HistoryQuery) (HistoryPage, error) {
	if q.Limit <= 0 {
		q.Limit = 50
	}
	return h.page(ctx, org, q, min(q.Limit, 200))
}

// source orders what has the same millisecond.
type source byte

const (
	fromCalls   source = 'c'
	fromHistory source = 'h'
)

// position is where an event stands in the list.
type position struct {
	at     int64 // ms
	source source
	id     int64
}

// newer orders events newest first: entries before calls of the same
// millisecond, younger ids before older ones.
func newer(a, b position) int {
	return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.source, a.source), cmp.Compare(b.id, a.id))
}

func (p position) cursor() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%c.%d.%d", p.source, p.at, p.id))
}

func parseCursor(s string) (position, error) {
	bad := invalid("This page of the history cannot be found. Start again from the newest.")
	b, err := base64.RawURLEncoding.DecodeString(s)
	parts := strings.Split(string(b), ".")
	if err != nil || len(parts) != 3 || parts[0] != string(fromCalls) && parts[0] != string(fromHistory) {
		return position{}, bad
	}
	p := position{source: source(parts[0][0])}
	if p.at, err = strconv.ParseInt(parts[1], 10, 64); err != nil {
		return position{}, bad
	}
	if p.id, err = strconv.ParseInt(parts[2], 10, 64); err != nil {
		return position{}, bad
	}
	return p, nil
}

// filter is the query of one of the two tables, from the cursor on.
func (q HistoryQuery) filter(of source, cur position, limit int) db.HistoryFilter {
	f := db.HistoryFilter{
		Actor: q.Person, Customer: q.Customer, Connection: q.Connection, From: q.From, Until: q.Until, Limit: limit,
	}
	if of == fromHistory && q.Kind != HistoryDeeds {
		f.Kind = string(q.Kind)
	}
	if cur.source == 0 {
		return f
	}
	f.Before = time.UnixMilli(cur.at)
	switch {
	case of == cur.source:
		f.BeforeID = cur.id
	case of == fromCalls: // all calls of that millisecond are still to come
		f.BeforeID = math.MaxInt64
	default: // all entries of that millisecond have been shown
		f.BeforeID = 0
	}
	return f
}

type placed struct {
	position
	event HistoryEvent
}

func (h *History) page(ctx context.Context, org OrgID, q HistoryQuery, limit int) (HistoryPage, error) {
	var cur position
	if q.Cursor != "" {
		var err error
		if cur, err = parseCursor(q.Cursor); err != nil {
			return HistoryPage{}, err
		}
	}
	o := h.db.Org(org)
	var all []placed
	if q.Kind != HistoryCalls {
		rows, err := o.History(ctx, q.filter(fromHistory, cur, limit+1))
		if err != nil {
			return HistoryPage{}, err
		}
		for _, r := range rows {
			all = append(all, placed{position{r.At.UnixMilli(), fromHistory, int64(r.ID)}, entryEvent(r)})
		}
	}
	if q.Kind == HistoryCalls || q.Kind == "" {
		rows, err := o.Calls(ctx, q.filter(fromCalls, cur, limit+1))
		if err != nil {
			return HistoryPage{}, err
		}
		for _, r := range rows {
			all = append(all, placed{position{r.StartedAt.UnixMilli(), fromCalls, int64(r.ID)}, callEvent(r)})
		}
	}
	sortBy(all, func(a, b placed) int { return newer(a.position, b.position) })
	var page HistoryPage
	if len(all) > limit {
		all = all[:limit]
		page.Next = all[limit-1].cursor()
	}
	for _, p := range all {
		page.Events = append(page.Events, p.event)
	}
	return page, nil
}

func entryEvent(r db.HistoryEntry) HistoryEvent {
	kind, _, _ := strings.Cut(r.Action, ".")
	return HistoryEvent{
		At: r.At, Kind: HistoryKind(kind), Actor: r.ActorName, Person: r.Actor, Action: r.Action, Summary: r.Summary, Subject: r.Subject,
		Customer: r.Customer, CustomerName: orElse(r.CustomerName, r.CustomerEmail),
		Connection: r.Connection, ConnectionName: r.ConnectionName,
		Changes: historyChanges(r.Before, r.After), Reason: r.Reason,
	}
}

func callEvent(r db.Call) HistoryEvent {
	actor := orElse(r.ActorName, r.ActorEmail)
	if r.Actor == 0 {
		actor = "Sightline"
	}
	return HistoryEvent{
		At: r.StartedAt, Kind: HistoryCalls, Actor: actor, Person: r.Actor,
		Action:  string(HistoryCalls) + "." + r.Operation,
		Summary: callSummary(Vendor(r.Vendor), r.Operation, r.Attempt),
		// What was asked about stands in the asks and edits, not in the ledger.
		Customer: r.Customer, CustomerName: orElse(r.CustomerName, r.CustomerEmail),
		Connection: r.Connection, ConnectionName: r.ConnectionName,
		Call: &CallEvent{
			Vendor: Vendor(r.Vendor), Operation: r.Operation, State: string(r.State), Status: r.Status, ErrorKind: r.ErrorKind, Says: r.Says,
			Counts: r.Counts, Background: r.Background, Attempt: r.Attempt, Duration: r.Duration, Bytes: r.Bytes,
		},
	}
}

// callSummary says what was asked. An operation without words of its own is
// named as the contract names it.
func callSummary(v Vendor, operation string, attempt int) string {
	words := map[string]string{
		"authenticate":        "Signed in to Raygun",
		"sessions":            "Asked Raygun for a list of sessions",
		"session":             "Asked Raygun for one session",
		"updateUser":          "Sent a user's traits to LogRocket",
		"listDataExports":     "Asked LogRocket for its exports",
		"fetchExport":         "Downloaded an export from LogRocket",
		"createHighlights":    "Requested highlights from LogRocket",
		"getHighlights":       "Asked LogRocket how far the highlights are",
		"executeGraphQLQuery": "Asked LogRocket's GraphQL",
		"listAuditLogs":       "Asked LogRocket for its audit log",

		"list-applications":             "Asked Raygun v3 which applications the token sees",
		"get-application-by-identifier": "Asked Raygun v3 about the application",
		"list-sessions":                 "Asked Raygun v3 for a list of sessions",
		"get-session-by-identifier":     "Asked Raygun v3 for one session",
		"list-customers":                "Asked Raygun v3 for a list of users",
		"get-customer-by-identifier":    "Asked Raygun v3 for one user",
		"list-pages":                    "Asked Raygun v3 for the names of pages",
		"get-page":                      "Asked Raygun v3 for the name of a page",
		"list-error-groups":             "Asked Raygun v3 for the names of errors",
		"get-error-group":               "Asked Raygun v3 for the name of an error",
		"metrics-pages-time-series":     "Asked Raygun v3 for page metrics over time",
		"metrics-pages-histogram":       "Asked Raygun v3 for a day's Core Web Vitals",
	}[operation]
	if words == "" {
		words = fmt.Sprintf("Asked %s: %s", v, operation)
	}
	if attempt > 1 {
		words += fmt.Sprintf(" (attempt %d)", attempt)
	}
	return words
}

// historyChanges sets the fields of before and after side by side. What is not
// an object of fields is one change without a field.
func historyChanges(before, after string) []HistoryChange {
	if before == "" && after == "" {
		return nil
	}
	b, okB := parseFields(before)
	a, okA := parseFields(after)
	if !okB || !okA {
		return []HistoryChange{{Before: before, After: after, BeforeAbsent: before == "", AfterAbsent: after == ""}}
	}
	names := slices.Collect(maps.Keys(b))
	for name := range a {
		if _, ok := b[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := make([]HistoryChange, 0, len(names))
	for _, name := range names {
		c := HistoryChange{Field: name}
		c.Before, c.BeforeAbsent = fieldText(b, name)
		c.After, c.AfterAbsent = fieldText(a, name)
		out = append(out, c)
	}
	return out
}

func parseFields(s string) (map[string]json.RawMessage, bool) {
	if s == "" {
		return nil, true
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s), &m); err != nil || m == nil {
		return nil, false
	}
	return m, true
}

// fieldText is a field's value as people read it: a text without quotes,
// anything else as JSON.
func fieldText(m map[string]json.RawMessage, name string) (text string, absent bool) {
	raw, ok := m[name]
	if !ok || string(raw) == "null" {
		return "", true
	}
	if err := json.Unmarshal(raw, &text); err == nil {
		return text, false
	}
	return string(raw), false
}
