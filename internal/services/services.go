// Package services is what Sightline does, without HTTP and without HTML: it
// looks customers up, keeps the mirror, spends the budget, edits traits, asks
// for highlights and records what members did. A file is one capability.
package services

import (
	"errors"
	"fmt"
	"sort"

	"sightline/internal/db"
)

// The row ids are the store's, so that the web layer can hold one without
// importing the store.
type (
	OrgID           = db.OrgID
	UserID          = db.UserID
	ConnectionID    = db.ConnectionID
	CallID          = db.CallID
	AskID           = db.AskID
	CustomerID      = db.CustomerID
	SessionID       = db.SessionID
	SearchID        = db.SearchID
	PageID          = db.PageID
	ErrorGroupID    = db.ErrorGroupID
	DetailRunID     = db.DetailRunID
	HighlightID     = db.HighlightID
	LogRocketUserID = db.LogRocketUserID
	TraitEditID     = db.TraitEditID
	BulkID          = db.BulkID
	BatchID         = db.BatchID
	AlertID         = db.AlertID
	AuditEntryID    = db.AuditEntryID
	GraphQLRunID    = db.GraphQLRunID
	SavedQueryID    = db.SavedQueryID
	QueryFormID     = db.QueryFormID
	ScheduleID      = db.ScheduleID
	RecordingID     = db.RecordingID
	EventTextID     = db.EventTextID
	HistoryID       = db.HistoryID
	InvitationID    = db.InvitationID
)

// Kind says what went wrong in a way that the web layer can turn into a status.
type Kind string

// The kinds of errors that are meant for a person.
const (
	Invalid     Kind = "invalid"     // the person can correct it
	Denied      Kind = "denied"      // their role does not allow it
	NotFound    Kind = "not_found"   // not in this organization
	Conflict    Kind = "conflict"    // someone or something else was first
	Limited     Kind = "limited"     // a budget or a rate limit says no
	Unavailable Kind = "unavailable" // a vendor or a part of ours does not answer
)

// Error is an error with a sentence for a person. Msg is shown; Err, which may
// be nil, is logged and never shown.
type Error struct {
	Kind Kind
	Msg  string
	Err  error
}

// Error is for the log: the cause, or the sentence where there is none. The
// sentence may quote what a vendor wrote, and that stays out of logs.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Msg
	}
	return fmt.Sprintf("%s: %v", e.Kind, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// invalid makes an Error that the person can correct.
func invalid(format string, args ...any) error {
	return &Error{Kind: Invalid, Msg: fmt.Sprintf(format, args...)}
}

// notFound turns the store's "no such row here" into a sentence; other errors
// pass unchanged.
func notFound(err error, msg string) error {
	if errors.Is(err, db.ErrNotFound) {
		return &Error{Kind: NotFound, Msg: msg, Err: err}
	}
	return err
}

// Role is what a member may do in one organization. The roles are ordered:
// each may do all that the one before it may.
type Role int

// The roles, weakest first. Zero is no member.
const (
	NoRole  Role = iota
	Viewer       // reads
	Support      // also asks vendors, requests highlights and edits traits
	Admin        // also connections, members and budget
	Owner        // also the organization itself
)

var roleNames = [...]string{"", "viewer", "support", "admin", "owner"}

// String is the role's name as it is stored and shown.
func (r Role) String() string {
	if r < 0 || int(r) >= len(roleNames) {
		return ""
	}
	return roleNames[r]
}

// ParseRole is the reverse of String; an unknown name is NoRole.
func ParseRole(s string) Role {
	for i, n := range roleNames {
		if n == s {
			return Role(i)
		}
	}
	return NoRole
}

// Actor is who does something, in which organization. The zero User is a job
// or the command line.
type Actor struct {
	Org   OrgID
	User  UserID
	Name  string // shown in the history; an email if the person gave no name
	Email string
	Role  Role
}

// System is the actor for what Sightline does by itself in an organization.
func System(org OrgID) Actor { return Actor{Org: org, Name: "Sightline", Role: Owner} }

// CommandLine is the actor for what an operator does on the machine itself.
func CommandLine(org OrgID) Actor { return Actor{Org: org, Name: "Command line", Role: Owner} }

// sortBy sorts rows and keeps the order of those that compare as equal. The code
// of slices.SortStableFunc is made anew for every type, 13 KB each; this sorts
// all of them with one.
func sortBy[T any](rows []T, compare func(a, b T) int) {
	sort.SliceStable(rows, func(i, j int) bool { return compare(rows[i], rows[j]) < 0 })
}
