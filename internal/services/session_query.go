package services

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sightline/internal/db"
)

// MaxCountries is how many countries one search may name.
const MaxCountries = 20

// MaxValues is how many browsers, systems or ratings one search may name.
const MaxValues = 20

// MaxSlowMS is the longest load that a search may ask for: an hour.
const MaxSlowMS = 60 * 60 * 1000

// The words of SessionQuery.People; empty is everybody.
const (
	KnownPeople     = db.PeopleKnown     // whom Raygun does not call anonymous
	AnonymousPeople = db.PeopleAnonymous // whom Raygun calls anonymous
)

// The words of SessionQuery.Errors; empty is no matter.
const (
	WithErrors    = db.ErrorsWith
	WithoutErrors = db.ErrorsWithout
)

// The words of SessionQuery.State; empty is no matter.
const (
	ActiveSessions = db.StateActive
	EndedSessions  = db.StateEnded
)

// Ratings returns Raygun's ratings in the canonical spelling, best first.
func Ratings() []string { return []string{"excellent", "good", "average", "poor"} }

// SessionQuery selects sessions. All that is given must hold; of several
// values of one field, one. What Raygun can be asked for as well stands first.
//
// Pages, ratings, load times and errors are known only of sessions whose
// detail is in the mirror (see [SessionQuery.NeedsDetail]): a search by one of
// them finds no other session, and says nothing about the others.
type SessionQuery struct {
	// Connection is the Raygun connection to ask. 0 lists what the mirror holds
	// of all of them, and nothing can be asked.
	Connection ConnectionID
	// From and To bound the time: From ≤ start < To. Both are required.
	From, To time.Time
	// Identifier is what the site gave Raygun's SDK, often the email.
	Identifier string
	// Countries are two-letter codes in capitals.
	Countries []string
	// UserType is free text: Raygun does not document its values. The mirror
	// cannot tell it from a session, so a list with one shows only what Raygun
	// answered to this very search.
	UserType string

	// Email selects the sessions of the customers who bear this email.
	Email string
	// People is KnownPeople, AnonymousPeople or empty.
	People string
	// Browsers and Systems are names as Raygun writes them, such as "Chrome".
	Browsers, Systems []string
	// Page is a page's path as Insight shows it: the whole of it selects this
	// page alone, a part of it every page that has the part, capital or not.
	Page string
	// Ratings are some of [Ratings].
	Ratings []string
	// Errors is WithErrors, WithoutErrors or empty.
	Errors string
	// ErrorText is the name of an error: the whole of it selects the errors of
	// this name, a part of it every one that has the part, capital or not.
	ErrorText string
	// SlowMS selects sessions in which a page took at least so many milliseconds
	// to load; 0 is no matter.
	SlowMS int64
	// State is ActiveSessions, EndedSessions or empty.
	State string
}

// Local says that the query has a part that Raygun cannot be asked for: only
// the mirror answers it.
func (q SessionQuery) Local() bool {
	return q.Email != "" || q.People != "" || len(q.Browsers) > 0 || len(q.Systems) > 0 || q.State != "" || q.NeedsDetail()
}

// NeedsDetail says that the query has a part that is known only of sessions
// whose detail is in the mirror.
func (q SessionQuery) NeedsDetail() bool {
	return q.Page != "" || len(q.Ratings) > 0 || q.Errors != "" || q.ErrorText != "" || q.SlowMS != 0
}

