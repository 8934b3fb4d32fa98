package services

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// SessionColumn is a column of the session explorer.
type SessionColumn struct {
	// Key names it in addresses and files, Label to people.
	Key, Label string
	// Num says that it holds numbers.
	Num bool
	// Default says that it is shown where nobody chose columns.
	Default bool
	// moment says that value gives times.
	moment bool
	// value is what a file has in it: a string, an int64, a time to the second,
	// or nil where it is not known.
	value func(s Session, connection string) any
}

// connectionColumn names every connection that told of a session.
const connectionColumn = "connection"

// SessionColumns are all columns in their order; the first is always shown.
func SessionColumns() []SessionColumn {
	text := func(of func(s Session) string) func(Session, string) any {
		return func(s Session, _ string) any { return of(s) }
	}
	number := func(of func(s Session) *int64) func(Session, string) any {
		return func(s Session, _ string) any {
			if n := of(s); n != nil && *n >= 0 {
				return *n
			}
			return nil
		}
	}
	moment := func(of func(s Session) time.Time) func(Session, string) any {
		return func(s Session, _ string) any {
			if t := of(s); !t.IsZero() {
				return t.Truncate(time.Second)
			}
			return nil
		}
	}
	return []SessionColumn{
		{Key: "started", Label: "Started", Default: true, moment: true, value: moment(func(s Session) time.Time { return s.StartedAt })},
		{Key: "person", Label: "Person", Default: true, value: text(SessionPerson)},
		{Key: "email", Label: "Email", value: text(func(s Session) string { return s.UserEmail })},
		{Key: "identifier", Label: "Identifier", value: text(func(s Session) string { return s.UserIdentifier })},
		{Key: "country", Label: "Country", Default: true, value: text(func(s Session) string { return s.Country })},
		{Key: "city", Label: "City", value: text(func(s Session) string { return s.City })},
		{Key: "browser", Label: "Browser", Default: true, value: text(func(s Session) string { return s.Browser })},
		{Key: "os", Label: "System", Default: true, value: text(func(s Session) string { return s.OS })},
		{Key: "platform", Label: "Platform", value: text(func(s Session) string { return s.Platform })},
		{Key: "pages", Label: "Pages", Num: true, Default: true, value: number(func(s Session) *int64 { return s.PageViewCount })},
		{Key: "length", Label: "Length", Num: true, Default: true, value: number(func(s Session) *int64 { return s.LengthMS })},
		{Key: "rating", Label: "Rating", Default: true, value: text(func(s Session) string { return s.Rating })},
		{Key: "errors", Label: "Errors", Num: true, Default: true, value: number(func(s Session) *int64 { return s.ErrorCount })},
		{Key: "state", Label: "State", Default: true, value: text(func(s Session) string { return strings.ToLower(s.Status) })},
		{Key: "ended", Label: "Ended", moment: true, value: moment(func(s Session) time.Time { return s.EndedAt })},
		{Key: connectionColumn, Label: "Connection", value: func(_ Session, connection string) any { return connection }},
	}
}

// ChooseColumns are the columns with the keys, in the explorer's order and with
// the first one; unknown keys are left out. Without a known key it is those
// that are shown by default, with the connection if they are of several
// applications.
func ChooseColumns(keys []string, manyApplications bool) []SessionColumn {
	chosen := func(c SessionColumn) bool { return slices.Contains(keys, c.Key) }
	all := SessionColumns()
	if !slices.ContainsFunc(all, chosen) {
		chosen = func(c SessionColumn) bool { return c.Default || c.Key == connectionColumn && manyApplications }
	}
	return slices.DeleteFunc(all, func(c SessionColumn) bool { return c.Key != all[0].Key && !chosen(c) })
}

// SessionPerson is what a session's person is called, empty if nothing names
// them.
func SessionPerson(s Session) string {
	switch {
	case s.UserName != "":
		return s.UserName
	case s.UserEmail != "":
		return s.UserEmail
	case s.Customer != 0 && s.UserIdentifier != "":
		return s.UserIdentifier
	case s.Customer != 0:
		return fmt.Sprintf("Customer %d", s.Customer)
	}
	return ""
}
