package raygun

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
)

// ListQuery selects a part of a list.
type ListQuery struct {
	// Skip leaves out that many entries from the start.
	Skip int
	// Limit is how many to return, at most MaxLimit; 0 means MaxLimit.
	Limit int
	// Recent asks for what was seen last first. It is good for the first page, to
	// learn the names of what is in use; for walking a list leave it false, because
	// then the order is one in which nothing moves.
	Recent bool
}

// List is a part of a list.
type List[T any] struct {
	Items []T
	// Received is how many rows came, Unreadable how many of them had no
	// identifier and are left out.
	Received, Unreadable int
	// Listed is how many there are in all, or -1 if the answer did not say.
	Listed int
	// More says whether there seems to be another page, at NextSkip.
	More       bool
	NextSkip   int
	ReceivedAt time.Time
	Rate       RateLimit
}

// Application is one application that a token may see.
type Application struct {
	// ID is what OptionsV3.Application takes.
	ID, PlanID, Name string
	// APIKey is the key that v1 and the site's SDK use.
	APIKey secrets.Secret
	// HasRUM says that it has sent Real User Monitoring data.
	HasRUM bool
	// RUMType is the vendor's word: "web", "mobile" or "notSet".
	RUMType string
}

// Page is a page of a site or a view of a mobile application.
type Page struct {
	ID string
	// URI is that of a web page, Name that of a mobile view. Hostile text.
	URI, Name string
	// Type is the vendor's word.
	Type     string
	LastSeen time.Time
}

// Label is what to show for the page, as PageView.Page.
func (p Page) Label() string {
	if p.URI != "" {
		return p.URI
	}
	return p.Name
}

// ErrorGroup is one error, however often it occurred.
type ErrorGroup struct {
	ID string
	// Message is hostile text.
	Message string
	// Status is the vendor's word: "active", "resolved", "ignored" or
	// "permanentlyIgnored".
	Status                string
	LastOccurred, Created time.Time
	// ResolvedIn is the version it was resolved in, empty if there is none.
	ResolvedIn string
	// WebLink is the group's page in Raygun's app, empty if the answer held none
	// that may be shown.
	WebLink string
}

// maxApplicationPages bounds Applications. No token sees 10,000 of them.
const maxApplicationPages = 20

// Applications returns every application that the token may see, in an order
// that stays. It needs no OptionsV3.Application.
func (v *V3) Applications(ctx context.Context) ([]Application, error) {
	var all []Application
	seen := map[string]bool{}
	q := ListQuery{}
	for range maxApplicationPages {
		page, err := v.applications(ctx, q)
		if err != nil {
			return nil, err
		}
		before := len(all)
		for _, one := range page.Items {
			if !seen[one.ID] {
				seen[one.ID] = true
				all = append(all, one)
			}
		}
		// A page with nothing new means that the server does not mind the offset.
		if !page.More || len(all) == before {
			break
		}
		q.Skip = page.NextSkip
	}
	return all, nil
}

func (v *V3) applications(ctx context.Context, q ListQuery) (List[Application], error) {
	list, err := listOf(ctx, v, listing[Application]{
		operation: "list-applications", scope: scopeApplications, path: "/applications", wrapped: "applications",
		order: "apikey", read: v.readApplication,
	}, q)
	return list, withoutKeys(err)
}

// Application returns the client's own application. An unknown one is of kind
// NotFound.
func (v *V3) Application(ctx context.Context) (Application, error) {
	const operation = "get-application-by-identifier"
	path, err := v.under(operation)
	if err != nil {
		return Application{}, err
	}
	app, err := getOne(ctx, v, question{operation: operation, scope: scopeApplications, path: path}, v.readApplication)
	return app, withoutKeys(err)
}

// Customer returns one user by v3's identifier: User.ID of a session.
func (v *V3) Customer(ctx context.Context, id string) (User, error) {
	const operation = "get-customer-by-identifier"
	path, err := v.under(operation, "customers", strings.TrimSpace(id))
	if err != nil {
		return User{}, err
	}
	return getOne(ctx, v, question{operation: operation, scope: scopeCustomers, path: path}, readCustomer)
}

// Customers returns users: 500 for the price of one, so it is the way to learn
// many. Walking goes from the longest known to the newest.
func (v *V3) Customers(ctx context.Context, q ListQuery) (List[User], error) {
	return listOf(ctx, v, listing[User]{
		operation: "list-customers", scope: scopeCustomers, part: "customers", wrapped: "customers",
		order: "firstSeenAt", recent: "lastSeenAt desc", read: readCustomer,
	}, q)
}

// Page returns one page by PageView.PageID.
func (v *V3) Page(ctx context.Context, id string) (Page, error) {
	const operation = "get-page"
	path, err := v.under(operation, "pages", strings.TrimSpace(id))
	if err != nil {
		return Page{}, err
	}
	return getOne(ctx, v, question{operation: operation, scope: scopePages, path: path}, readPageInfo)
}

// Pages returns pages, 500 for the price of one.
func (v *V3) Pages(ctx context.Context, q ListQuery) (List[Page], error) {
	return listOf(ctx, v, listing[Page]{
		operation: "list-pages", scope: scopePages, part: "pages", wrapped: "pages",
		order: "uri,name", recent: "lastSeenAt desc", read: readPageInfo, // one of the two is empty
	}, q)
}

