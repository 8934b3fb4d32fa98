package sandbox

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// v3App is an application as v3 has them: the company's, one that was only tried
// out, and one that sends crash reports alone.
type v3App struct {
	id, plan, name, key string
	hasCrash, hasRUM    bool
	company             *Company // nil without sessions

	pages  []v3Page
	pageOf map[string]int // index into pages by URL

	mu   sync.Mutex
	asOf int64 // the minute (ms) of which the times below tell
	page []int64
	errs []int64
}

func newV3Apps(s *Sandbox) []*v3App {
	other := func(n uint64) string { return base36(int64(mix(s.opts.Seed, n)%(1<<35) + 1<<35)) }
	plan := base36(int64(mix(s.opts.Seed, 40)%(1<<20) + 1<<20))
	apps := []*v3App{
		{id: s.creds.RaygunApplication, name: "Acme web", key: s.creds.RaygunAPIKey, hasCrash: true, hasRUM: true, company: s.company},
		{id: other(38), name: "Acme web (trial of the new shop)", key: s.secret("raygun api key of the trial", 22), hasRUM: true, company: newTrial(s.opts)},
		{id: other(39), name: "Acme warehouse service", key: s.secret("raygun api key of the service", 22), hasCrash: true},
	}
	for _, a := range apps {
		a.plan = plan
		if a.company != nil {
			a.makePages()
		}
	}
	return apps
}

// newTrial is a company of the same customers who came four times last week.
func newTrial(o Options) *Company {
	c := &Company{seed: o.Seed + 1, now: o.Now, today: o.Now().UTC().Truncate(24 * time.Hour).UnixMilli(), cat: newCatalog(), visitors: 1}
	r := rand.New(rand.NewPCG(c.seed, uint64(c.today)))
	c.makeCustomers(0, r)
	for person := range 4 {
		c.addRow(r, c.today-6*dayMS, 6, person)
	}
	c.linkRows()
	return c
}

type v3Application struct {
	Identifier string `json:"identifier"`
	Plan       string `json:"planIdentifier"`
	Name       string `json:"name"`
	APIKey     string `json:"apiKey"`
	HasCrash   bool   `json:"hasSentCrashData"`
	HasAPM     bool   `json:"hasSentApmData"`
	HasRUM     bool   `json:"hasSentRumData"`
	RUMType    string `json:"rumDataType"`
}

func (a *v3App) view() v3Application {
	out := v3Application{a.id, a.plan, a.name, a.key, a.hasCrash, false, a.hasRUM, "notSet"}
	if a.hasRUM {
		out.RUMType = "web"
	}
	return out
}

func (v *v3) listApplications(w http.ResponseWriter, r *http.Request, _ []string) {
	q, ok := v.readList(w, r, "name", "apikey")
	if !ok {
		return
	}
	apps := slices.Clone(v.apps)
	sortBy(apps, q.order, func(field string, a, b *v3App) int {
		if field == "apikey" {
			return cmp.Compare(a.key, b.key)
		}
		return cmp.Compare(a.name, b.name)
	})
	writeList(v, w, q, apps, (*v3App).view)
}

func (v *v3) application(w http.ResponseWriter, _ *http.Request, a *v3App, _ []string) {
	writeJSON(w, http.StatusOK, a.view())
}

func (v *v3) applicationByKey(w http.ResponseWriter, _ *http.Request, args []string) {
	for _, a := range v.apps {
		if same(a.key, args[0]) {
			writeJSON(w, http.StatusOK, a.view())
			return
		}
	}
	v.missing(w, "application")
}

type v3Customer struct {
	Identifier  string  `json:"identifier"`
	Application string  `json:"applicationIdentifier"`
	External    *string `json:"externalIdentifier,omitempty"`
	Email       *string `json:"emailAddress,omitempty"`
	FirstName   *string `json:"firstName,omitempty"`
	FullName    *string `json:"fullName,omitempty"`
	IsAnonymous bool    `json:"isAnonymous"`
	FirstSeen   *string `json:"firstSeenAt,omitempty"`
	LastSeen    *string `json:"lastSeenAt,omitempty"`
}

// customerView leaves out what is not known; in the live dialect texts that are
// not known are empty, as v1's are.
func (v *v3) customerView(a *v3App, person int32) v3Customer {
	c := a.company
	out := v3Customer{Identifier: base36(c.raygunUserID(person)), Application: a.id, IsAnonymous: int(person) >= len(c.customers)}
	text := func(s string) *string {
		if s == "" && !v.s.live() {
			return nil
		}
		return &s
	}
	var p Customer
	if out.IsAnonymous {
		p.Identifier = c.visitorIdentifier(int(person))
	} else {
		p = c.customers[person]
	}
	out.External, out.Email, out.FirstName, out.FullName = text(p.Identifier), text(p.Email), text(p.FirstName), text(p.FullName)
	if first, last, ok := c.seen(person); ok {
		out.FirstSeen, out.LastSeen = new(stamp(msTime(first))), new(stamp(msTime(last)))
	}
	return out
}

func (v *v3) listCustomers(w http.ResponseWriter, r *http.Request, a *v3App, _ []string) {
	q, ok := v.readList(w, r, "isAnonymous", "firstSeenAt", "lastSeenAt")
	if !ok {
		return
	}
	type been struct {
		person      int32
		anon        int
		first, last int64
	}
	var people []been
	if c := a.company; c != nil {
		for p := range c.byPerson {
			if len(c.visible(c.byPerson[p])) == 0 {
				continue // Raygun knows those who came
			}
			b := been{person: int32(p)}
			if p >= len(c.customers) {
				b.anon = 1
			}
			b.first, b.last, _ = c.seen(b.person)
			people = append(people, b)
		}
	}
	sortBy(people, q.order, func(field string, a, b been) int {
		switch field {
		case "isAnonymous":
			return cmp.Compare(a.anon, b.anon)
		case "firstSeenAt":
			return cmp.Compare(a.first, b.first)
		}
		return cmp.Compare(a.last, b.last)
	})
	writeList(v, w, q, people, func(b been) v3Customer { return v.customerView(a, b.person) })
}

func (v *v3) customer(w http.ResponseWriter, _ *http.Request, a *v3App, args []string) {
	if a.company != nil {
		id, _ := fromBase36(args[0])
		if p, ok := a.company.personByID(id); ok && len(a.company.visible(a.company.byPerson[p])) > 0 {
			writeJSON(w, http.StatusOK, v.customerView(a, p))
			return
		}
	}
	v.missing(w, "customer")
}

// v3Order is one property of orderby.
type v3Order struct {
	field string
	desc  bool
}

// sortBy sorts stably by the properties in turn.
func sortBy[T any](list []T, order []v3Order, compare func(field string, a, b T) int) {
	if len(order) == 0 {
		return
	}
	sort.SliceStable(list, func(i, j int) bool {
		for _, o := range order {
			n := compare(o.field, list[i], list[j])
			if o.desc {
				n = -n
			}
			if n != 0 {
				return n < 0
			}
		}
		return false
	})
}

// readOrder reads properties separated by commas or given one by one: the
// specification has both forms.
func readOrder(values, fields []string) ([]v3Order, bool) {
	var out []v3Order
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			field, dir, _ := strings.Cut(strings.TrimSpace(one), " ")
			if !slices.Contains(fields, field) || dir != "" && dir != "desc" {
				return nil, false
			}
			out = append(out, v3Order{field, dir == "desc"})
		}
	}
	return out, true
}
