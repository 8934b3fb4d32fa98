package sandbox

import (
	"cmp"
	"net/http"
	"strconv"
)

// Pages and error groups: what v3 gives names to apart from the sessions.

type v3WebPage struct {
	Identifier  string  `json:"identifier"`
	Application string  `json:"applicationIdentifier"`
	URI         string  `json:"uri"`
	Type        string  `json:"type"`
	LastSeen    *string `json:"lastSeenAt,omitempty"`
}

func (a *v3App) pageView(i int, seen []int64) v3WebPage {
	return v3WebPage{a.pages[i].id, a.id, a.pages[i].url, "web", new(stamp(msTime(seen[i])))}
}

func (v *v3) listPages(w http.ResponseWriter, r *http.Request, a *v3App, _ []string) {
	q, ok := v.readList(w, r, "lastSeenAt", "uri", "name")
	if !ok {
		return
	}
	var list []int
	var seen []int64
	if a.company != nil {
		seen, _ = a.look()
		for i := range a.pages {
			if seen[i] > 0 {
				list = append(list, i)
			}
		}
	}
	sortBy(list, q.order, func(field string, x, y int) int {
		switch field {
		case "lastSeenAt":
			return cmp.Compare(seen[x], seen[y])
		case "uri":
			return cmp.Compare(a.pages[x].url, a.pages[y].url)
		}
		return 0 // only pages of mobile applications have a name
	})
	writeList(v, w, q, list, func(i int) v3WebPage { return a.pageView(i, seen) })
}

func (v *v3) page(w http.ResponseWriter, _ *http.Request, a *v3App, args []string) {
	for i, p := range a.pages {
		if p.id != args[0] {
			continue
		}
		if seen, _ := a.look(); seen[i] > 0 {
			writeJSON(w, http.StatusOK, a.pageView(i, seen))
			return
		}
	}
	v.missing(w, "page")
}

type v3ErrorGroup struct {
	Identifier   string      `json:"identifier"`
	Application  string      `json:"applicationIdentifier"`
	Message      string      `json:"message"`
	Status       string      `json:"status"`
	LastOccurred string      `json:"lastOccurredAt"`
	CreatedAt    string      `json:"createdAt"`
	ResolvedIn   *v3Resolved `json:"resolvedIn,omitempty"`
	Discard      *bool       `json:"discardNewOccurrences,omitempty"`
	URL          string      `json:"applicationUrl"`
}

type v3Resolved struct {
	Version string `json:"version"`
	Discard bool   `json:"discardFromPreviousVersions"`
}

// Error groups that the company has decided to live with.
const (
	ignoredGroup     = 4755218
	neverAgainGroup  = 4760054
	longBeforeDays   = 400
	groupIsFixedDays = 1 // after the fix, until it counts as resolved
)

func (v *v3) groupView(a *v3App, g int, last int64) v3ErrorGroup {
	c := a.company
	e := &c.cat.errors[g]
	out := v3ErrorGroup{Identifier: base36(e.id), Application: a.id, Message: e.title, Status: "active", LastOccurred: stamp(msTime(last)),
		CreatedAt: stamp(msTime(c.today - int64(min(longBeforeDays, e.firstDay))*dayMS)), URL: v.s.raygun.web("errors/" + strconv.FormatInt(e.id, 10))}
	switch {
	case e.id == ignoredGroup:
		out.Status = "ignored"
	case e.id == neverAgainGroup:
		out.Status, out.Discard = "permanentlyIgnored", new(false)
	case e.fixedDay > 0 && last < c.today-int64(e.fixedDay-groupIsFixedDays)*dayMS:
		out.Status, out.ResolvedIn = "resolved", &v3Resolved{Version: version(e.fixedDay)}
	}
	return out
}

func (v *v3) listErrorGroups(w http.ResponseWriter, r *http.Request, a *v3App, _ []string) {
	q, ok := v.readList(w, r, "message", "status", "lastOccurredAt", "createdAt")
	if !ok {
		return
	}
	var list []v3ErrorGroup
	if a.company != nil {
		_, last := a.look()
		for g, at := range last {
			if at > 0 {
				list = append(list, v.groupView(a, g, at))
			}
		}
	}
	sortBy(list, q.order, func(field string, x, y v3ErrorGroup) int {
		switch field {
		case "message":
			return cmp.Compare(x.Message, y.Message)
		case "status":
			return cmp.Compare(x.Status, y.Status)
		case "lastOccurredAt": // all have the same number of digits
			return cmp.Compare(x.LastOccurred, y.LastOccurred)
		}
		return cmp.Compare(x.CreatedAt, y.CreatedAt)
	})
	writeList(v, w, q, list, func(g v3ErrorGroup) v3ErrorGroup { return g })
}

func (v *v3) errorGroup(w http.ResponseWriter, _ *http.Request, a *v3App, args []string) {
	if id, ok := fromBase36(args[0]); ok && a.company != nil {
		_, last := a.look()
		for g, at := range last {
			if a.company.cat.errors[g].id == id && at > 0 {
				writeJSON(w, http.StatusOK, v.groupView(a, g, at))
				return
			}
		}
	}
	v.missing(w, "error group")
}