// Check brings a query into its canonical spelling and says what is wrong with
// it, by field: "from", "to", "identifier", "countries", "user_type", "email",
// "people", "browsers", "systems", "page", "ratings", "errors", "error_text",
// "slow_ms", "state".
func (q SessionQuery) Check() (SessionQuery, Problems) {
	problems := Problems{}
	q.From, q.To = q.From.UTC().Truncate(time.Second), q.To.UTC().Truncate(time.Second)
	if q.From.IsZero() {
		problems["from"] = "Give the day to begin with."
	}
	switch {
	case q.To.IsZero():
		problems["to"] = "Give the day to end with."
	case !q.From.Before(q.To):
		problems["to"] = "The range ends before it begins."
	}
	text := func(field string, s *string, most int, sentence string) {
		if *s = db.CleanText(*s); utf8.RuneCountInString(*s) > most {
			problems[field] = sentence
		}
	}
	text("identifier", &q.Identifier, db.MaxIdentity, "That is too long: an identifier has at most 1,024 characters.")
	text("user_type", &q.UserType, 200, "That is too long: at most 200 characters.")
	text("email", &q.Email, db.MaxIdentity, "That is too long: an email has at most 1,024 characters.")
	text("page", &q.Page, db.MaxIdentity, "That is too long: at most 1,024 characters of a page's path.")
	text("error_text", &q.ErrorText, db.MaxText, "That is too long: at most 4,096 characters of an error's name.")
	q.Countries = checkCountries(q.Countries, problems)
	q.Browsers = checkValues("browsers", q.Browsers, problems)
	q.Systems = checkValues("systems", q.Systems, problems)
	q.Ratings = checkWords("ratings", q.Ratings, Ratings(), problems)
	word := func(field string, s *string, words ...string) {
		if *s = strings.ToLower(db.CleanText(*s)); *s != "" && !slices.Contains(words, *s) {
			problems[field] = fmt.Sprintf("“%s” is not a choice here. Choose %s, or leave it open.", clipText(*s, 20), strings.Join(words, " or "))
		}
	}
	word("people", &q.People, KnownPeople, AnonymousPeople)
	word("errors", &q.Errors, WithErrors, WithoutErrors)
	word("state", &q.State, ActiveSessions, EndedSessions)
	switch {
	case q.SlowMS < 0:
		problems["slow_ms"] = "Give the load time in milliseconds, such as 3000."
	case q.SlowMS > MaxSlowMS:
		problems["slow_ms"] = "That is too long: at most an hour, 3600000 milliseconds."
	}
	if q.Errors == WithoutErrors && q.ErrorText != "" {
		problems["error_text"] = "A session without errors has none of this name. Leave one of the two open."
	}
	return q, problems
}

func checkCountries(in []string, problems Problems) []string {
	var codes, bad []string
	for _, c := range in {
		c = strings.ToUpper(strings.TrimSpace(c))
		if c == "" {
			continue
		}
		codes = append(codes, c)
		if len(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z' {
			bad = append(bad, "“"+clipText(c, 20)+"”")
		}
	}
	slices.Sort(codes)
	codes = slices.Compact(codes)
	switch {
	case len(bad) > 5:
		problems["countries"] = fmt.Sprintf("%d of these are not country codes. Write two letters each, such as NZ, US.", len(bad))
	case len(bad) > 0:
		problems["countries"] = fmt.Sprintf("%s: not a country code. Write two letters each, such as NZ, US.", strings.Join(bad, ", "))
	case len(codes) > MaxCountries:
		problems["countries"] = fmt.Sprintf("At most %d countries at once.", MaxCountries)
	}
	return codes
}

// checkValues brings names that a vendor writes into order.
func checkValues(field string, in []string, problems Problems) []string {
	var out []string
	for _, v := range in {
		v = db.CleanText(v)
		if v == "" {
			continue
		}
		if utf8.RuneCountInString(v) > 200 {
			problems[field] = "That is too long: at most 200 characters."
		}
		out = append(out, v)
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) > MaxValues {
		problems[field] = fmt.Sprintf("At most %d at once.", MaxValues)
	}
	return out
}

// checkWords brings words of a closed list into the list's order.
func checkWords(field string, in, words []string, problems Problems) []string {
	var out []string
	for _, v := range in {
		v = strings.ToLower(db.CleanText(v))
		if v != "" && !slices.Contains(words, v) {
			problems[field] = fmt.Sprintf("“%s” is not a choice here. Choose from %s.", clipText(v, 20), strings.Join(words, ", "))
		}
	}
	for _, w := range words {
		if slices.ContainsFunc(in, func(v string) bool { return strings.EqualFold(db.CleanText(v), w) }) {
			out = append(out, w)
		}
	}
	return out
}

// clipText cuts text that is only quoted back.
func clipText(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n]) + "…"
}

func (q SessionQuery) params() searchParams {
	return searchParams{
		From: q.From.Format(time.RFC3339), To: q.To.Format(time.RFC3339),
		Identifier: q.Identifier, Countries: q.Countries, UserType: q.UserType,
	}
}

// RecentOf is the search for one identifier's sessions of the last 60 days. It
// stays the same during a UTC day, so that its answer is found again.
func RecentOf(c ConnectionID, identifier string, now time.Time) SessionQuery {
	to := nextDay(now)
	return SessionQuery{Connection: c, From: to.AddDate(0, 0, -RecentDays-1), To: to, Identifier: db.CleanText(identifier)}
}
