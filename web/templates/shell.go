package templates

import (
	"time"

	"github.com/a-h/templ"
)

// Shell is what stands around every page of a signed-in member.
type Shell struct {
	// Title is the page's own name; the layout adds the organization's.
	Title string
	Org   OrgView
	// Orgs are all organizations of the member, the current one included.
	Orgs []OrgView
	User UserView
	// Active is the key of the current navigation entry: home, customers,
	// sessions, highlights, exports, insight, graphql, history or settings. Anything else marks none.
	Active string
	// CanAdmin shows what only admins and owners can use.
	CanAdmin bool
	// Query is what stands in the search box.
	Query string
	// Budgets are the call budgets of the organization's connections.
	Budgets []BudgetView
	// Demo says that all data is made up.
	Demo bool
	// Flash is the outcome of what was done on the page before; nil if none.
	Flash *FlashView
	// Now is the time of the request, against which ages are told.
	Now time.Time
}

// OrgView is an organization as a reader sees it.
type OrgView struct{ Slug, Name string }

// UserView is the signed-in member.
type UserView struct{ Name, Email, RoleLabel string }

// BudgetView is what is left of one connection's daily calls.
type BudgetView struct {
	Connection string
	// Left of Allowance calls are left today; an Allowance of 0 means that the
	// vendor sets no daily limit.
	Left, Allowance int
	// ResetsAt is when the allowance is whole again; zero if not known.
	ResetsAt time.Time
	// BlockedUntil is set while the vendor refuses calls.
	BlockedUntil time.Time
}

// FlashView is a short message about an outcome. Kind is info, success,
// warning or error; an error stays until it is closed.
type FlashView struct{ Kind, Text string }

// navEntry is one entry of the main navigation.
type navEntry struct{ key, label, path string }

// barEntries is how many entries stand in the bar at the bottom of a phone. The
// others are behind its "More".
const barEntries = 4

// navEntries returns the main navigation in its order.
func navEntries() []navEntry {
	return []navEntry{
		{"home", "Home", ""},
		{"customers", "Customers", "customers"},
		{"sessions", "Sessions", "sessions"},
		{"highlights", "Highlights", "highlights"},
		{"exports", "Recordings", "exports"},
		{"insight", "Insight", "insight"},
		{"graphql", "GraphQL", "graphql"},
		{"history", "History", "history"},
		{"settings", "Settings", "settings"},
	}
}

// navLinks are entries of the main navigation.
func navLinks(s Shell, entries []navEntry) templ.Component {
	b := make(piece, 0, 512)
	for _, n := range entries {
		b.html(`<a href=`, OrgPath(s.Org.Slug, n.path))
		if n.key == s.Active {
			b.html(` aria-current=page`)
		}
		b.html(`>`, n.label, `</a>`)
	}
	return b
}

// OrgPath returns the path of a page below the organization, for instance
// OrgPath("acme", "sessions") = "/o/acme/sessions". The slug comes from our own
// table and holds nothing that needs escaping.
func OrgPath(slug, rest string) string { return "/o/" + slug + "/" + rest }
