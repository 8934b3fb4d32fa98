package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"sightline/internal/db"
	"sightline/internal/services/logrocket"
	"sightline/internal/services/raygun"
	"sightline/internal/services/secrets"
)

// Secret is a text that prints, logs and marshals as [redacted].
type Secret = secrets.Secret

// NewSecret keeps a text as a Secret, without the white space that copying
// leaves around it. An empty text is the absent secret.
func NewSecret(text string) Secret { return secrets.New(strings.TrimSpace(text)) }

// What a connection's form may hold at most.
const (
	maxConnectionName = 80
	maxSecret         = 4096
	maxSlug           = 200
	maxAllowance      = 1_000_000
)

// ConnectionForm is what a member types about a connection. Its secrets go in
// and never come out again.
type ConnectionForm struct {
	Vendor Vendor
	Name   string
	// Raygun's three.
	APIKey, ClientID, ClientSecret Secret
	// Token is Raygun v3's personal access token. Application may be empty, to be
	// chosen from those that the token sees: see ChooseApplication.
	Token       Secret
	Application string
	// LogRocket's key, and the app that it is for. Empty slugs are read off the key.
	Key              Secret
	OrgSlug, AppSlug string
	// SlugsMeant says that the slugs are meant although the key names others.
	SlugsMeant bool
	// Sync keeps a Raygun connection's mirror fresh by itself, and Share is what
	// that may spend a day at most; 0 is all that the reserve for people leaves.
	Sync  bool
	Share int
	// Details has sync fetch the details of sessions too, on at most
	// DefaultDetailCalls calls a day.
	Details bool
}

// The names of the form's fields, by which problems are told.
const (
	FieldVendor       = "vendor"
	FieldName         = "name"
	FieldAPIKey       = fieldAPIKey
	FieldClientID     = fieldClientID
	FieldClientSecret = fieldClientSecret
	FieldKey          = fieldKey
	FieldToken        = fieldToken
	FieldApplication  = "application"
	FieldOrgSlug      = "org_slug"
	FieldAppSlug      = "app_slug"
	FieldAllowance    = "allowance"
	FieldReserve      = "reserve"
	FieldShare        = "share"
	FieldRetention    = "retention"
	FieldDetails      = "details"
	FieldDetailCalls  = "detail_calls"
)

// secretLabels are the secrets' names for people and for the history.
var secretLabels = map[string]string{
	fieldAPIKey: "API key", fieldClientID: "Client ID", fieldClientSecret: "Client secret", fieldKey: "API key",
	fieldToken: "Personal access token",
}

// secretsOf are the fields that the vendor's connections have, in the order of
// the form.
func (f ConnectionForm) secretsOf() (order []string, given map[string]Secret) {
	switch f.Vendor {
	case LogRocket:
		return []string{fieldKey}, map[string]Secret{fieldKey: f.Key}
	case RaygunV3:
		return []string{fieldToken}, map[string]Secret{fieldToken: f.Token}
	}
	return []string{fieldAPIKey, fieldClientID, fieldClientSecret},
		map[string]Secret{fieldAPIKey: f.APIKey, fieldClientID: f.ClientID, fieldClientSecret: f.ClientSecret}
}

