package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/gqlerrors"
)

// LogRocket publishes no GraphQL schema, so this one is the sandbox's own. It is
// found by introspection, as a client must find the real one.

// graphql answers a query. A query that cannot run gets 400 in the contract's
// dialect and 200 in the live one; errors while running come with 200 and
// whatever data there is.
func (k *rocket) graphql(w http.ResponseWriter, r *http.Request) {
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	var in struct {
		Query         string         `json:"query"`
		Variables     map[string]any `json:"variables"`
		OperationName string         `json:"operationName"`
	}
	malformed := func(msg string) {
		writeJSON(w, http.StatusBadRequest, map[string]any{"errors": []map[string]any{{"message": msg}}})
	}
	if json.Unmarshal(body, &in) != nil {
		malformed("The request body is not valid JSON.")
		return
	}
	if strings.TrimSpace(in.Query) == "" {
		malformed("Must provide query string.")
		return
	}
	res := graphql.Do(graphql.Params{Schema: k.schema, RequestString: in.Query, VariableValues: in.Variables, OperationName: in.OperationName, Context: r.Context()})
	out := map[string]any{}
	if res.Data != nil {
		out["data"] = res.Data
	}
	if len(res.Errors) > 0 {
		out["errors"] = k.graphqlErrors(res.Errors)
	}
	code := http.StatusOK
	if res.Data == nil && !k.s.live() && !slices.ContainsFunc(res.Errors, func(e gqlerrors.FormattedError) bool { return len(e.Path) > 0 }) {
		code = http.StatusBadRequest // it never ran
	}
	writeJSON(w, code, out)
}

// graphqlErrors gives each error its place. The contract has a path of strings,
// GraphQL itself numbers for places in a list.
func (k *rocket) graphqlErrors(errs []gqlerrors.FormattedError) []map[string]any {
	out := make([]map[string]any, 0, len(errs))
	for _, e := range errs {
		one := map[string]any{"message": e.Message}
		if len(e.Locations) > 0 {
			one["locations"] = e.Locations
		}
		if len(e.Path) > 0 {
			path := slices.Clone(e.Path)
			if !k.s.live() {
				for i := range path {
					path[i] = fmt.Sprint(path[i])
				}
			}
			one["path"] = path
		}
		if len(e.Extensions) > 0 {
			one["extensions"] = e.Extensions
		}
		out = append(out, one)
	}
	return out
}

// field makes a schema's field from a func over its parent.
func field[T any](t graphql.Output, desc string, f func(T) any) *graphql.Field {
	return &graphql.Field{Type: t, Description: desc, Resolve: func(p graphql.ResolveParams) (any, error) {
		v := f(p.Source.(T))
		if err, ok := v.(error); ok {
			return nil, err
		}
		return v, nil
	}}
}

// fillShared has the library fill what all of its schemas share. It does so when
// they are first asked for, without a lock, and several sandboxes in one process
// would get in each other's way there.
var fillShared = sync.OnceFunc(func() {
	nothing := graphql.NewObject(graphql.ObjectConfig{Name: "Query", Fields: graphql.Fields{"nothing": {Type: graphql.String}}})
	_, _ = graphql.NewSchema(graphql.SchemaConfig{Query: nothing})
	for _, e := range []*graphql.Enum{graphql.TypeKindEnumType, graphql.DirectiveLocationEnumType} {
		v := e.Values()[0]
		e.Serialize(v.Value)
		e.ParseValue(v.Name)
	}
})

