package services

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

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
	// Audit follows the audit log of a LogRocket connection.
	Audit bool
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
	FieldAudit        = "audit"
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
