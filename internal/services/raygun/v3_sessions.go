package raygun

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services/upstream"
)

// maxIncluded is how many page views and errors v3 sends with a session.
const maxIncluded = 500

// Sessions reads one page of the application's sessions, newest start first: v3
// has no filter for time, user, country or user type, so the walk goes backwards
// from now, and More is false once it is past q.From. Sessions that begin during
// the walk push the others along, so some come twice: drop doubles by id.
func (v *V3) Sessions(ctx context.Context, q SessionQuery) (SessionPage, error) {
	const operation = "list-sessions"
	path, err := v.under(operation, "sessions")
	if err != nil {
		return SessionPage{}, err
	}
	query, err := v.sessionsQuery(operation, &q)
	if err != nil {
		return SessionPage{}, err
	}
	var page SessionPage
	ask := question{operation: operation, scope: scopeSessions, method: http.MethodGet, path: path, query: query}
	answer, err := v.ask(ctx, ask, func(body []byte) (err error) {
		page, err = readPageV3(body, v.up.Base(), q)
		return err
	})
	if err != nil {
		return SessionPage{}, err
	}
	page.ReceivedAt, page.Rate, page.Listed = answer.ReceivedAt, rateLimit(answer.Header), listed(answer.Header)
	page.More = more(page.Received, q.Limit, page.NextSkip, page.Listed)
	if page.NewestFirst && page.Oldest.Before(q.From) {
		page.More = false
	}
	v.fillUsers(ctx, page.Sessions)
	page.choose(q)
	return page, nil
}

// sessionsQuery checks q, fills in its limit, and writes it as the document has it.
func (v *V3) sessionsQuery(operation string, q *SessionQuery) (url.Values, error) {
	switch {
	case q.From.IsZero() || q.To.IsZero():
		return nil, v.up.Refuse(operation, "Sightline needs the first and the last moment of the range")
	case q.To.Before(q.From):
		return nil, v.up.Refuse(operation, "the range ends before it begins")
	}
	query, err := v.listQuery(operation, q.Skip, &q.Limit)
	if err != nil {
		return nil, err
	}
	// "This parameter cannot be used with `orderby`", says the document of filter.
	if uri := strings.TrimSpace(q.RequestURI); uri != "" {
		if strings.ContainsAny(uri, "\r\n") {
			return nil, v.up.Refuse(operation, "an address has no line breaks")
		}
		query.Set("filter", "xhr.uri eq "+uri)
	} else {
		query.Set("orderby", "startedAt desc")
	}
	return query, nil
}

// listQuery writes the part of a query that all lists have. limit is filled in.
func (v *V3) listQuery(operation string, skip int, limit *int) (url.Values, error) {
	if skip < 0 || skip > math.MaxInt32 {
		return nil, v.up.Refuse(operation, "a list begins between its first and its 2,147,483,647th entry")
	}
	if *limit <= 0 || *limit > MaxLimit {
		*limit = MaxLimit
	}
	return url.Values{"count": {strconv.Itoa(*limit)}, "offset": {strconv.Itoa(skip)}}, nil
}

// more says whether a list goes on after a page. A full page is asked to be
// followed even if the total denies it: the header is not documented, and an
// empty page costs one call.
func more(received, limit, next, total int) bool {
	return received > 0 && next <= math.MaxInt32 && (received >= limit || next < total)
}

// Session reads one session with its page views and errors. The pages and error
// groups are named by identifier unless the caller knows them, the user too. An
// unknown application is of kind NotFound as well.
func (v *V3) Session(ctx context.Context, id string) (Session, error) {
	const operation = "get-session-by-identifier"
	id = strings.TrimSpace(id)
	path, err := v.under(operation, "sessions", id)
	if err != nil {
		return Session{}, err
	}
	var session Session
	_, err = v.ask(ctx, question{
		operation: operation, scope: scopeSessions, method: http.MethodGet, path: path,
		query: url.Values{"include": {"pageViews,errors"}},
	}, func(body []byte) (err error) {
		session, err = readDetailV3(body, v.up.Base(), id)
		return err
	})
	if err != nil {
		return Session{}, err
	}
	one := []Session{session}
	v.fillUsers(ctx, one)
	v.fillNames(ctx, &one[0])
	return one[0], nil
}

