package sandbox

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// The shapes of Raygun's answers, field by field as its response models have them.

type raygunSessions struct {
	TotalSessions int             `json:"totalSessions"`
	Sessions      []raygunSession `json:"sessions"`
	Links         struct {
		Self     string  `json:"self"`
		Next     *string `json:"next"`
		Previous *string `json:"previous"`
	} `json:"links"`
}

// raygunSession is both the list's and the single session's shape: what only
// one of them has is nil in the other.
type raygunSession struct {
	ID             int64           `json:"id"`
	SessionStart   string          `json:"sessionStart"`
	SessionUpdated string          `json:"sessionUpdated"`
	SessionEnd     *string         `json:"sessionEnd"`
	User           raygunUser      `json:"user"`
	Rating         *string         `json:"satisfactionRating,omitempty"`
	Browser        raygunVersioned `json:"browser"`
	Platform       struct {
		Name string `json:"name"`
	} `json:"platform"`
	OS            raygunVersioned  `json:"os"`
	Location      raygunLocation   `json:"location"`
	SessionLength int64            `json:"sessionLength"`
	Status        string           `json:"status"`
	PageViewCount *int             `json:"pageViewCount,omitempty"`
	Errors        *[]raygunError   `json:"errors,omitempty"`
	PageViews     *[]raygunPageHit `json:"pageViews,omitempty"`
	Links         struct {
		Self string `json:"self"`
		Web  string `json:"web"`
	} `json:"links"`
}

type raygunUser struct {
	ID          int64     `json:"id"`
	IsAnonymous bool      `json:"isAnonymous"`
	Identifier  string    `json:"identifier"`
	FirstName   string    `json:"firstName"`
	FullName    string    `json:"fullName"`
	Email       string    `json:"emailAddress"`
	FirstSeen   *string   `json:"firstSeen"`
	LastSeen    *string   `json:"lastSeen"`
	Links       raygunWeb `json:"links"`
}

type raygunWeb struct {
	Web string `json:"web"`
}

type raygunVersioned struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type raygunLocation struct {
	Country   string        `json:"country"`
	IPAddress string        `json:"ipAddress"`
	IPLookup  *raygunLookup `json:"ipLookup,omitempty"`
}

type raygunLookup struct {
	Country string `json:"country"`
	State   string `json:"state"`
	City    string `json:"city"`
}

type raygunError struct {
	GroupID    int64     `json:"groupId"`
	InstanceID int64     `json:"instanceId"`
	Title      string    `json:"title"`
	Links      raygunWeb `json:"links"`
}

type raygunPageHit struct {
	Page        string `json:"page"`
	LoadingTime int64  `json:"loadingTime"`
	ViewingTime int64  `json:"viewingTime"`
	ViewedOn    string `json:"viewedOn"`
}

// view shows a session as the list has it, or whole.
func (g *raygun) view(s Session, whole bool) raygunSession {
	v := raygunSession{ID: s.ID, SessionStart: stamp(s.Start), SessionUpdated: stamp(s.Updated), SessionLength: s.Length.Milliseconds(), Status: "ended"}
	if s.Active {
		v.Status = "active"
	} else {
		v.SessionEnd = new(stamp(s.End))
	}
	v.User = g.user(s)
	v.Browser = raygunVersioned{s.Browser, s.BrowserVersion}
	v.Platform.Name = s.Platform
	v.OS = raygunVersioned{s.OS, s.OSVersion}
	v.Location = raygunLocation{Country: s.Country, IPAddress: s.IP}
	v.Links.Self = fmt.Sprintf("%s%s/session?id=%d", g.s.raygunURL, pulse, s.ID)
	v.Links.Web = g.web("sessions/" + strconv.FormatInt(s.ID, 10))
	if !whole {
		v.PageViewCount = new(len(s.PageViews))
		return v
	}
	if s.Rating != "" {
		v.Rating = &s.Rating
	}
	v.Location.IPLookup = &raygunLookup{s.CountryName, s.State, s.City}
	errs, hits := make([]raygunError, 0, len(s.Errors)), make([]raygunPageHit, 0, len(s.PageViews))
	for _, e := range s.Errors {
		errs = append(errs, raygunError{e.GroupID, e.InstanceID, e.Title, raygunWeb{g.web(fmt.Sprintf("errors/%d/instances/%d?session=%d", e.GroupID, e.InstanceID, s.ID))}})
	}
	for _, p := range s.PageViews {
		hits = append(hits, raygunPageHit{p.URL, p.Loading.Milliseconds(), p.Viewing.Milliseconds(), stamp(p.At)})
	}
	v.Errors, v.PageViews = &errs, &hits
	return v
}

// user shows who it was. An anonymous visitor has an id and empty strings; half
// of them have an identifier that the SDK made up.
func (g *raygun) user(s Session) raygunUser {
	c := g.s.company
	w := &c.rows[s.row]
	u := raygunUser{ID: c.raygunUserID(w.person), IsAnonymous: true}
	if p := s.Customer; p != nil {
		u = raygunUser{ID: u.ID, Identifier: p.Identifier, FirstName: p.FirstName, FullName: p.FullName, Email: p.Email}
	} else {
		u.Identifier = c.visitorIdentifier(int(w.person))
	}
	if first, last, ok := c.seen(w.person); ok {
		u.FirstSeen, u.LastSeen = new(stamp(msTime(first))), new(stamp(msTime(last)))
	}
	u.Links.Web = g.web("users/" + strconv.FormatInt(u.ID, 10))
	return u
}

// web is a made-up page that stands for one of app.raygun.com.
func (g *raygun) web(path string) string { return g.s.raygunURL + "/app/" + path }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func sortRows(rows []int32) { slices.Sort(rows) }
