package handlers

import (
	"net/http"
	"strconv"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

// settings leads to the first page of the settings.
func (a *app) settings(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, orgPath(r, "settings/connections"), http.StatusSeeOther)
	return nil
}

// connections handles GET /settings/connections.
func (a *app) connections(w http.ResponseWriter, r *http.Request) error {
	all, err := a.Connections.All(r.Context(), orgOf(r))
	if err != nil {
		return err
	}
	v := templates.ConnectionsView{Tabs: settingsTabs(r, "connections"), Now: a.now()}
	if may(r, services.Admin) {
		v.NewURL = orgPath(r, "settings/connections/new")
	}
	for _, c := range all {
		row := templates.ConnectionRow{
			Name: c.Name, Vendor: string(c.Vendor), URL: connectionPath(r, c.ID), State: a.connectionState(c),
			CheckedAt: c.CheckedAt, RemovedAt: c.RemovedAt,
		}
		if c.Removed() {
			v.Removed = append(v.Removed, row)
			continue
		}
		b, err := a.Connections.Budget(r.Context(), orgOf(r), c.ID)
		if err != nil {
			return err
		}
		row.Budget = connectionBudget(b)
		v.Connections = append(v.Connections, row)
	}
	return a.page(w, r, http.StatusOK, "Connections", "settings", templates.ConnectionsPage(v))
}

func connectionPath(r *http.Request, id services.ConnectionID) string {
	return orgPath(r, "settings/connections/%d", id)
}

func connectionBudget(b services.Budget) templates.ConnectionBudget {
	return templates.ConnectionBudget{
		Left: b.Left, Spent: b.Spent, ByBackground: b.ByBackground, Others: b.Others, Allowance: b.Allowance, Reserve: b.Reserve, ResetsAt: b.ResetsAt, BlockedUntil: b.BlockedUntil,
	}
}

// connectionState says in a word whether a connection works.
func (a *app) connectionState(c services.Connection) templates.ConnectionState {
	switch {
	case c.Removed():
		return templates.ConnectionState{Label: "Removed", Tone: "neutral", Icon: "unplug"}
	case c.BlockedUntil.After(a.now()):
		return templates.ConnectionState{Label: "Asked to wait", Tone: "warn", Icon: "clock"}
	case c.CheckedAt.IsZero():
		return templates.ConnectionState{Label: "Not tested", Tone: "neutral", Icon: "circle-question-mark"}
	case c.CheckOK:
		return templates.ConnectionState{Label: "Works", Tone: "good", Icon: "circle-check"}
	}
	return templates.ConnectionState{Label: "Does not work", Tone: "bad", Icon: "circle-x"}
}

// newConnection handles GET /settings/connections/new: first which vendor,
// then its form.
func (a *app) newConnection(w http.ResponseWriter, r *http.Request) error {
	vendor := services.Vendor(r.URL.Query().Get("vendor"))
	if !vendor.IsRaygun() && vendor != services.LogRocket {
		here := orgPath(r, "settings/connections/new")
		return a.page(w, r, http.StatusOK, "Add a connection", "settings", templates.ConnectionChoicePage(templates.ConnectionChoiceView{
			RaygunURL: here + "?vendor=raygun", RaygunV3URL: here + "?vendor=raygun_v3", LogRocketURL: here + "?vendor=logrocket", BackURL: orgPath(r, "settings/connections"),
		}))
	}
	return a.connectionForm(w, r, http.StatusOK, services.ConnectionForm{Vendor: vendor, Sync: true, Details: true, Audit: true}, nil)
}

// readConnectionForm reads what was typed. Secrets stay as they were pasted,
// but for the white space around them.
func readConnectionForm(r *http.Request) (services.ConnectionForm, error) {
	if err := r.ParseForm(); err != nil {
		return services.ConnectionForm{}, badForm(err)
	}
	f := r.PostForm
	return services.ConnectionForm{
		Vendor: services.Vendor(f.Get("vendor")), Name: strings.TrimSpace(f.Get(services.FieldName)),
		APIKey:       services.NewSecret(f.Get(services.FieldAPIKey)),
		ClientID:     services.NewSecret(f.Get(services.FieldClientID)),
		ClientSecret: services.NewSecret(f.Get(services.FieldClientSecret)),
		Key:          services.NewSecret(f.Get(services.FieldKey)),
		Token:        services.NewSecret(f.Get(services.FieldToken)),
		OrgSlug:      strings.TrimSpace(f.Get(services.FieldOrgSlug)), AppSlug: strings.TrimSpace(f.Get(services.FieldAppSlug)),
		SlugsMeant: f.Get("slugs_meant") == "1", Sync: f.Get("sync") == "1", Details: f.Get(services.FieldDetails) == "1",
		Audit: f.Get(services.FieldAudit) == "1",
	}, nil
}