// fillUsers puts in the users that the caller knows.
func (v *V3) fillUsers(ctx context.Context, sessions []Session) {
	if v.known.Users == nil {
		return
	}
	ids := distinct(len(sessions), func(i int) string { return sessions[i].User.ID })
	if len(ids) == 0 {
		return
	}
	users := v.known.Users(ctx, ids)
	for i := range sessions {
		if user, ok := users[sessions[i].User.ID]; ok {
			user.ID, user.Partial = sessions[i].User.ID, false
			sessions[i].User = user
		}
	}
}

// fillNames puts in the pages and messages that the caller knows.
func (v *V3) fillNames(ctx context.Context, s *Session) {
	if ids := distinct(len(s.PageViews), func(i int) string { return s.PageViews[i].PageID }); v.known.Pages != nil && len(ids) > 0 {
		pages := v.known.Pages(ctx, ids)
		for i := range s.PageViews {
			s.PageViews[i].Page = pages[s.PageViews[i].PageID]
		}
	}
	if ids := distinct(len(s.Errors), func(i int) string { return s.Errors[i].GroupID }); v.known.ErrorGroups != nil && len(ids) > 0 {
		titles := v.known.ErrorGroups(ctx, ids)
		for i := range s.Errors {
			s.Errors[i].Title = titles[s.Errors[i].GroupID]
		}
	}
}

// distinct returns each of n texts once, without the empty one.
func distinct(n int, text func(i int) string) []string {
	seen := make(map[string]bool, n)
	var out []string
	for i := range n {
		if one := text(i); one != "" && !seen[one] {
			seen[one] = true
			out = append(out, one)
		}
	}
	return out
}

// verdict is whether a session matches a part of a query. The greatest decides.
type verdict int

const (
	matches verdict = iota
	undecided
	differs
)

// choose applies the parts of q that v3 cannot filter by: it moves what does not
// match from Sessions to Others.
func (p *SessionPage) choose(q SessionQuery) {
	p.FilteredHere = []Filter{FilterTime}
	if q.UserIdentifier != "" {
		p.FilteredHere = append(p.FilteredHere, FilterUserIdentifier)
	}
	countries := strings.Split(countryCodes(q.Countries), ",")
	if countries[0] != "" {
		p.FilteredHere = append(p.FilteredHere, FilterCountry)
	}
	if q.UserType != "" {
		p.NotFiltered = append(p.NotFiltered, FilterUserType)
	}
	all := p.Sessions
	p.Sessions = make([]Session, 0, len(all))
	for _, s := range all {
		switch max(inTime(s, q.From, q.To), ofUser(s, q.UserIdentifier), inCountry(s, countries)) {
		case differs:
			p.Others = append(p.Others, s)
			continue
		case undecided:
			p.Undecided++
		}
		p.Sessions = append(p.Sessions, s)
	}
}

// inTime looks at the start, with both ends of the range included.
func inTime(s Session, from, to time.Time) verdict {
	switch {
	case s.Start.IsZero():
		return undecided
	case s.Start.Before(from), s.Start.After(to):
		return differs
	}
	return matches
}

func ofUser(s Session, identifier string) verdict {
	switch {
	case identifier == "":
		return matches
	case s.User.Partial:
		return undecided
	case strings.EqualFold(s.User.Identifier, identifier):
		return matches
	}
	return differs
}

// inCountry looks for the code among those asked for; [""] asks for all.
func inCountry(s Session, countries []string) verdict {
	if countries[0] == "" {
		return matches
	}
	for _, country := range countries {
		if strings.EqualFold(s.Country, country) {
			return matches
		}
	}
	return differs
}

