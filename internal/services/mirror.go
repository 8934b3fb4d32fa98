package services

import (
	"context"
	"encoding/json"
	"fmt"
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
		return nil, "", vendorError(conn, err)
	}
	if err := m.storePage(ctx, ask, p, page); err != nil {
		return nil, "", err
	}
	answer := PageAnswer{Received: len(page.Sessions), Unreadable: page.Unreadable}
	said := fmt.Sprintf("Raygun sent %s.", plural(len(page.Sessions), "session"))
	if page.Total >= 0 {
		answer.Total = &page.Total
		said = fmt.Sprintf("Raygun sent %s of %s that match.", plural(len(page.Sessions), "session"), thousands(page.Total))
	}
	if page.Unreadable > 0 {
		said += fmt.Sprintf(" %s had no id and could not be kept.", plural(page.Unreadable, "more row"))
	}
	return answer, said, nil
}

func (m *mirror) storePage(ctx context.Context, ask Ask, p searchParams, page raygun.SessionPage) error {
	rows := make([]db.Session, len(page.Sessions))
	for i, s := range page.Sessions {
		rows[i] = sessionRow(s)
	}
	got := len(page.Sessions) + page.Unreadable
	progress := db.SearchPage{
		Skip: p.Skip, NextSkip: max(page.NextSkip, p.Skip+got),
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

// sessionDetail asks for one session in full and stores it.
func (m *mirror) sessionDetail(ctx context.Context, ask Ask) (any, string, error) {
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
		return nil, "", vendorError(conn, err)
	}
	// The answer is about the session that was asked for, however it spells its id.
	s.ID = ask.Subject
	views := make([]db.PageView, len(s.PageViews))
	for i, v := range s.PageViews {
		views[i] = db.PageView{URL: v.Page, LoadMS: v.LoadingMS, ViewMS: v.ViewingMS, ViewedAt: v.ViewedOn}
	}
	errs := make([]db.SessionError, len(s.Errors))
	for i, e := range s.Errors {
		errs[i] = db.SessionError{GroupID: e.GroupID, InstanceID: e.InstanceID, Title: e.Title, WebURL: e.WebLink, OccurredAt: e.At}
	}
	full := db.FullSession{Session: sessionRow(s), Views: views, Errors: errs, Answer: s.Raw}
	_, err = m.db.Org(ask.Org).PutFullSessions(context.WithoutCancel(ctx), ask.Connection, []db.FullSession{full}, m.received(time.Time{}))
	if err != nil {
		return nil, "", err
	}
	return nil, fmt.Sprintf("Raygun sent the session with %s and %s.", plural(len(views), "page view"), plural(len(errs), "error")), nil
}

func (m *mirror) received(at time.Time) time.Time {
	if at.IsZero() {
		return m.now()
	}
	return at
}

func sessionRow(s raygun.Session) db.Session {
	name := s.User.FullName
	if name == "" {
		name = s.User.FirstName
	}
	row := db.Session{
		VendorID: s.ID, StartedAt: s.Start, UpdatedAt: s.Updated, EndedAt: s.End, Status: s.Status, LengthMS: s.LengthMS,
		UserID: s.User.ID, UserIdentifier: s.User.Identifier, UserAnonymous: s.User.Anonymous,
		UserName: name, UserEmail: s.User.Email, UserURL: s.User.WebLink,
		Browser: s.Browser.Name, BrowserVersion: s.Browser.Version, OS: s.OS.Name, OSVersion: s.OS.Version, Platform: s.Platform.Name,
		Country: s.Country, IPAddress: s.IP, CountryName: s.CountryName, State: s.State, City: s.City,
		Rating: s.Rating, WebURL: s.WebLink,
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