func (a *app) connectionForm(w http.ResponseWriter, r *http.Request, status int, f services.ConnectionForm, problems services.Problems) error {
	v := templates.ConnectionFormView{
		Vendor: string(f.Vendor), VendorLabel: f.Vendor.String(),
		Action: orgPath(r, "settings/connections"), BackURL: orgPath(r, "settings/connections"),
	}
	var err error
	if v.Again, err = a.removedBefore(r, f.Vendor); err != nil {
		return err
	}
	name := templates.FieldView{
		ID: "name", Name: services.FieldName, Label: "Name", Value: f.Name, Required: true, MaxLength: 80, Autofocus: len(problems) == 0, Autocomplete: "off",
		Hint: "What members call it, such as the name of the site.", Error: problems[services.FieldName],
	}
	v.Fields = append([]templates.FieldView{name}, credentialFields(f, problems, true)...)
	v.MeanSlugs = meanSlugs(f)
	v.Submit = templates.SpendView{Label: "Add and test", Icon: "plug", Left: -1}
	switch f.Vendor {
	case services.LogRocket:
		v.Audit, v.AuditOn = &templates.FieldView{ID: services.FieldAudit, Name: services.FieldAudit, Label: "Follow LogRocket's audit log", Value: "1",
			Hint: "Who of your colleagues watched which recording, read every 15 minutes. Customers' pages tell it then. It stops by itself if the plan or the key does not allow it."}, f.Audit
	case services.RaygunV3:
		v.Submit.Label, v.Submit.Calls = "Check the token", 1
		sync := syncField("Follows new sessions and fills the last 60 days, once the application is chosen. It leaves 1,000 of the 10,000 calls a day to people; that can be changed later.")
		details := detailsField("With what that leaves: at most 2,000 of the calls a day, up to 6 for each session that has ended.")
		v.Sync, v.SyncOn, v.Details, v.DetailsOn = &sync, f.Sync, &details, f.Details
	case services.Raygun:
		sync := syncField("Follows new sessions and fills the last 60 days. It spends up to 40 of the 50 calls a day, spread over the day, and leaves 10 to people; both can be changed later.")
		details := detailsField("Page views, errors and ratings, with what that leaves: at most 10 of the calls a day, one for each session that has ended.")
		v.Sync, v.SyncOn, v.Details, v.DetailsOn = &sync, f.Sync, &details, f.Details
	}
	return a.page(w, r, status, "Connect "+f.Vendor.String(), "settings", templates.ConnectionFormPage(v))
}

// credentialFields are the fields of a vendor's credentials. Secrets are
// written into no page, not even after a mistake.
func credentialFields(f services.ConnectionForm, problems services.Problems, required bool) []templates.FieldView {
	secret := func(name, label, hint string) templates.FieldView {
		return templates.FieldView{
			ID: name, Name: name, Label: label, Type: "password", Hint: hint, Error: problems[name],
			Autocomplete: "off", Required: required, Mono: true,
		}
	}
	if f.Vendor == services.RaygunV3 {
		return []templates.FieldView{secret(services.FieldToken, "Personal access token",
			"In Raygun: your account's settings, Personal access tokens. Give it applications:read, rum.sessions:read, customers:read, rum.pages:read, cr.errors:read and metrics:pages.")}
	}
	if f.Vendor == services.LogRocket {
		slug := func(name, label, value, hint string) templates.FieldView {
			return templates.FieldView{ID: name, Name: name, Label: label, Value: value, Hint: hint, Error: problems[name], Autocomplete: "off", Mono: true, MaxLength: 200}
		}
		return []templates.FieldView{
			secret(services.FieldKey, "API key", "In LogRocket: Settings, General Settings. It looks like organization:app:secret."),
			slug(services.FieldOrgSlug, "Organization", f.OrgSlug, "Leave empty if the key names it. Else the first part of the address: app.logrocket.com/organization/app."),
			slug(services.FieldAppSlug, "App", f.AppSlug, "Leave empty if the key names it. Else the second part of the address."),
		}
	}
	return []templates.FieldView{
		secret(services.FieldAPIKey, "API key", "In Raygun: the application's Application settings."),
		secret(services.FieldClientID, "Client ID", "In Raygun: your plan's settings, Consumers, Register Application. The client ID is the user name."),
		secret(services.FieldClientSecret, "Client secret", "Shown beside the client ID. It is the password."),
	}
}