func (k *rocket) newSchema() (graphql.Schema, error) {
	fillShared()
	text, num := graphql.String, graphql.Int
	pageView := graphql.NewObject(graphql.ObjectConfig{Name: "PageView", Description: "One page opened in a session.", Fields: graphql.Fields{
		"url": field(text, "Address of the page.", func(v PageView) any { return v.URL }), "title": field(text, "", func(v PageView) any { return v.Name }),
		"time": field(graphql.DateTime, "", func(v PageView) any { return v.At }), "loadTimeMs": field(num, "", func(v PageView) any { return v.Loading.Milliseconds() }),
	}})
	pageError := graphql.NewObject(graphql.ObjectConfig{Name: "SessionError", Description: "One error in a session.", Fields: graphql.Fields{
		"message": field(text, "", func(e PageError) any { return e.Title }), "time": field(graphql.DateTime, "", func(e PageError) any { return e.At }),
	}})
	session := graphql.NewObject(graphql.ObjectConfig{Name: "Session", Description: "One recorded session.", Fields: graphql.Fields{
		"recordingID": field(text, "", func(s Session) any { return s.Recording.RecordingID }), "sessionID": field(num, "", func(s Session) any { return s.Recording.SessionID }),
		"startedAt": field(graphql.DateTime, "", func(s Session) any { return s.Start }), "durationMs": field(num, "", func(s Session) any { return s.Length.Milliseconds() }),
		"browser": field(text, "", func(s Session) any { return s.Browser }), "os": field(text, "", func(s Session) any { return s.OS }),
		"country": field(text, "Two letters.", func(s Session) any { return s.Country }), "city": field(text, "", func(s Session) any { return s.City }),
		"url":         field(text, "Opens the recording.", func(s Session) any { return k.moment(&s, s.Start) }),
		"pageViews":   field(graphql.NewList(pageView), "", func(s Session) any { return s.PageViews }),
		"errors":      field(graphql.NewList(pageError), "", func(s Session) any { return s.Errors }),
		"note":        field(text, "What setSessionNote set.", func(s Session) any { return k.note(s.Recording) }),
		"rageClicks":  field(num, "Not counted for sessions with errors: asking for it there is an error with a path.", rageClicks),
		"userEmail":   field(text, "", func(s Session) any { return customerField(s, func(c *Customer) string { return c.Email }) }),
		"userID":      field(text, "", func(s Session) any { return customerField(s, func(c *Customer) string { return c.UserID }) }),
		"isAnonymous": field(graphql.Boolean, "", func(s Session) any { return s.Customer == nil }),
	}})
	trait := graphql.NewObject(graphql.ObjectConfig{Name: "Trait", Fields: graphql.Fields{
		"name": field(text, "", func(t [2]string) any { return t[0] }), "value": field(text, "", func(t [2]string) any { return t[1] }),
	}})
	user := graphql.NewObject(graphql.ObjectConfig{Name: "User", Description: "One identified person.", Fields: graphql.Fields{
		"userID": field(graphql.NewNonNull(text), "", func(c Customer) any { return c.UserID }), "name": field(text, "", func(c Customer) any { u, _ := k.user(c.UserID); return u.Name }),
		"email": field(text, "", func(c Customer) any { u, _ := k.user(c.UserID); return u.Email }), "traits": field(graphql.NewList(trait), "", func(c Customer) any { return k.traitList(c.UserID) }),
		"sessions": {Type: graphql.NewList(session), Args: listArgs(nil), Resolve: func(p graphql.ResolveParams) (any, error) {
			return k.sessionList(p, []int32{int32(p.Source.(Customer).index)})
		}},
	}})
	errorStat := graphql.NewObject(graphql.ObjectConfig{Name: "ErrorStat", Description: "How often an error came up.", Fields: graphql.Fields{
		"message": field(text, "", func(s stat) any { return s.name }), "count": field(num, "", func(s stat) any { return s.n }), "sessions": field(num, "", func(s stat) any { return s.sessions }), "lastSeen": field(graphql.DateTime, "", func(s stat) any { return s.last }),
	}})
	pageStat := graphql.NewObject(graphql.ObjectConfig{Name: "PageStat", Description: "How a page performed.", Fields: graphql.Fields{
		"title": field(text, "", func(s stat) any { return s.name }), "views": field(num, "", func(s stat) any { return s.n }), "averageLoadMs": field(graphql.Float, "", func(s stat) any { return s.sum / float64(max(1, s.n)) }),
	}})
	query := graphql.NewObject(graphql.ObjectConfig{Name: "Query", Fields: graphql.Fields{
		"sessions": {Type: graphql.NewList(session), Description: "Recorded sessions, newest first.", Args: listArgs(graphql.FieldConfigArgument{
			"userEmail": {Type: text}, "userID": {Type: text}}), Resolve: k.resolveSessions},
		"session": {Type: session, Args: graphql.FieldConfigArgument{"recordingID": {Type: graphql.NewNonNull(text)}, "sessionID": {Type: num, DefaultValue: 0}}, Resolve: k.resolveSession},
		"users": {Type: graphql.NewList(user), Description: "Identified people.", Args: graphql.FieldConfigArgument{
			"search": {Type: text, Description: "Part of an email or name."}, "first": {Type: num, DefaultValue: 20}, "offset": {Type: num, DefaultValue: 0}}, Resolve: k.resolveUsers},
		"user":   {Type: user, Args: graphql.FieldConfigArgument{"email": {Type: text}, "userID": {Type: text}}, Resolve: k.resolveUser},
		"errors": {Type: graphql.NewList(errorStat), Description: "Errors by how often they came up.", Args: spanArgs(), Resolve: func(p graphql.ResolveParams) (any, error) { e, _, err := k.stats(p); return e, err }},
		"pages":  {Type: graphql.NewList(pageStat), Description: "Pages by views.", Args: spanArgs(), Resolve: func(p graphql.ResolveParams) (any, error) { _, s, err := k.stats(p); return s, err }},
	}})
	mutation := graphql.NewObject(graphql.ObjectConfig{Name: "Mutation", Fields: graphql.Fields{
		"setSessionNote": {Type: session, Args: graphql.FieldConfigArgument{"recordingID": {Type: graphql.NewNonNull(text)}, "sessionID": {Type: num, DefaultValue: 0}, "note": {Type: graphql.NewNonNull(text)}}, Resolve: k.setNote},
	}})
	return graphql.NewSchema(graphql.SchemaConfig{Query: query, Mutation: mutation})
}