// KeyDisagrees says in a sentence that the key names another app than the
// slugs that were typed; it is "" if they agree or the key names none.
func (f ConnectionForm) KeyDisagrees() string {
	org, app, ok := logrocket.ParseKey(f.Key)
	typedOrg, typedApp := strings.TrimSpace(f.OrgSlug), strings.TrimSpace(f.AppSlug)
	if f.Vendor != LogRocket || !ok || (typedOrg == "" || typedOrg == org) && (typedApp == "" || typedApp == app) {
		return ""
	}
	return fmt.Sprintf("The key is for the app %s/%s, but %s/%s was typed.", org, app, orElse(typedOrg, org), orElse(typedApp, app))
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// check finds what is wrong with a form and returns it with blank slugs read
// off the key. required says whether every secret must be there.
func (f ConnectionForm) check(required bool) (ConnectionForm, Problems) {
	p := Problems{}
	f.OrgSlug, f.AppSlug = strings.TrimSpace(f.OrgSlug), strings.TrimSpace(f.AppSlug)
	order, given := f.secretsOf()
	for _, field := range order {
		if msg := checkSecret(field, given[field], required); msg != "" {
			p[field] = msg
		}
	}
	if f.Vendor != LogRocket {
		f.OrgSlug, f.AppSlug = "", ""
		if f.Application = strings.TrimSpace(f.Application); f.Vendor == RaygunV3 && !raygun.IsID(f.Application) && f.Application != "" {
			p[FieldApplication] = "An application's identifier has letters and digits only. It stands in the address of the application in Raygun."
		}
		return f, p
	}
	if disagrees := f.KeyDisagrees(); disagrees != "" && !f.SlugsMeant {
		p[FieldOrgSlug] = disagrees + " Correct it, empty both fields to take the key's, or tick that you mean it."
		return f, p
	}
	if org, app, ok := logrocket.ParseKey(f.Key); ok {
		f.OrgSlug, f.AppSlug = orElse(f.OrgSlug, org), orElse(f.AppSlug, app)
	}
	if msg := checkSlug(f.OrgSlug, "organization"); msg != "" {
		p[FieldOrgSlug] = msg
	}
	if msg := checkSlug(f.AppSlug, "app"); msg != "" {
		p[FieldAppSlug] = msg
	}
	return f, p
}

func checkSecret(field string, s Secret, required bool) string {
	text, label := s.Reveal(), secretLabels[field]
	switch {
	case text == "" && required:
		return fmt.Sprintf("Paste the %s here.", lowerFirst(label))
	case len(text) > maxSecret:
		return fmt.Sprintf("This is longer than any %s. Was something else pasted?", lowerFirst(label))
	case strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }):
		return "This holds line breaks or characters that no key has. Copy it again, alone."
	case field == fieldClientID && strings.Contains(text, ":"):
		return "A client ID has no colon. Was the client secret pasted with it?"
	}
	return ""
}

// lowerFirst puts a label into a sentence, but for abbreviations.
func lowerFirst(label string) string {
	if strings.HasPrefix(label, "API") {
		return label
	}
	return strings.ToLower(label[:1]) + label[1:]
}

func checkSlug(s, what string) string {
	switch {
	case s == "":
		return fmt.Sprintf("The key does not tell the %s. Type it as it stands in the address of LogRocket's app: app.logrocket.com/organization/app.", what)
	case len(s) > maxSlug, strings.ContainsAny(s, "/?#%\\"), strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return fmt.Sprintf("Type only the %s's part of the address, without slashes or spaces.", what)
	}
	return ""
}

func checkName(name string) string {
	if name == "" || utf8.RuneCountInString(name) > maxConnectionName {
		return fmt.Sprintf("Give the connection a name of 1 to %d characters, such as the name of the site.", maxConnectionName)
	}
	return ""
}

const nameTaken = "Another connection has this name already."

// mayConnect says whether the actor may change connections.
func mayConnect(a Actor) error {
	if a.Role < Admin {
		return &Error{Kind: Denied, Msg: "Connections are changed by members with the role admin or owner. Ask one of them."}
	}
	return nil
}

// mayAsk says whether the actor may spend a Raygun connection's calls.
func mayAsk(a Actor) error {
	if a.Role < Support {
		return &Error{Kind: Denied, Msg: "Members with the role support, admin or owner may ask Raygun."}
	}
	return nil
}

// wake makes the keeper of mirrors look at a connection that changed, and what
// waits for highlights.
func (c *Connections) wake(ctx context.Context, org OrgID, id ConnectionID) error {
	for _, wake := range []func(context.Context, OrgID, ConnectionID) error{c.wakeSync, c.wakeHighlights} {
		if wake == nil {
			continue
		}
		if err := wake(ctx, org, id); err != nil {
			return err
		}
	}
	return nil
}