// meanSlugs is the box that keeps slugs which the key does not name, offered
// only where they disagree.
func meanSlugs(f services.ConnectionForm) *templates.FieldView {
	if f.KeyDisagrees() == "" {
		return nil
	}
	return &templates.FieldView{ID: "slugs_meant", Name: "slugs_meant", Label: "Use what I typed, although the key names another app"}
}

// addConnection handles POST /settings/connections and tests what was added.
func (a *app) addConnection(w http.ResponseWriter, r *http.Request) error {
	f, err := readConnectionForm(r)
	if err != nil {
		return err
	}
	c, problems, err := a.Connections.Add(r.Context(), actorOf(r), f)
	if err != nil {
		return err
	}
	if problems[services.FieldVendor] != "" {
		return &services.Error{Kind: services.Invalid, Msg: problems[services.FieldVendor]}
	}
	if len(problems) > 0 {
		return a.connectionForm(w, r, http.StatusUnprocessableEntity, f, problems)
	}
	if c.Vendor == services.RaygunV3 {
		return a.listApplications(w, r, c.ID)
	}
	return a.testAndShow(w, r, c.ID, "“"+c.Name+"” was added.")
}

// testAndShow puts a test, waits a moment for it and shows the connection.
func (a *app) testAndShow(w http.ResponseWriter, r *http.Request, id services.ConnectionID, done string) error {
	ask, err := a.Connections.Test(r.Context(), actorOf(r), id)
	if err != nil {
		return err
	}
	ask, err = a.Asks.Wait(r.Context(), orgOf(r), ask.ID, waitForVendor)
	if err != nil {
		return err
	}
	kind, text := "success", "The test worked."
	switch {
	case ask.State.Open():
		kind, text = "info", "The test is under way."
	case ask.State != services.AskDone:
		kind, text = "warning", "The test did not work. What the vendor answered is below."
	}
	return a.redirect(w, r, connectionPath(r, id), kind, strings.TrimSpace(done+" "+text))
}

// testConnection handles POST /settings/connections/{id}/test.
func (a *app) testConnection(w http.ResponseWriter, r *http.Request) error {
	return a.testAndShow(w, r, services.ConnectionID(idParam(r, "id")), "")
}

// connection handles GET /settings/connections/{id}.
func (a *app) connection(w http.ResponseWriter, r *http.Request) error {
	c, err := a.Connections.Get(r.Context(), orgOf(r), services.ConnectionID(idParam(r, "id")))
	if err != nil {
		return err
	}
	return a.connectionPage(w, r, http.StatusOK, c, connectionInput{})
}

// connectionInput is what was typed into one of a connection's forms and has
// to be corrected.
type connectionInput struct {
	problems services.Problems
	name     *string
	rotate   *services.ConnectionForm
	// The fields of the budget as typed; nil shows what is stored.
	allowance, reserve, share, retention, detailCalls *string
	sync, details                                     bool
}

