package services

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/upstream"
)

// vendorError turns the error of a vendor call into a sentence for a person:
// which vendor, which connection, what it answered, what is shown instead and
// what to try. An *Error passes unchanged; nil stays nil.
func vendorError(c Connection, err error, now time.Time) *Error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	if r, ok := db.IsRefused(err); ok {
		return &Error{Kind: Limited, Msg: refusedSentence(c, r), Err: err}
	}
	var e *upstream.Error
	if !errors.As(err, &e) {
		return &Error{Kind: Unavailable, Msg: fmt.Sprintf("%s could not be asked through “%s”: something went wrong in Sightline itself. Try again; the log has the cause.", c.Vendor, c.Name), Err: err}
	}
	kind, msg := vendorSentence(c, e, now)
	return &Error{Kind: kind, Msg: msg, Err: err}
}

const fromMirror = " What is shown is from the mirror."

// refusedSentence says why our own ledger said no.
func refusedSentence(c Connection, r *db.CallRefused) string {
	when := fmt.Sprintf("%s (in %s)", utc(r.Until, r.At), inWords(r.Until.Sub(r.At)))
	if soon(r.Until, r.At) {
		when = r.Until.UTC().Format("15:04:05 UTC") + fmt.Sprintf(" (in %s)", inWords(r.Until.Sub(r.At)))
	}
	switch r.Why {
	case db.RefusedRemoved:
		return fmt.Sprintf("The connection “%s” was removed, so nothing can be asked through it.", c.Name)
	case db.RefusedBlocked:
		return fmt.Sprintf("%s has said that “%s” called too often, so Sightline asks it nothing until %s.%s", c.Vendor, c.Name, when, fromMirror)
	case db.RefusedShare:
		return fmt.Sprintf("Background work has made its %d %s calls of today through “%s”. It goes on at %s.", r.Budget.Share, c.Vendor, c.Name, when)
	case db.RefusedSpare:
		return fmt.Sprintf("Of today's %d %s calls of “%s”, %d are left, and they are kept for questions that people ask one by one. There are new ones at %s.",
			r.Budget.Allowance, c.Vendor, c.Name, r.Budget.Allowance-r.Budget.Spent-r.Budget.Others, when)
	case db.RefusedReserve:
		return fmt.Sprintf("Of today's %d %s calls of “%s”, %d are left, and they are kept for people. Background work goes on at %s.",
			r.Budget.Allowance, c.Vendor, c.Name, r.Budget.Allowance-r.Budget.Spent-r.Budget.Others, when)
	}
	return fmt.Sprintf("Today's %d %s calls of “%s” are used up. The next are free at %s.%s", r.Budget.Allowance, c.Vendor, c.Name, when, fromMirror)
}

func vendorSentence(c Connection, e *upstream.Error, now time.Time) (Kind, string) {
	who := fmt.Sprintf("%s (connection “%s”)", c.Vendor, c.Name)
	switch e.Kind {
	case upstream.WrongKey:
		return Unavailable, fmt.Sprintf("%s does not accept the credentials%s. Somebody with the admin role can test and rotate them under Settings.%s", who, answered(e), fromMirror)
	case upstream.Forbidden:
		scope := ""
		if e.Scope != "" {
			scope = fmt.Sprintf(" It needs the permission “%s”.", e.Scope)
		}
		if c.Vendor == RaygunV3 {
			return Unavailable, fmt.Sprintf("%s accepts the token, but it may not do this%s.%s Give the token that permission in Raygun, under your account's personal access tokens, or rotate to one that has it.%s", who, answered(e), scope, fromMirror)
		}
		return Unavailable, fmt.Sprintf("%s accepts the credentials, but they may not do this%s.%s Give the key that permission at %s, or rotate to one that has it.", who, answered(e), scope, c.Vendor)
	case upstream.NotFound:
		return NotFound, fmt.Sprintf("%s knows no such thing%s. It may have been deleted there, or be older than %s keeps.", who, answered(e), c.Vendor)
	case upstream.Invalid:
		if !e.Sent {
			return Invalid, fmt.Sprintf("This was not sent to %s, because it would be refused%s.", who, because(e))
		}
		return Invalid, fmt.Sprintf("%s did not accept the request%s.", who, answered(e))
	case upstream.RateLimited:
		until := "Try again later."
		switch {
		case e.Until.IsZero() && c.Vendor == RaygunV3:
			until = "It takes calls again in a minute."
		case e.Until.IsZero():
		case soon(e.Until, now):
			until = fmt.Sprintf("It takes calls again in %s.", inWords(e.Until.Sub(now)))
		default:
			until = fmt.Sprintf("It takes calls again from %s.", e.Until.UTC().Format("2 January 2006, 15:04 UTC"))
		}
		return Limited, fmt.Sprintf("%s says that it was called too often%s. %s%s", who, answered(e), until, fromMirror)
	case upstream.Down:
		return Unavailable, fmt.Sprintf("%s cannot be reached or fails%s. Try again in a few minutes.%s", who, answered(e), fromMirror)
	case upstream.TimedOut:
		return Unavailable, fmt.Sprintf("%s did not answer in time. Try again, perhaps with a smaller range.%s", who, fromMirror)
	case upstream.Unexpected:
		return Unavailable, fmt.Sprintf("%s answered with something else than expected%s.%s Check the address that the operator has set for %s.", who, answered(e), beginning(e), c.Vendor)
	case upstream.Canceled:
		return Unavailable, fmt.Sprintf("The question to %s was given up before it answered.", who)
	case upstream.Refused:
		return Unavailable, fmt.Sprintf("%s was not asked, because Sightline could not write its call ledger. Try again; the log has the cause.", who)
	}
	return Unavailable, fmt.Sprintf("%s could not be asked%s. Try again.%s", who, answered(e), fromMirror)
}

// answered quotes the vendor: " (status 401: “bad key”)", or nothing if there
// was no answer.
func answered(e *upstream.Error) string {
	says := oneLine(e.Says)
	switch {
	case e.Status == 0:
		return ""
	case says == "":
		return fmt.Sprintf(" (status %d)", e.Status)
	}
	return fmt.Sprintf(" (status %d: “%s”)", e.Status, says)
}

// because gives our own reason for not sending something.
func because(e *upstream.Error) string {
	if says := oneLine(e.Says); says != "" {
		return ": " + strings.TrimSuffix(says, ".")
	}
	if e.Err != nil {
		return ": " + strings.TrimSuffix(oneLine(e.Err.Error()), ".")
	}
	return ""
}

// beginning quotes the first bytes of an answer that made no sense.
func beginning(e *upstream.Error) string {
	if first := oneLine(e.First); first != "" {
		return fmt.Sprintf(" It begins with “%s”.", first)
	}
	return ""
}

// soon says that a time comes within two minutes: its seconds matter then.
func soon(until, now time.Time) bool { return until.Sub(now) < 2*time.Minute }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// utc is a time as people read it: the clock alone if it comes within a day.
func utc(t, now time.Time) string {
	if d := t.Sub(now); d >= 0 && d <= 24*time.Hour {
		return t.UTC().Format("15:04 UTC")
	}
	return t.UTC().Format("2 January 2006, 15:04 UTC")
}

// inWords is a length of time as people read it, in at most two units.
func inWords(d time.Duration) string {
	d = max(d, 0)
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
	}
	m := int(d.Round(time.Minute).Minutes())
	if m < 60 {
		return fmt.Sprintf("%d m", m)
	}
	return fmt.Sprintf("%d h %d m", m/60, m%60)
}
