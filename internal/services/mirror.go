package services

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/raygun"
	"sightline/internal/services/upstream"
)

// The kinds of asks that fill the mirror. A "sessions" ask has a searchParams
// with its skip as subject, a "session" ask the vendor's id.
const (
	askSessions = "sessions"
	askSession  = "session"
)

// mirror carries out the asks that read from Raygun and stores what came. It
// is the only writer of sessions.
type mirror struct {
	db          *db.DB
	connections *Connections
	now         func() time.Time
}

// searchParams is a session search in one canonical spelling: what is asked
// twice is recognised, and an answer is found again.
type searchParams struct {
	From       string   `json:"from"`
	To         string   `json:"to"`
	Identifier string   `json:"identifier,omitempty"`
	Countries  []string `json:"countries,omitempty"`
	UserType   string   `json:"userType,omitempty"`
	Skip       int      `json:"skip,omitempty"`
}

func (p searchParams) String() string {
	b, err := json.Marshal(p)
	if err != nil { // strings and a number always marshal
		panic(err)
	}
	return string(b)
}

// PageAnswer is the result of a "sessions" ask.
type PageAnswer struct {
	Received   int  `json:"received"`
	Unreadable int  `json:"unreadable,omitempty"`
	Total      *int `json:"total,omitempty"` // nil if Raygun did not say
}

// sessionsPage asks for one page of a search and stores it, all or nothing.
func (m *mirror) sessionsPage(ctx context.Context, ask Ask) (any, string, error) {
	var p searchParams
	if err := json.Unmarshal([]byte(ask.Subject), &p); err != nil {
		return nil, "", fmt.Errorf("read the question of ask %d: %w", ask.ID, err)
	}
	q := raygun.SessionQuery{UserIdentifier: p.Identifier, Countries: p.Countries, UserType: p.UserType, Skip: p.Skip}
	var err error
	if q.From, err = time.Parse(time.RFC3339, p.From); err != nil {
		return nil, "", fmt.Errorf("read the dates of ask %d: %w", ask.ID, err)
	}
	if q.To, err = time.Parse(time.RFC3339, p.To); err != nil {
		return nil, "", fmt.Errorf("read the dates of ask %d: %w", ask.ID, err)
	}
	api, conn, err := m.connections.raygun(ctx, ask.Org, ask.Connection)
	if err != nil {
		return nil, "", err
	}
	page, err := api.Sessions(ctx, q)
	if err != nil {
		return nil, "", vendorError(conn, err, m.now())
	}
	if err := m.storePage(ctx, ask, p, conn.Vendor, page); err != nil {
		return nil, "", err
	}
	answer := PageAnswer{Received: len(page.Sessions), Unreadable: page.Unreadable}
	said := fmt.Sprintf("%s sent %s.", conn.Vendor, plural(len(page.Sessions), "session"))
	if len(page.FilteredHere) > 0 {
		said = fmt.Sprintf("%s sent its %s, newest first. %s of them match and the others are kept too.", conn.Vendor, plural(page.Received, "session"), thousands(len(page.Sessions)))
	}
	if page.Total >= 0 {
		answer.Total = &page.Total
		said = fmt.Sprintf("Raygun sent %s of %s that match.", plural(len(page.Sessions), "session"), thousands(page.Total))
	}
	if page.Unreadable > 0 {
		said += fmt.Sprintf(" %s had no id and could not be kept.", plural(page.Unreadable, "more row"))
	}
	return answer, said, nil
}

func (m *mirror) storePage(ctx context.Context, ask Ask, p searchParams, vendor Vendor, page raygun.SessionPage) error {
	rows := sessionRows(page, vendor)
	got := max(page.Received, len(rows)+page.Unreadable)
	progress := db.SearchPage{
		Others: len(page.Others),
		Skip:   p.Skip, NextSkip: max(page.NextSkip, p.Skip+got),
		// An empty page is the end, whatever the total says: asking on would
		// spend call after call.
		Last: !page.More || got == 0,
	}
	if page.Total >= 0 {
		n := int64(page.Total)
		progress.Total = &n
	}
	p.Skip = 0
	progress.Params = p.String()
	// What was paid for is kept even while Sightline is being stopped.
	_, err := m.db.Org(ask.Org).PutSessions(context.WithoutCancel(ctx), ask.Connection, rows, m.received(page.ReceivedAt), &progress)
	return err
}