// Add stores a new connection. Faults that the person can correct come back as
// problems. Nothing is asked of the vendor: Test does that.
func (c *Connections) Add(ctx context.Context, actor Actor, f ConnectionForm) (Connection, Problems, error) {
	if err := mayConnect(actor); err != nil {
		return Connection{}, nil, err
	}
	if !f.Vendor.IsRaygun() && f.Vendor != LogRocket {
		return Connection{}, Problems{FieldVendor: "Choose Raygun or LogRocket."}, nil
	}
	f.Name = strings.TrimSpace(f.Name)
	f, problems := f.check(true)
	if msg := checkName(f.Name); msg != "" {
		problems[FieldName] = msg
	}
	if len(problems) > 0 {
		return Connection{}, problems, nil
	}
	row := db.Connection{
		Vendor: string(f.Vendor), Name: f.Name, OrgSlug: f.OrgSlug, AppSlug: f.AppSlug, CreatedBy: actor.User, CreatedAt: c.now(),
	}
	order, given := f.secretsOf()
	after := map[string]string{"Vendor": f.Vendor.String(), "Name": f.Name}
	switch f.Vendor {
	case Raygun:
		row.Allowance, row.Reserve, row.Share = raygun.CapabilitiesV1().DailyCalls, raygunReserve, max(0, f.Share)
	case RaygunV3:
		row.Allowance, row.Reserve, row.Share = raygun.CapabilitiesV3().DailyCalls, raygunV3Reserve, max(0, f.Share)
		if row.AppSlug = f.Application; row.AppSlug != "" {
			after["Application"] = f.Application
		}
	case LogRocket:
		after["App"] = f.OrgSlug + "/" + f.AppSlug
	}
	for _, field := range order {
		after[secretLabels[field]] = "set"
	}
	if f.Sync && f.Vendor.IsRaygun() {
		after["Sync"] = "on"
	}
	e := c.entry(actor, "connection.add", f.Name, fmt.Sprintf("Added the %s connection “%s”", f.Vendor, f.Name))
	e.After = historyFields(after)
	out, err := c.db.Org(actor.Org).AddConnection(ctx, row, c.seal(actor.Org, given), e)
	if errors.Is(err, db.ErrExists) {
		return Connection{}, Problems{FieldName: nameTaken}, nil
	}
	if err != nil {
		return Connection{}, nil, fmt.Errorf("add a connection to organization %d: %w", actor.Org, err)
	}
	if f.Sync && f.Vendor.IsRaygun() && c.wakeSync != nil {
		// After the connection, not with it: cut off in between, it is there with its
		// sync off, which its page shows.
		if err := c.db.Org(actor.Org).SetSync(ctx, out.ID, db.SyncSettings{
			Enabled: true, RetentionDays: DefaultRetentionDays, Details: f.Details, DetailCalls: DefaultDetailCalls(f.Vendor),
		}, nil); err != nil {
			return Connection{}, nil, err
		}
		if err := c.wake(ctx, actor.Org, out.ID); err != nil {
			return Connection{}, nil, err
		}
	}
	return connectionOf(actor.Org, out), nil, nil
}