func (a *app) connectionPage(w http.ResponseWriter, r *http.Request, status int, c services.Connection, in connectionInput) error {
	b, err := a.Connections.Budget(r.Context(), orgOf(r), c.ID)
	if err != nil {
		return err
	}
	here := connectionPath(r, c.ID)
	v := templates.ConnectionView{
		ID: int64(c.ID), Name: c.Name, Vendor: string(c.Vendor), State: a.connectionState(c), Budget: connectionBudget(b),
		CheckedAt: c.CheckedAt, CheckOK: c.CheckOK, CheckMessage: c.CheckMessage,
		CreatedAt: c.CreatedAt, RotatedAt: c.RotatedAt, RemovedAt: c.RemovedAt, Now: a.now(),
		BackURL: orgPath(r, "settings/connections"), CallsURL: orgPath(r, "history?connection=%d", c.ID), LedgerURL: orgPath(r, "calls?connection=%d", c.ID), CanAdmin: may(r, services.Admin),
		TestURL: here + "/test", RenameURL: here + "/name", RotateURL: here + "/credentials", BudgetURL: here + "/budget", RemoveURL: here + "/remove",
		TestHint: "Asks LogRocket for one exported session.",
	}
	switch c.Vendor {
	case services.LogRocket:
		v.App = c.OrgSlug + "/" + c.AppSlug
		v.Reports = "LogRocket reports when they are ready"
		if !a.Highlights.HasReports() {
			v.Reports = "Asked for until they are ready: LogRocket cannot reach Sightline. For that its operator sets SIGHTLINE_BASE_URL to a public https address"
		}
	case services.RaygunV3:
		v.TestHint = "Tries each permission of the token."
		if v.App = c.Application; c.ApplicationName != "" {
			v.App = c.ApplicationName + " (" + c.Application + ")"
		}
		if c.Application == "" {
			v.ChooseURL = here + "/application"
			v.TestHint = "Asks for one application that the token sees."
		}
	default:
		v.TestHint = "Signs in to Raygun, which takes none of the day's calls."
	}
	v.Test, v.Rotate = a.spendView(r, "Test now", b), a.spendView(r, "Rotate and test", b)
	v.Test.Kind, v.Test.Calls = templates.Secondary, c.TestCalls()
	v.Rotate.Kind, v.Rotate.Calls, v.Rotate.Icon = templates.Secondary, c.TestCalls(), "key-round"
	v.Rotate.Disabled = "" // what is pasted is kept although it cannot be tested yet
	if v.Test.Calls == 0 {
		v.Test.Disabled = "" // no budget is in its way
	}
	v.Rename, v.RotateFields, v.MeanSlugs, v.AllowanceField, v.ReserveField = connectionForms(c, in)
	if err := a.connectionAgainForm(r, c, &v); err != nil {
		return err
	}
	if err := a.connectionSync(r, c, in, &v); err != nil {
		return err
	}
	if err := a.connectionAlerts(r, c, &v); err != nil {
		return err
	}
	if err := a.connectionAudit(r, c, &v); err != nil {
		return err
	}
	v.Wrong = append([]templates.FieldView{v.Rename, v.AllowanceField, v.ReserveField, v.ShareField, v.RetentionField, v.DetailCallsField}, v.RotateFields...)

	ask, ok, err := a.Connections.LastTest(r.Context(), orgOf(r), c.ID)
	if err != nil {
		return err
	}
	// An ended test stands on the connection, unless it never got that far.
	cutOff := ask.State != services.AskDone && c.CheckedAt.Before(ask.StartedAt) && ask.CreatedAt.After(c.RotatedAt)
	if ok && (ask.State.Open() || cutOff) {
		av := askView(r, ask, "Testing “"+c.Name+"”", here)
		av.Now = a.now()
		v.Ask = &av
	}
	return a.page(w, r, status, c.Name, "settings", templates.ConnectionPage(v))
}

// connectionForms fills a connection's forms with what it is or, after a
// mistake, with what was typed.
func connectionForms(c services.Connection, in connectionInput) (name templates.FieldView, rotate []templates.FieldView, mean *templates.FieldView, allowance, reserve templates.FieldView) {
	p := in.problems
	or := func(typed *string, stored string) string {
		if typed != nil {
			return *typed
		}
		return stored
	}
	name = templates.FieldView{
		ID: "name", Name: services.FieldName, Label: "Name", Value: or(in.name, c.Name), Required: true, MaxLength: 80, Autocomplete: "off", Error: p[services.FieldName],
	}
	form := services.ConnectionForm{OrgSlug: c.OrgSlug, AppSlug: c.AppSlug}
	if in.rotate != nil {
		form = *in.rotate
	}
	form.Vendor = c.Vendor
	allowance = numberField(p, services.FieldAllowance, "Calls a day", or(in.allowance, strconv.Itoa(c.Allowance)), allowanceHint(c.Vendor))
	reserve = numberField(p, services.FieldReserve, "Kept for people", or(in.reserve, strconv.Itoa(c.Reserve)), "How many of them background work leaves alone.")
	return name, credentialFields(form, p, c.Removed()), meanSlugs(form), allowance, reserve
}

func allowanceHint(v services.Vendor) string {
	if v == services.RaygunV3 {
		return "What Raygun allows the token's owner, by default 10,000. 0 is no limit. The 10 calls a second and 600 a minute are kept besides."
	}
	return "What Raygun allows this application, by default 50. 0 is no limit."
}

// renameConnection handles POST /settings/connections/{id}/name.
func (a *app) renameConnection(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	name := r.PostForm.Get(services.FieldName)
	return a.changeConnection(w, r, "The connection was renamed.", connectionInput{name: &name}, func(id services.ConnectionID) (services.Problems, error) {
		return a.Connections.Rename(r.Context(), actorOf(r), id, name)
	})
}

