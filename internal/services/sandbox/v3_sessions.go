package sandbox

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

type v3Session struct {
	Identifier      string           `json:"identifier"`
	Application     string           `json:"applicationIdentifier"`
	Customer        string           `json:"customerIdentifier"`
	IsActive        bool             `json:"isActive"`
	StartedAt       string           `json:"startedAt"`
	UpdatedAt       string           `json:"updatedAt"`
	EndedAt         *string          `json:"endedAt"`
	IPAddress       string           `json:"ipAddress"`
	CountryCode     *string          `json:"countryCode"`
	PlatformName    string           `json:"platformName"`
	OSName          string           `json:"operatingSystemName"`
	OSVersion       *string          `json:"operatingSystemVersion"`
	BrowserName     string           `json:"browserName"`
	BrowserVersion  *string          `json:"browserVersion"`
	ViewportWidth   int              `json:"viewportWidth"`
	ViewportHeight  int              `json:"viewportHeight"`
	DeployedVersion *string          `json:"deploymentVersion"`
	URL             string           `json:"applicationUrl"`
	PageViews       *[]v3PageView    `json:"pageViews,omitempty"`
	Errors          *[]v3SessionFail `json:"errors,omitempty"`
}

type v3PageView struct {
	Page     string `json:"pageIdentifier"`
	ViewedAt string `json:"viewedAt"`
	URL      string `json:"applicationUrl"`
}

type v3SessionFail struct {
	Group      string `json:"errorGroupIdentifier"`
	OccurredAt string `json:"occurredAt"`
	URL        string `json:"applicationUrl"`
}

func (v *v3) sessionView(a *v3App, i int32) v3Session {
	c := a.company
	w := &c.rows[i]
	s := c.detail(int(i))
	known := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	out := v3Session{
		Identifier: base36(s.ID), Application: a.id, Customer: base36(c.raygunUserID(w.person)), IsActive: s.Active,
		StartedAt: stamp(s.Start), UpdatedAt: stamp(s.Updated), IPAddress: s.IP, CountryCode: known(s.Country),
		PlatformName: s.Platform, OSName: s.OS, OSVersion: known(s.OSVersion), BrowserName: s.Browser, BrowserVersion: known(s.BrowserVersion),
		DeployedVersion: known(c.deployed(w)), URL: v.s.raygun.web("sessions/" + strconv.FormatInt(s.ID, 10)),
	}
	out.ViewportWidth, out.ViewportHeight = c.viewport(w)
	if !s.Active {
		out.EndedAt = new(stamp(s.End))
	}
	return out
}

// deployed is the version that a session ran. The documentation and the pricing
// page, which some visitors see alone, tell none.
func (c *Company) deployed(w *row) string {
	if !c.includes(w, func(p int) bool { return p != pgDocs && p != pgPricing }) {
		return ""
	}
	return version(c.daysAgo(w.start))
}

// viewport is the size of a person's window on a device.
func (c *Company) viewport(w *row) (width, height int) {
	d := c.cat.devices[w.device]
	sizes := [][2]int{{1920, 945}, {1536, 730}, {1440, 789}, {1280, 593}, {2560, 1289}}
	switch {
	case d.platform == "iPhone":
		sizes = [][2]int{{393, 659}, {390, 664}, {430, 739}}
	case d.platform == "iPad":
		sizes = [][2]int{{820, 1106}, {1024, 1292}}
	case d.os == "Android":
		sizes = [][2]int{{412, 785}, {384, 704}, {360, 640}}
	}
	at := sizes[mix(c.seed+8, uint64(w.person)*16+uint64(w.device))%uint64(len(sizes))]
	return at[0], at[1]
}

func (v *v3) listSessions(w http.ResponseWriter, r *http.Request, a *v3App, _ []string) {
	q, ok := v.readList(w, r, "customerIdentifier", "startedAt", "updatedAt", "endedAt", "countryCode", "platformName", "operatingSystemName",
		"operatingSystemVersion", "browserName", "browserVersion", "viewportWidth", "viewportHeight", "deploymentVersion")
	if !ok {
		return
	}
	uri, ok := readXHRFilter(r.URL.Query())
	switch {
	case !ok:
		v.problem(w, http.StatusBadRequest, "filter must be of the form: xhr.uri eq https://example.com")
		return
	case r.URL.Query().Has("filter") && len(q.order) > 0:
		v.problem(w, http.StatusBadRequest, "filter cannot be used with orderby.")
		return
	}
	var rows []int32
	if c := a.company; c != nil {
		pages := c.callers(uri)
		for i := range c.SessionCount() {
			if row := &c.rows[i]; uri == "" || c.includes(row, func(p int) bool { return slices.Contains(pages, p) }) {
				rows = append(rows, int32(i))
			}
		}
		if c == v.s.company {
			rows = v.s.disorder.arrived(rows)
		}
		c.order(rows, q.order, v.s.live())
	}
	writeList(v, w, q, rows, func(i int32) v3Session { return v.sessionView(a, i) })
}