// Rename gives a connection another name.
func (c *Connections) Rename(ctx context.Context, actor Actor, id ConnectionID, name string) (Problems, error) {
	conn, err := c.inUse(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	name = strings.TrimSpace(name)
	if msg := checkName(name); msg != "" {
		return Problems{FieldName: msg}, nil
	}
	if name == conn.Name {
		return nil, nil
	}
	e := c.entry(actor, "connection.rename", name, fmt.Sprintf("Renamed the %s connection “%s” to “%s”", conn.Vendor, conn.Name, name))
	e.Before, e.After = historyFields(map[string]string{"Name": conn.Name}), historyFields(map[string]string{"Name": name})
	err = c.db.Org(actor.Org).RenameConnection(ctx, id, name, e)
	if errors.Is(err, db.ErrExists) {
		return Problems{FieldName: nameTaken}, nil
	}
	return nil, notFound(err, noConnection)
}

// Rotate replaces the secrets that are given and keeps the others. For
// LogRocket blank slugs are read off a new key, else kept. Whatever waits
// because of how the old ones fared is tried at once.
func (c *Connections) Rotate(ctx context.Context, actor Actor, id ConnectionID, f ConnectionForm) (Problems, error) {
	conn, err := c.inUse(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	f.Vendor = conn.Vendor
	if f.Key.IsZero() {
		f.OrgSlug, f.AppSlug = orElse(strings.TrimSpace(f.OrgSlug), conn.OrgSlug), orElse(strings.TrimSpace(f.AppSlug), conn.AppSlug)
	}
	f, problems := f.check(false)
	order, given := f.secretsOf()
	before, after := map[string]string{}, map[string]string{}
	for _, field := range order {
		if !given[field].IsZero() {
			before[secretLabels[field]], after[secretLabels[field]] = "set", "replaced"
		}
	}
	if f.OrgSlug != conn.OrgSlug || f.AppSlug != conn.AppSlug {
		before["App"], after["App"] = conn.OrgSlug+"/"+conn.AppSlug, f.OrgSlug+"/"+f.AppSlug
	}
	if len(problems) == 0 && len(after) == 0 {
		problems[order[0]] = "Nothing was typed, so nothing was replaced. Paste what has changed; what stays empty is kept."
	}
	if len(problems) > 0 {
		return problems, nil
	}
	e := c.entry(actor, "connection.rotate", conn.Name, fmt.Sprintf("Rotated the credentials of the %s connection “%s”", conn.Vendor, conn.Name))
	e.Before, e.After = historyFields(before), historyFields(after)
	err = c.db.Org(actor.Org).RotateConnection(ctx, id, f.OrgSlug, f.AppSlug, c.seal(actor.Org, given), e)
	c.drop(id)
	if err != nil {
		return nil, notFound(err, noConnection)
	}
	return nil, c.wake(ctx, actor.Org, id)
}

// Remove takes a connection out of use and erases its secrets. What it
// brought, the ledger and the history stay.
func (c *Connections) Remove(ctx context.Context, actor Actor, id ConnectionID) error {
	conn, err := c.inUse(ctx, actor, id)
	if err != nil {
		return err
	}
	e := c.entry(actor, "connection.remove", conn.Name, fmt.Sprintf("Removed the %s connection “%s”", conn.Vendor, conn.Name))
	before, after := map[string]string{}, map[string]string{}
	order, _ := ConnectionForm{Vendor: conn.Vendor}.secretsOf()
	for _, field := range order {
		before[secretLabels[field]], after[secretLabels[field]] = "set", "erased"
	}
	e.Before, e.After = historyFields(before), historyFields(after)
	err = c.db.Org(actor.Org).RemoveConnection(ctx, id, e)
	c.drop(id)
	return notFound(err, noConnection)
}

// SpendingForm is what a member decides about a connection's calls and mirror.
type SpendingForm struct {
	// Allowance is how many counted calls a UTC day has, 0 for no limit; Reserve
	// how many of them are kept for people; Share how many background work may
	// make at most, 0 for all that the reserve leaves.
	Allowance, Reserve, Share int
	// Sync keeps the mirror fresh, RetentionDays is how many days back it is filled.
	Sync          bool
	RetentionDays int
	// Details has sync fetch the details of sessions, on at most DetailCalls calls a
	// day.
	Details     bool
	DetailCalls int
}

// maxRetention is how many days back a mirror may be filled at most.
const maxRetention = 365

// SetBudget changes how many counted calls a connection may make on a UTC day
// (0 is no limit) and how many of them are kept for people. A block that the
// vendor's last refusal left is lifted.
func (c *Connections) SetBudget(ctx context.Context, actor Actor, id ConnectionID, allowance, reserve int) (Problems, error) {
	conn, err := c.inUse(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	return c.spend(ctx, actor, conn, db.Spending{Allowance: allowance, Reserve: reserve, Share: conn.Share})
}

// SetSpending changes a connection's budget and how its mirror is kept.
func (c *Connections) SetSpending(ctx context.Context, actor Actor, id ConnectionID, f SpendingForm) (Problems, error) {
	conn, err := c.inUse(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	if !f.Details && f.DetailCalls < 1 {
		f.DetailCalls = DefaultDetailCalls(conn.Vendor) // it means nothing until that is switched on
	}
	return c.spend(ctx, actor, conn, db.Spending{
		Allowance: f.Allowance, Reserve: f.Reserve, Share: f.Share,
		Sync: &db.SyncSettings{Enabled: f.Sync, RetentionDays: f.RetentionDays, Details: f.Details, DetailCalls: f.DetailCalls},
	})
}

func (c *Connections) spend(ctx context.Context, actor Actor, conn Connection, b db.Spending) (Problems, error) {
	if problems := checkSpending(b); len(problems) > 0 {
		return problems, nil
	}
	before, err := c.spendingOf(ctx, conn)
	if err != nil {
		return nil, err
	}
	e := c.entry(actor, "connection.budget", conn.Name, fmt.Sprintf("Changed the budget of the %s connection “%s”", conn.Vendor, conn.Name))
	e.Before, e.After = spendingFields(before, b.Sync != nil), spendingFields(b, b.Sync != nil)
	if err := c.db.Org(actor.Org).SetSpending(ctx, conn.ID, b, nil, e); err != nil {
		return nil, notFound(err, noConnection)
	}
	// What it waited for may be there now.
	return nil, c.wake(ctx, actor.Org, conn.ID)
}

// spendingOf is what is stored.
func (c *Connections) spendingOf(ctx context.Context, conn Connection) (db.Spending, error) {
	b := db.Spending{Allowance: conn.Allowance, Reserve: conn.Reserve, Share: conn.Share, Sync: &db.SyncSettings{RetentionDays: DefaultRetentionDays}}
	row, err := c.db.Org(conn.Org).Sync(ctx, conn.ID)
	if errors.Is(err, db.ErrNotFound) {
		return b, nil
	}
	b.Sync = &row.SyncSettings
	return b, err
}

func checkSpending(b db.Spending) Problems {
	problems := Problems{}
	if b.Allowance < 0 || b.Allowance > maxAllowance {
		problems[FieldAllowance] = fmt.Sprintf("Give a whole number from 0 (no limit) to %d.", maxAllowance)
	}
	if b.Reserve < 0 || b.Reserve > b.Allowance {
		problems[FieldReserve] = "Give a whole number from 0 up to the calls a day."
	}
	if b.Share < 0 || b.Share > maxAllowance {
		problems[FieldShare] = fmt.Sprintf("Give a whole number from 0 (all that is not kept for people) to %d.", maxAllowance)
	}
	if b.Sync != nil && (b.Sync.RetentionDays < 1 || b.Sync.RetentionDays > maxRetention) {
		problems[FieldRetention] = fmt.Sprintf("Give a whole number of days from 1 to %d.", maxRetention)
	}
	if b.Sync != nil && (b.Sync.DetailCalls < 1 || b.Sync.DetailCalls > maxAllowance) {
		problems[FieldDetailCalls] = fmt.Sprintf("Give a whole number of calls from 1 to %d.", maxAllowance)
	}
	return problems
}

// spendingFields writes a budget for the history.
func spendingFields(b db.Spending, sync bool) string {
	fields := map[string]string{"Calls a day": fmt.Sprint(b.Allowance), "Kept for people": fmt.Sprint(b.Reserve)}
	if sync && b.Sync != nil {
		fields["Background share"], fields["Days back"], fields["Sync"] = fmt.Sprint(b.Share), fmt.Sprint(b.Sync.RetentionDays), "off"
		if b.Share == 0 {
			fields["Background share"] = "all that is left"
		}
		if b.Sync.Enabled {
			fields["Sync"] = "on"
		}
		fields["Details in the background"] = "off"
		if b.Sync.Details {
			fields["Details in the background"] = fmt.Sprintf("%d calls a day", b.Sync.DetailCalls)
		}
	}
	return historyFields(fields)
}

// inUse finds a connection that the actor may change.
func (c *Connections) inUse(ctx context.Context, actor Actor, id ConnectionID) (Connection, error) {
	if err := mayConnect(actor); err != nil {
		return Connection{}, err
	}
	conn, err := c.Get(ctx, actor.Org, id)
	if err == nil && conn.Removed() {
		err = &Error{Kind: Conflict, Msg: fmt.Sprintf("The connection “%s” was removed already.", conn.Name)}
	}
	return conn, err
}

func (c *Connections) entry(actor Actor, action, subject, summary string) db.HistoryEntry {
	return db.HistoryEntry{
		At: c.now(), Actor: actor.User, ActorName: actor.Name, Action: action, Subject: subject, Summary: summary,
	}
}

// historyFields writes fields for the history, where a page shows them one by
// one. No fields give "".
func historyFields(fields map[string]string) string {
	if len(fields) == 0 {
		return ""
	}
	b, err := json.Marshal(fields) // keys come sorted
	if err != nil {
		return "" // cannot be: texts always marshal
	}
	return string(b)
}
