package handlers

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// spendView is the button that asks a vendor, with its price, or the reason
// why it cannot be pressed.
func (a *app) spendView(r *http.Request, label string, b services.Budget) templates.SpendView {
	v := templates.SpendView{Label: label, Calls: 1, Left: b.Left}
	if b.Allowance == 0 {
		v.Left = -1
	}
	switch {
	case !may(r, services.Support):
		v.Disabled = needsSupport
	case !b.BlockedUntil.IsZero():
		v.Disabled = fmt.Sprintf("%s takes no calls until %s.", b.Vendor, b.BlockedUntil.UTC().Format("2 Jan, 15:04 UTC"))
	case b.Allowance > 0 && b.Left == 0:
		v.Disabled = fmt.Sprintf("Today's %d calls are used up. The next are free at 00:00 UTC.", b.Allowance)
	}
	return v
}

// askPart shows a question to a vendor beside what it is about; nil if there
// is nothing to say about it any more.
func (a *app) askPart(r *http.Request, ask *services.Ask, about, back string) *templates.AskView {
	if ask == nil || ask.State == services.AskDone {
		return nil
	}
	v := askView(r, *ask, about, back)
	v.Now = a.now()
	return &v
}

// customerName is what a customer is called: a name, else an email.
func customerName(c services.Customer) string {
	switch {
	case c.Name != "":
		return c.Name
	case c.Email != "":
		return c.Email
	}
	return fmt.Sprintf("Customer %d", c.ID)
}

func (a *app) personViews(r *http.Request, people []services.Customer) []templates.PersonView {
	out := make([]templates.PersonView, len(people))
	for i, c := range people {
		out[i] = templates.PersonView{Name: customerName(c), Email: c.Email, Href: orgPath(r, "customers/%d", c.ID), LastSeen: c.LastSeen}
	}
	return out
}

// cursorText writes a place in a list for an address.
func cursorText(m services.Moment) string {
	at := int64(-1) // no time: a place among those without one
	if !m.At.IsZero() {
		at = m.At.UnixMilli()
	}
	return fmt.Sprintf("%d.%d", at, m.ID)
}

// cursorOf reads what cursorText wrote. What cannot be read is the beginning:
// an address with a slip in it still shows a page.
func cursorOf(s string) services.Moment {
	first, second, ok := strings.Cut(s, ".")
	at, err1 := strconv.ParseInt(first, 10, 64)
	id, err2 := strconv.ParseInt(second, 10, 64)
	if !ok || err1 != nil || err2 != nil || id <= 0 || at > 1<<52 {
		return services.Moment{}
	}
	if at < 0 {
		return services.Moment{ID: id}
	}
	return services.Moment{At: time.UnixMilli(at).UTC(), ID: id}
}