func rageClicks(s Session) any {
	if len(s.Errors) > 0 {
		return fmt.Errorf("rage clicks of session %s are not available", s.Recording)
	}
	return int(s.seed % 4)
}

func customerField(s Session, f func(*Customer) string) any {
	if s.Customer == nil {
		return nil
	}
	return f(s.Customer)
}

func (k *rocket) traitList(userID string) [][2]string {
	u, _ := k.user(userID)
	out := make([][2]string, 0, len(u.Traits))
	for n, v := range u.Traits {
		out = append(out, [2]string{n, v})
	}
	sort.Slice(out, func(i, j int) bool { return out[i][0] < out[j][0] })
	return out
}

func spanArgs() graphql.FieldConfigArgument {
	return graphql.FieldConfigArgument{"from": {Type: graphql.DateTime, Description: "Default: a day ago."}, "to": {Type: graphql.DateTime, Description: "Default: now."}}
}

func listArgs(more graphql.FieldConfigArgument) graphql.FieldConfigArgument {
	a := spanArgs()
	a["first"] = &graphql.ArgumentConfig{Type: graphql.Int, DefaultValue: 20, Description: "At most 100."}
	a["hasErrors"] = &graphql.ArgumentConfig{Type: graphql.Boolean}
	for n, v := range more {
		a[n] = v
	}
	return a
}

// span reads from and to; days is how far back it goes when from is absent.
func (k *rocket) span(p graphql.ResolveParams, days int) (from, to int64) {
	now := k.s.opts.Now()
	from, to = now.AddDate(0, 0, -days).UnixMilli(), now.UnixMilli()
	if t, ok := p.Args["from"].(time.Time); ok {
		from = t.UnixMilli()
	}
	if t, ok := p.Args["to"].(time.Time); ok {
		to = min(to, t.UnixMilli())
	}
	return from, to
}

func (k *rocket) resolveSessions(p graphql.ResolveParams) (any, error) {
	c := k.s.company
	if email, ok := p.Args["userEmail"].(string); ok {
		return k.sessionList(p, c.byEmail[strings.ToLower(email)])
	}
	if id, ok := p.Args["userID"].(string); ok {
		var people []int32
		if i, ok := c.byUserID[id]; ok {
			people = append(people, i)
		}
		return k.sessionList(p, people)
	}
	from, to := k.span(p, 30)
	n, err := firstArg(p)
	if err != nil {
		return nil, err
	}
	out := []Session{}
	for i := c.rowsBefore(to+1) - 1; i >= 0 && c.rows[i].start >= from && len(out) < n; i-- {
		if c.rows[i].recorded {
			out = k.keep(p, out, i)
		}
	}
	return out, nil
}

func (k *rocket) sessionList(p graphql.ResolveParams, people []int32) (any, error) {
	n, err := firstArg(p)
	if err != nil {
		return nil, err
	}
	from, to := k.span(p, 30)
	out := []Session{}
	for _, i := range k.s.company.recordedOf(people, from, to, 5000) {
		if out = k.keep(p, out, i); len(out) == n {
			break
		}
	}
	return out, nil
}