// ErrorGroup returns one error group by SessionError.GroupID.
func (v *V3) ErrorGroup(ctx context.Context, id string) (ErrorGroup, error) {
	const operation = "get-error-group"
	path, err := v.under(operation, "error-groups", strings.TrimSpace(id))
	if err != nil {
		return ErrorGroup{}, err
	}
	return getOne(ctx, v, question{operation: operation, scope: scopeErrors, path: path}, v.readErrorGroup)
}

// ErrorGroups returns error groups, 500 for the price of one.
func (v *V3) ErrorGroups(ctx context.Context, q ListQuery) (List[ErrorGroup], error) {
	return listOf(ctx, v, listing[ErrorGroup]{
		operation: "list-error-groups", scope: scopeErrors, part: "error-groups", wrapped: "errorgroups",
		order: "createdAt", recent: "lastOccurredAt desc", read: v.readErrorGroup,
	}, q)
}

// listing is how one list is asked for and read.
type listing[T any] struct {
	operation, scope string
	// part is the list's place below the application; path the whole instead.
	part, path string
	// wrapped is the key under which the list may stand, in lower case.
	wrapped string
	// order is by something that never changes, so that entries keep their place
	// while one walks; recent is by what was seen last, empty if there is none.
	order, recent string
	// read returns false for a row without an identifier.
	read func(upstream.Object) (T, bool)
}

func listOf[T any](ctx context.Context, v *V3, l listing[T], q ListQuery) (List[T], error) {
	path := l.path
	if path == "" {
		var err error
		if path, err = v.under(l.operation, l.part); err != nil {
			return List[T]{}, err
		}
	}
	query, err := v.listQuery(l.operation, q.Skip, &q.Limit)
	if err != nil {
		return List[T]{}, err
	}
	query.Set("orderby", l.order)
	if q.Recent && l.recent != "" {
		query.Set("orderby", l.recent)
	}
	var list List[T]
	ask := question{operation: l.operation, scope: l.scope, method: http.MethodGet, path: path, query: query}
	answer, err := v.ask(ctx, ask, func(body []byte) error {
		rows, err := rowsOf(body, l.wrapped)
		list = List[T]{Received: len(rows)}
		for _, row := range rows {
			object, _ := upstream.ParseObject(row)
			if item, ok := l.read(object); ok {
				list.Items = append(list.Items, item)
			} else {
				list.Unreadable++
			}
		}
		return err
	})
	if err != nil {
		return List[T]{}, err
	}
	list.NextSkip, list.Listed = q.Skip+list.Received, listed(answer.Header)
	list.More = more(list.Received, q.Limit, list.NextSkip, list.Listed)
	list.ReceivedAt, list.Rate = answer.ReceivedAt, rateLimit(answer.Header)
	return list, nil
}

func getOne[T any](ctx context.Context, v *V3, q question, read func(upstream.Object) (T, bool)) (T, error) {
	var one T
	q.method = http.MethodGet
	_, err := v.ask(ctx, q, func(body []byte) error {
		object, _ := upstream.ParseObject(body)
		var ok bool
		if one, ok = read(object); !ok {
			return errors.New("the answer is not what was asked for: it has no identifier")
		}
		return nil
	})
	if err != nil {
		var none T
		return none, err
	}
	return one, nil
}

// rowsOf reads a bare list, as the document has it, or one within an object.
func rowsOf(body []byte, wrapped string) ([]json.RawMessage, error) {
	if rows := upstream.List(body); rows != nil {
		return rows, nil
	}
	object, _ := upstream.ParseObject(body)
	for _, key := range []string{wrapped, "items", "data", "value"} {
		if rows := object.List(key); rows != nil {
			return rows, nil
		}
	}
	return nil, errors.New("the answer is not a list")
}

// withoutKeys drops the beginning of an answer that could not be read:
// applications come with their keys.
func withoutKeys(err error) error {
	var failed *upstream.Error
	if errors.As(err, &failed) && strings.Contains(strings.ToLower(failed.First), "apikey") {
		failed.First = ""
	}
	return err
}

func (v *V3) readApplication(o upstream.Object) (Application, bool) {
	a := Application{
		ID: upstream.ID(o["identifier"]), PlanID: upstream.ID(o["planidentifier"]), Name: o.Text("name"),
		APIKey: secrets.New(o.Text("apikey")), HasRUM: o.Bool("hassentrumdata"), RUMType: o.Text("rumdatatype"),
	}
	return a, a.ID != ""
}

func readCustomer(o upstream.Object) (User, bool) {
	u := User{
		ID: upstream.ID(o["identifier"]), Identifier: o.Text("externalidentifier"), Email: o.Text("emailaddress"),
		FirstName: o.Text("firstname"), FullName: o.Text("fullname"), Anonymous: o.Bool("isanonymous"),
		FirstSeen: o.Time("firstseenat"), LastSeen: o.Time("lastseenat"),
	}
	return u, u.ID != ""
}

func readPageInfo(o upstream.Object) (Page, bool) {
	p := Page{
		ID: upstream.ID(o["identifier"]), URI: o.Text("uri"), Name: o.Text("name"), Type: o.Text("type"), LastSeen: o.Time("lastseenat"),
	}
	return p, p.ID != ""
}

func (v *V3) readErrorGroup(o upstream.Object) (ErrorGroup, bool) {
	g := ErrorGroup{
		ID: upstream.ID(o["identifier"]), Message: o.Text("message"), Status: o.Text("status"),
		LastOccurred: o.Time("lastoccurredat"), Created: o.Time("createdat"),
		ResolvedIn: o.Object("resolvedin").Text("version"), WebLink: AppLink(v.up.Base(), o.Text("applicationurl")),
	}
	return g, g.ID != ""
}