// rotateConnection handles POST /settings/connections/{id}/credentials and
// tests what was pasted.
func (a *app) rotateConnection(w http.ResponseWriter, r *http.Request) error {
	f, err := readConnectionForm(r)
	if err != nil {
		return err
	}
	id := services.ConnectionID(idParam(r, "id"))
	problems, err := a.Connections.Rotate(r.Context(), actorOf(r), id, f)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.connectionAgain(w, r, id, connectionInput{problems: problems, rotate: &f})
	}
	return a.testSecrets(w, r, id, "The credentials were rotated, and what waited because of the old ones goes on now.")
}

// testSecrets tests a connection with its new secrets, or leads to where its
// application is chosen.
func (a *app) testSecrets(w http.ResponseWriter, r *http.Request, id services.ConnectionID, done string) error {
	c, err := a.Connections.Get(r.Context(), orgOf(r), id)
	if err != nil {
		return err
	}
	if c.Vendor == services.RaygunV3 && c.Application == "" {
		return a.listApplications(w, r, id)
	}
	return a.testAndShow(w, r, id, done)
}

// setConnectionBudget handles POST /settings/connections/{id}/budget.
func (a *app) setConnectionBudget(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	in := connectionInput{sync: r.PostForm.Get("sync") == "1", details: r.PostForm.Get(services.FieldDetails) == "1"}
	number := func(field string, typed **string) int {
		s := r.PostForm.Get(field)
		*typed = &s
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil {
			return -1 // which the service says is none
		}
		return n
	}
	if !r.PostForm.Has(services.FieldRetention) { // a form without the mirror's part leaves that alone
		allowance, reserve := number(services.FieldAllowance, &in.allowance), number(services.FieldReserve, &in.reserve)
		return a.changeConnection(w, r, "The budget was changed.", in, func(id services.ConnectionID) (services.Problems, error) {
			return a.Connections.SetBudget(r.Context(), actorOf(r), id, allowance, reserve)
		})
	}
	f := services.SpendingForm{
		Allowance: number(services.FieldAllowance, &in.allowance), Reserve: number(services.FieldReserve, &in.reserve),
		Share: number(services.FieldShare, &in.share), Sync: in.sync, RetentionDays: number(services.FieldRetention, &in.retention),
		Details: in.details, DetailCalls: number(services.FieldDetailCalls, &in.detailCalls),
	}
	return a.changeConnection(w, r, "The budget was changed.", in, func(id services.ConnectionID) (services.Problems, error) {
		return a.Connections.SetSpending(r.Context(), actorOf(r), id, f)
	})
}

// changeConnection runs a change of the request's connection and shows the
// connection, with the form as it was typed if that has to be corrected.
func (a *app) changeConnection(w http.ResponseWriter, r *http.Request, done string, in connectionInput, change func(services.ConnectionID) (services.Problems, error)) error {
	id := services.ConnectionID(idParam(r, "id"))
	var err error
	if in.problems, err = change(id); err != nil {
		return err
	}
	if len(in.problems) > 0 {
		return a.connectionAgain(w, r, id, in)
	}
	return a.redirect(w, r, connectionPath(r, id), "success", done)
}

func (a *app) connectionAgain(w http.ResponseWriter, r *http.Request, id services.ConnectionID, in connectionInput) error {
	c, err := a.Connections.Get(r.Context(), orgOf(r), id)
	if err != nil {
		return err
	}
	return a.connectionPage(w, r, http.StatusUnprocessableEntity, c, in)
}

// askRemoveConnection handles GET /settings/connections/{id}/remove.
func (a *app) askRemoveConnection(w http.ResponseWriter, r *http.Request) error {
	c, err := a.Connections.Get(r.Context(), orgOf(r), services.ConnectionID(idParam(r, "id")))
	if err != nil {
		return err
	}
	here := connectionPath(r, c.ID)
	if c.Removed() {
		http.Redirect(w, r, here, http.StatusSeeOther)
		return nil
	}
	return a.page(w, r, http.StatusOK, "Remove "+c.Name, "settings", templates.ConnectionRemovePage(templates.ConnectionRemoveView{
		Name: c.Name, Vendor: string(c.Vendor), Action: here + "/remove", BackURL: here,
	}))
}

// removeConnection handles POST /settings/connections/{id}/remove.
func (a *app) removeConnection(w http.ResponseWriter, r *http.Request) error {
	id := services.ConnectionID(idParam(r, "id"))
	if err := a.Connections.Remove(r.Context(), actorOf(r), id); err != nil {
		return err
	}
	return a.redirect(w, r, orgPath(r, "settings/connections"), "success", "The connection was removed and its credentials were erased.")
}