// sessionDetail asks for one session in full and stores it, through v3 once more
// with the names that were learned after it.
func (m *mirror) sessionDetail(ctx context.Context, ask Ask) (any, string, error) {
	note := ""
	api, conn, err := m.connections.raygun(ctx, ask.Org, ask.Connection)
	if err != nil {
		return nil, "", err
	}
	s, err := api.Session(ctx, ask.Subject)
	if upstream.KindOf(err) == upstream.NotFound {
		return nil, "", &Error{Kind: NotFound, Err: err,
			Msg: fmt.Sprintf("Raygun (connection “%s”) does not know this session any more. It keeps sessions for a limited time. What is shown is from the mirror.", conn.Name)}
	}
	if err != nil {
		return nil, "", vendorError(conn, err, m.now())
	}
	// The answer is about the session that was asked for, however it spells its id.
	s.ID = ask.Subject
	// What was paid for is kept before more is asked.
	if err := m.storeDetail(ctx, ask, conn.Vendor, s); err != nil {
		return nil, "", err
	}
	if v3, ok := api.(*raygun.V3); ok {
		l := learner{api: v3, org: m.db.Org(ask.Org), conn: ask.Connection, m: m}
		learnt, err := l.detail(ctx, &s)
		if err != nil {
			m.connections.log.WarnContext(ctx, "a session's names could not all be learned", "ask", int64(ask.ID), "err", err)
			note = " " + vendorError(conn, err, m.now()).Msg
		}
		if learnt {
			if err := m.storeDetail(ctx, ask, conn.Vendor, s); err != nil {
				return nil, "", err
			}
		}
	}
	if s.Truncated {
		note += fmt.Sprintf(" %s never sends more than 500 of either, so there may be more.", conn.Vendor)
	}
	return nil, fmt.Sprintf("%s sent the session with %s and %s.%s", conn.Vendor, plural(len(s.PageViews), "page view"), plural(len(s.Errors), "error"), note), nil
}

// storeDetail stores a session in full, in place of what is there of it.
func (m *mirror) storeDetail(ctx context.Context, ask Ask, vendor Vendor, s raygun.Session) error {
	views := make([]db.PageView, len(s.PageViews))
	for i, v := range s.PageViews {
		views[i] = db.PageView{URL: v.Page, LoadMS: v.LoadingMS, ViewMS: v.ViewingMS, ViewedAt: v.ViewedOn, PageID: v.PageID}
	}
	errs := make([]db.SessionError, len(s.Errors))
	for i, e := range s.Errors {
		errs[i] = db.SessionError{GroupID: e.GroupID, InstanceID: e.InstanceID, Title: e.Title, WebURL: e.WebLink, OccurredAt: e.At, Alias: alias(vendor, e.GroupID)}
	}
	full := db.FullSession{Session: sessionRow(s, vendor), Views: views, Errors: errs, Answer: s.Raw}
	_, err := m.db.Org(ask.Org).PutFullSessions(context.WithoutCancel(ctx), ask.Connection, []db.FullSession{full}, m.now())
	return err
}

// sessionRows are a page's sessions, those that match the question first.
func sessionRows(page raygun.SessionPage, vendor Vendor) []db.Session {
	rows := make([]db.Session, 0, len(page.Sessions)+len(page.Others))
	for _, s := range page.Sessions {
		rows = append(rows, sessionRow(s, vendor))
	}
	for _, s := range page.Others {
		rows = append(rows, sessionRow(s, vendor))
	}
	return rows
}

// alias is an id as the other version of Raygun's API writes it: v1 counts, v3
// writes the same number in base 36. Empty if it is no such number.
func alias(vendor Vendor, id string) string {
	if vendor == RaygunV3 {
		number, _ := raygun.BaseTen(id)
		return number
	}
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < 0 {
		return ""
	}
	return strconv.FormatInt(n, 36)
}

func (m *mirror) received(at time.Time) time.Time {
	if at.IsZero() {
		return m.now()
	}
	return at
}

// countryCode writes a code of two letters in capitals, as filters have it; what
// is no code stays as it is.
func countryCode(s string) string {
	if len(s) == 2 {
		return strings.ToUpper(s)
	}
	return s
}

func sessionRow(s raygun.Session, vendor Vendor) db.Session {
	row := db.Session{
		VendorID: s.ID, StartedAt: s.Start, UpdatedAt: s.Updated, EndedAt: s.End, Status: s.Status, LengthMS: s.LengthMS,
		UserID: s.User.ID, UserIdentifier: s.User.Identifier, UserAnonymous: s.User.Anonymous,
		UserName: s.User.Label(), UserEmail: s.User.Email, UserURL: s.User.WebLink,
		Browser: s.Browser.Name, BrowserVersion: s.Browser.Version, OS: s.OS.Name, OSVersion: s.OS.Version, Platform: s.Platform.Name,
		Country: countryCode(s.Country), IPAddress: s.IP, CountryName: s.CountryName, State: s.State, City: s.City,
		Rating: s.Rating, WebURL: s.WebLink,
		UserPartial: s.User.Partial, Alias: alias(vendor, s.ID), Deployment: s.Deployment,
	}
	if s.Viewport.Width > 0 && s.Viewport.Height > 0 {
		w, h := int64(s.Viewport.Width), int64(s.Viewport.Height)
		row.ViewportWidth, row.ViewportHeight = &w, &h
	}
	if s.PageViewCount >= 0 {
		n := int64(s.PageViewCount)
		row.PageViewCount = &n
	}
	return row
}

// plural writes a number with its noun: "1 session", "1,234 sessions".
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(n) + " " + noun
}

// thousands writes a whole number with commas.
func thousands(n int) string {
	digits := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}