func (k *rocket) keep(p graphql.ResolveParams, out []Session, row int) []Session {
	s := k.s.company.detail(row)
	if want, ok := p.Args["hasErrors"].(bool); ok && want != (len(s.Errors) > 0) {
		return out
	}
	return append(out, s)
}

func firstArg(p graphql.ResolveParams) (int, error) {
	n, _ := p.Args["first"].(int)
	if n < 1 || n > 100 {
		return 0, fmt.Errorf("first must be between 1 and 100, not %d", n)
	}
	return n, nil
}

func (k *rocket) resolveSession(p graphql.ResolveParams) (any, error) {
	rec, number := p.Args["recordingID"].(string), p.Args["sessionID"].(int)
	row, ok := k.s.company.rowByRecording(Recording{rec, number})
	if !ok {
		return nil, fmt.Errorf("session %s/%s not found", rec, strconv.Itoa(number))
	}
	return k.s.company.detail(row), nil
}

func (k *rocket) resolveUser(p graphql.ResolveParams) (any, error) {
	c := k.s.company
	if id, ok := p.Args["userID"].(string); ok {
		if i, ok := c.byUserID[id]; ok {
			return c.customers[i], nil
		}
		return nil, fmt.Errorf("user %q not found", id)
	}
	email, _ := p.Args["email"].(string)
	if l := c.byEmail[strings.ToLower(email)]; len(l) > 0 {
		return c.customers[l[0]], nil
	}
	return nil, fmt.Errorf("user %q not found", email)
}

func (k *rocket) resolveUsers(p graphql.ResolveParams) (any, error) {
	n, err := firstArg(p)
	if err != nil {
		return nil, err
	}
	search, _ := p.Args["search"].(string)
	search = strings.ToLower(search)
	skip, _ := p.Args["offset"].(int)
	out := []Customer{}
	for _, c := range k.s.company.customers {
		if search != "" && !strings.Contains(strings.ToLower(c.Email+"\n"+c.FullName), search) {
			continue
		}
		if skip--; skip >= 0 {
			continue
		}
		if out = append(out, c); len(out) == n {
			break
		}
	}
	return out, nil
}

// stat sums up an error or a page over some time.
type stat struct {
	name     string
	n        int
	sessions int
	sum      float64
	last     time.Time
}

// statSessions bounds what one query may read.
const statSessions = 10_000

func (k *rocket) stats(p graphql.ResolveParams) (errs, pages []stat, err error) {
	c := k.s.company
	from, to := k.span(p, 1)
	lo, hi := c.rowsBefore(from), c.rowsBefore(to+1)
	if hi-lo > statSessions {
		return nil, nil, fmt.Errorf("from and to span %d sessions; at most %d can be summed up at once", hi-lo, statSessions)
	}
	errs, pages = make([]stat, len(c.cat.errors)), make([]stat, len(c.cat.pages))
	for i := lo; i < hi; i++ {
		s := c.detail(i)
		counted := map[int]bool{}
		for _, e := range s.Errors {
			x := &errs[e.group]
			x.name, x.last = e.Title, e.At
			x.n++
			if !counted[e.group] {
				counted[e.group] = true
				x.sessions++
			}
		}
		for _, v := range s.PageViews {
			x := &pages[v.page]
			x.name = v.Name
			x.n++
			x.sum += float64(v.Loading.Milliseconds())
		}
	}
	return ranked(errs), ranked(pages), nil
}

func ranked(all []stat) []stat {
	all = slices.DeleteFunc(all, func(s stat) bool { return s.n == 0 })
	sort.Slice(all, func(i, j int) bool { return all[i].n > all[j].n })
	return all
}

func (k *rocket) setNote(p graphql.ResolveParams) (any, error) {
	s, err := k.resolveSession(p)
	if err != nil {
		return nil, err
	}
	note := p.Args["note"].(string)
	if len(note) > maxText {
		return nil, fmt.Errorf("note too large (max %d characters)", maxText)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.notes) < keptJobs {
		k.notes[s.(Session).Recording.String()] = note
	}
	return s, nil
}

func (k *rocket) note(r Recording) any {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n, ok := k.notes[r.String()]; ok {
		return n
	}
	return nil
}