// callers are the pages that make a request to the address. A number in it
// stands for any: every item has its own.
func (c *Company) callers(uri string) []int {
	path := strings.Split(strings.TrimPrefix(uri, "https://api.example.com"), "/")
	var out []int
	for i, p := range c.cat.pages {
		for _, call := range p.calls {
			_, want, _ := strings.Cut(call, " ")
			if slices.EqualFunc(strings.Split(want, "/"), path, func(w, got string) bool {
				_, err := strconv.Atoi(got)
				return w == got || w == "%d" && err == nil
			}) {
				out = append(out, i)
				break
			}
		}
	}
	return out
}

// order sorts rows, which come oldest first. Without orderby it is v1's: newest
// first, in the live dialect oldest first.
func (c *Company) order(rows []int32, order []v3Order, live bool) {
	if len(order) == 0 {
		if !live {
			slices.Reverse(rows)
		}
		return
	}
	if order[0].field == "startedAt" && len(order) == 1 { // already is
		if order[0].desc {
			slices.Reverse(rows)
		}
		return
	}
	now := c.nowMS()
	sortBy(rows, order, func(field string, a, b int32) int { return c.compareRows(field, &c.rows[a], &c.rows[b], now) })
}

func (c *Company) compareRows(field string, a, b *row, now int64) int {
	da, db := &c.cat.devices[a.device], &c.cat.devices[b.device]
	switch field {
	case "customerIdentifier": // all have the same number of digits
		return cmp.Compare(c.raygunUserID(a.person), c.raygunUserID(b.person))
	case "startedAt":
		return cmp.Compare(a.start, b.start)
	case "updatedAt":
		return cmp.Compare(min(now, a.start+int64(a.length)), min(now, b.start+int64(b.length)))
	case "endedAt": // none comes first
		end := func(w *row) int64 {
			if e := w.start + int64(w.length); e+idleMS <= now {
				return e
			}
			return 0
		}
		return cmp.Compare(end(a), end(b))
	case "countryCode":
		return cmp.Compare(c.cat.places[a.place].code, c.cat.places[b.place].code)
	case "platformName":
		return cmp.Compare(da.platform, db.platform)
	case "operatingSystemName":
		return cmp.Compare(da.os, db.os)
	case "operatingSystemVersion":
		return cmp.Compare(da.osVersion, db.osVersion)
	case "browserName":
		return cmp.Compare(da.browser, db.browser)
	case "browserVersion":
		return cmp.Compare(da.browserVersion, db.browserVersion)
	case "deploymentVersion":
		return cmp.Compare(c.deployed(a), c.deployed(b))
	}
	wa, ha := c.viewport(a)
	wb, hb := c.viewport(b)
	if field == "viewportWidth" {
		return cmp.Compare(wa, wb)
	}
	return cmp.Compare(ha, hb)
}

func (v *v3) session(w http.ResponseWriter, r *http.Request, a *v3App, args []string) {
	include := map[string]bool{}
	for _, list := range r.URL.Query()["include"] {
		for what := range strings.SplitSeq(list, ",") {
			if what != "pageViews" && what != "errors" {
				v.problem(w, http.StatusBadRequest, "include must be made of pageViews and errors.")
				return
			}
			include[what] = true
		}
	}
	id, ok := fromBase36(args[0])
	if !ok || a.company == nil {
		v.missing(w, "session")
		return
	}
	i, ok := a.company.rowByID(id)
	if !ok {
		v.missing(w, "session")
		return
	}
	out, s := v.sessionView(a, int32(i)), a.company.detail(i)
	if include["pageViews"] {
		list := make([]v3PageView, 0, len(s.PageViews))
		for n, p := range s.PageViews {
			list = append(list, v3PageView{a.pages[a.pageOf[p.URL]].id, stamp(p.At), fmt.Sprintf("%s?view=%d", out.URL, n)})
		}
		out.PageViews = &list
	}
	if include["errors"] {
		list := make([]v3SessionFail, 0, len(s.Errors))
		for _, e := range s.Errors {
			list = append(list, v3SessionFail{base36(e.GroupID), stamp(e.At), v.s.raygun.web(fmt.Sprintf("errors/%d/instances/%d?session=%d", e.GroupID, e.InstanceID, s.ID))})
		}
		out.Errors = &list
	}
	writeJSON(w, http.StatusOK, out)
}
