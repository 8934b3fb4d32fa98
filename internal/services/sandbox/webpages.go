package sandbox

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	templruntime "github.com/a-h/templ/runtime"
)

// The made-up pages behind the links in the vendors' answers, so that a click
// leads somewhere: plain, and clear that nothing on them is real.

type webPage struct {
	Title, Text string
	Rows        []webRow
	More        []webLink
}

type webRow struct {
	Time, Text string
	Marked     bool
}

type webLink struct{ Href, Text string }

func (s *Sandbox) writePage(w http.ResponseWriter, code int, p webPage) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_ = madeUpPage(p).Render(context.Background(), w) // a reader who has gone away
}

func (s *Sandbox) noPage(w http.ResponseWriter) {
	s.writePage(w, http.StatusNotFound, webPage{Title: "Not found", Text: "The made-up vendor has no such page."})
}

// appPage answers for app.logrocket.com: a recording, or a user's sessions.
func (k *rocket) appPage(w http.ResponseWriter, r *http.Request) {
	part := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	c := k.s.company
	if len(part) < 3 || part[0] != k.s.creds.LogRocketOrg || part[1] != k.s.creds.LogRocketApp {
		k.s.noPage(w)
		return
	}
	if part[2] == "sessions" {
		k.s.writePage(w, http.StatusOK, k.userPage(r.URL.Query().Get("e"), r.URL.Query().Get("u")))
		return
	}
	if part[2] != "s" || len(part) < 5 {
		k.s.noPage(w)
		return
	}
	n, err := strconv.Atoi(part[4])
	row, ok := c.rowByRecording(Recording{part[3], n})
	if err != nil || !ok {
		k.s.noPage(w)
		return
	}
	s := c.detail(row)
	at := s.Start
	if t, err := strconv.ParseInt(r.URL.Query().Get("t"), 10, 64); err == nil {
		at = msTime(min(max(t, s.Start.UnixMilli()), s.Start.Add(s.Length).UnixMilli()))
	}
	p := webPage{Title: "Made-up recording " + s.Recording.String()}
	marked := -1
	for _, v := range s.PageViews {
		p.Rows = append(p.Rows, webRow{Time: v.At.Format(time.TimeOnly), Text: "The user " + k.phrase(v) + ": " + v.URL})
		if !v.At.After(at) {
			marked = len(p.Rows) - 1
		}
		for _, e := range s.Errors {
			if s.PageViews[e.View] != v {
				continue
			}
			p.Rows = append(p.Rows, webRow{Time: e.At.Format(time.TimeOnly), Text: "The user " + c.cat.errors[e.group].statement + ": " + e.Title})
			if !e.At.After(at) {
				marked = len(p.Rows) - 1
			}
		}
	}
	p.Text = "On " + at.Format(time.DateOnly) + " at " + at.Format(time.TimeOnly) + " UTC, the moment of the link: "
	if marked >= 0 {
		p.Rows[marked].Marked = true
		p.Text += p.Rows[marked].Text
	}
	k.s.writePage(w, http.StatusOK, p)
}

func (k *rocket) userPage(email, userID string) webPage {
	c := k.s.company
	people := c.byEmail[strings.ToLower(email)]
	if i, ok := c.byUserID[userID]; ok {
		people = append(people, i)
	}
	p := webPage{Title: "Made-up recordings of " + first(email, userID)}
	for _, i := range c.recordedOf(people, 0, c.nowMS(), 50) {
		s := c.detail(i)
		p.More = append(p.More, webLink{k.moment(&s, s.Start), s.Start.Format(time.DateTime) + " UTC, " + count(len(s.PageViews), "page", "pages") + ", " + count(len(s.Errors), "error", "errors")})
	}
	p.Text = count(len(p.More), "recording", "recordings") + ", newest first, at most 50."
	return p
}

// raygunPage answers for app.raygun.com: a session, a user or an error.
func (s *Sandbox) raygunPage(w http.ResponseWriter, r *http.Request) {
	part := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, "/app/"), "/"), "/")
	if len(part) < 2 {
		s.noPage(w)
		return
	}
	id, _ := strconv.ParseInt(part[1], 10, 64)
	session := id
	switch part[0] {
	case "errors":
		session, _ = strconv.ParseInt(r.URL.Query().Get("session"), 10, 64)
	case "users":
		for _, c := range s.company.customers {
			if c.RaygunID == id {
				s.writePage(w, http.StatusOK, s.raygunUserPage(c))
				return
			}
		}
		s.writePage(w, http.StatusOK, webPage{Title: "Made-up Raygun user " + part[1], Text: "An anonymous visitor."})
		return
	}
	d, ok := s.company.Session(session)
	for _, a := range s.v3.apps {
		if !ok && a.company != nil {
			d, ok = a.company.Session(session)
		}
	}
	if g := slices.IndexFunc(s.company.cat.errors, func(e errorGroup) bool { return e.id == id }); !ok && part[0] == "errors" && g >= 0 {
		s.writePage(w, http.StatusOK, webPage{Title: "Made-up Raygun error", Text: s.company.cat.errors[g].title})
		return
	}
	if !ok {
		s.noPage(w)
		return
	}
	p := webPage{Title: "Made-up Raygun session " + strconv.FormatInt(d.ID, 10), Text: "Started " + d.Start.Format(time.DateTime) + " UTC, " + d.Browser + " on " + d.OS + ", " + d.City}
	for _, v := range d.PageViews {
		p.Rows = append(p.Rows, webRow{Time: v.At.Format(time.TimeOnly), Text: v.URL + " loaded in " + v.Loading.String()})
	}
	for _, e := range d.Errors {
		p.Rows = append(p.Rows, webRow{Time: e.At.Format(time.TimeOnly), Text: e.Title, Marked: part[0] == "errors" && e.GroupID == id})
	}
	s.writePage(w, http.StatusOK, p)
}

func (s *Sandbox) raygunUserPage(c Customer) webPage {
	p := webPage{Title: "Made-up Raygun user " + c.FullName, Text: c.Email}
	rows := s.company.visible(s.company.byPerson[c.index])
	for i := len(rows) - 1; i >= max(0, len(rows)-50); i-- {
		id := strconv.FormatInt(s.company.id(int(rows[i])), 10)
		p.More = append(p.More, webLink{"/app/sessions/" + id, msTime(s.company.rows[rows[i]].start).Format(time.DateTime) + " UTC"})
	}
	return p
}

// generated is templ's GeneratedTemplate, compiled once (see web/templates/once.go).
//
//go:noinline
func generated(render func(templruntime.GeneratedComponentInput) error) templ.Component {
	return templruntime.GeneratedTemplate(render)
}

// failed is what templ says of an expression that failed (see web/templates/once.go).
//
//go:noinline
func failed(err error, file string, line, column int) error {
	return templ.Error{Err: err, FileName: file, Line: line, Col: column}
}