// readPageV3 reads the answer of list-sessions, as far as its body tells.
func readPageV3(body []byte, base string, q SessionQuery) (SessionPage, error) {
	rows, err := rowsOf(body, "sessions")
	if err != nil {
		return SessionPage{}, err
	}
	page := SessionPage{Total: -1, Listed: -1, Received: len(rows), NextSkip: q.Skip + len(rows), NewestFirst: len(rows) > 0 && q.RequestURI == ""}
	for _, row := range rows {
		object, ok := upstream.ParseObject(row)
		session := sessionFromV3(object, base)
		if !ok || session.ID == "" {
			page.Unreadable++
			continue
		}
		session.Raw = row
		page.Sessions = append(page.Sessions, session)
		if !page.Oldest.IsZero() && session.Start.After(page.Oldest) {
			page.NewestFirst = false
		}
		if session.Start.After(page.Newest) {
			page.Newest = session.Start
		}
		if !session.Start.IsZero() && (page.Oldest.IsZero() || session.Start.Before(page.Oldest)) {
			page.Oldest = session.Start
		}
	}
	if page.Oldest.IsZero() {
		page.NewestFirst = false
	}
	return page, nil
}

// readDetailV3 reads the answer of get-session-by-identifier.
func readDetailV3(body []byte, base, id string) (Session, error) {
	object, ok := upstream.ParseObject(body)
	if inner := object.Object("session"); inner != nil { // as v1 wraps it
		object, body = inner, object["session"]
	}
	if !ok || (!object.Has("identifier") && !object.Has("startedat")) {
		return Session{}, errors.New("the answer is not a session")
	}
	s := sessionFromV3(object, base)
	switch {
	case s.ID == "": // a session without its identifier is the one asked for
		s.ID = id
	case !strings.EqualFold(s.ID, id) && !sameNumber(s.ID, id):
		return Session{}, errors.New("the answer is another session than the one asked for")
	}
	s.Raw = body
	// Both come only if asked for: without either, empty does not mean none.
	s.Detailed = object.Has("pageviews") || object.Has("errors")
	for _, raw := range object.List("pageviews") {
		if one, ok := upstream.ParseObject(raw); ok {
			s.PageViews = append(s.PageViews, PageView{PageID: upstream.ID(one["pageidentifier"]), ViewedOn: one.Time("viewedat")})
		}
	}
	for _, raw := range object.List("errors") {
		if one, ok := upstream.ParseObject(raw); ok {
			s.Errors = append(s.Errors, SessionError{
				GroupID: upstream.ID(one["errorgroupidentifier"]), At: one.Time("occurredat"), WebLink: AppLink(base, one.Text("applicationurl")),
			})
		}
	}
	s.Truncated = len(s.PageViews) >= maxIncluded || len(s.Errors) >= maxIncluded
	if object.Has("pageviews") && len(s.PageViews) < maxIncluded {
		s.PageViewCount = len(s.PageViews)
	}
	return s, nil
}

// sameNumber says whether one is the other in base 36 or in base 10: at least
// error instances are found by either.
func sameNumber(a, b string) bool {
	inTenA, okA := BaseTen(a)
	inTenB, okB := BaseTen(b)
	return okA && inTenA == b || okB && inTenB == a
}

func sessionFromV3(o upstream.Object, base string) Session {
	s := Session{
		ID:            upstream.ID(o["identifier"]),
		Start:         o.Time("startedat"),
		Updated:       o.Time("updatedat"),
		End:           o.Time("endedat"),
		User:          User{ID: upstream.ID(o["customeridentifier"]), Partial: true},
		Browser:       Software{Name: o.Text("browsername"), Version: o.Text("browserversion")},
		Platform:      Software{Name: o.Text("platformname")},
		OS:            Software{Name: o.Text("operatingsystemname"), Version: o.Text("operatingsystemversion")},
		Country:       o.Text("countrycode"),
		IP:            o.Text("ipaddress"),
		Viewport:      Viewport{Width: pixels(o, "viewportwidth"), Height: pixels(o, "viewportheight")},
		Deployment:    o.Text("deploymentversion"),
		PageViewCount: -1,
		WebLink:       AppLink(base, o.Text("applicationurl")),
	}
	if o.Has("isactive") { // in v1's words
		s.Status = "ended"
		if o.Bool("isactive") {
			s.Status = "active"
		}
	}
	if !s.Start.IsZero() && !s.End.Before(s.Start) {
		length := s.End.Sub(s.Start).Milliseconds()
		s.LengthMS = &length
	}
	return s
}

func pixels(o upstream.Object, key string) int {
	if n, ok := o.Int(key); ok && n > 0 && n <= math.MaxInt32 {
		return int(n)
	}
	return 0
}
