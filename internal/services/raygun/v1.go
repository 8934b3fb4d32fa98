package raygun

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
)

// DefaultBaseURL is Raygun's public API.
const DefaultBaseURL = "https://api.raygun.com"

// Credentials open one Raygun application.
type Credentials struct {
	// APIKey is the application's key.
	APIKey secrets.Secret
	// ClientID and ClientSecret belong to a consumer application of the plan.
	ClientID, ClientSecret secrets.Secret
}

// Options configure a V1.
type Options struct {
	// BaseURL is the server, by default DefaultBaseURL. It may carry a path
	// prefix and a trailing slash; /api/v1/pulse is added, and may be there.
	BaseURL     string
	Credentials Credentials
	// Ledger is required.
	Ledger upstream.Ledger
	// Dialect is what OnDialect last reported, or its zero value.
	Dialect Dialect
	// OnDialect is called when something new was found out; nil means nobody listens.
	OnDialect func(Dialect)
	// InTurn runs the reading of long answers, see upstream.Options.
	InTurn func(read func())
	// Now is the clock, time.Now if nil.
	Now func() time.Time
	// Log receives what goes wrong beside a call; nil means nowhere.
	Log *slog.Logger
	// Timeout bounds one operation, 0 means upstream.DefaultTimeout.
	Timeout time.Duration
}

// pulse is where the v1 API lives below the base URL.
const pulse = "/api/v1/pulse"

// V1 speaks the "pulse" API. It keeps the 15-minute session key, so make one per
// connection and share it. It is safe for concurrent use.
type V1 struct {
	up    *upstream.Client
	creds Credentials
	keys  keyKeeper
}

var _ API = (*V1)(nil)

// NewV1 checks the options and returns a client. It does not call Raygun.
func NewV1(o Options) (*V1, error) {
	if o.Credentials.APIKey.IsZero() || o.Credentials.ClientID.IsZero() || o.Credentials.ClientSecret.IsZero() {
		return nil, errors.New("raygun client: the API key, the client id and the client secret are all needed")
	}
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	basic := o.Credentials.ClientID.Reveal() + ":" + o.Credentials.ClientSecret.Reveal()
	up, err := upstream.New(upstream.Options{
		Vendor:  "raygun",
		BaseURL: serverOf(o.BaseURL),
		Ledger:  o.Ledger,
		Secrets: []secrets.Secret{o.Credentials.APIKey, o.Credentials.ClientID, o.Credentials.ClientSecret, secrets.New(basic)},
		Timeout: o.Timeout, InTurn: o.InTurn, Now: o.Now, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	now := o.Now
	if now == nil {
		now = time.Now
	}
	v := &V1{up: up, creds: o.Credentials}
	v.keys = keyKeeper{lock: make(chan struct{}, 1), now: now, dialect: o.Dialect, onDialect: o.OnDialect}
	return v, nil
}

// serverOf accepts a base URL that names one of the APIs already: both versions
// live on the same server, and the operator names one address for them.
func serverOf(base string) string {
	base = strings.TrimRight(strings.TrimSpace(base), "/")
	for _, api := range []string{pulse, apiV3} {
		if server, found := strings.CutSuffix(base, api); found {
			return strings.TrimRight(server, "/")
		}
	}
	return base
}

// Check asks for a new session key, which Raygun does not count.
func (v *V1) Check(ctx context.Context) (CheckResult, error) {
	got, err := v.authenticate(ctx)
	if err != nil {
		return CheckResult{}, err
	}
	return CheckResult{
		Sentence: fmt.Sprintf("Raygun accepted the keys and gave out a session key (it answered %d to %s).", got.status, got.method),
		Took:     got.took,
	}, nil
}

// Sessions reads one page of sessions.
func (v *V1) Sessions(ctx context.Context, q SessionQuery) (SessionPage, error) {
	query, err := v.sessionsQuery(&q)
	if err != nil {
		return SessionPage{}, err
	}
	var page SessionPage
	answer, err := v.get(ctx, "sessions", query, func(body []byte) (err error) {
		page, err = readPage(body, v.up.Base(), q)
		return err
	})
	if err != nil {
		return SessionPage{}, err
	}
	page.ReceivedAt = answer.ReceivedAt
	return page, nil
}

// sessionsQuery checks q, fills in its limit, and writes it as the contract has it.
func (v *V1) sessionsQuery(q *SessionQuery) (url.Values, error) {
	switch {
	case q.From.IsZero() || q.To.IsZero():
		return nil, v.up.Refuse("sessions", "Raygun needs the first and the last moment of the range")
	case q.To.Before(q.From):
		return nil, v.up.Refuse("sessions", "the range ends before it begins")
	case q.Skip < 0:
		return nil, v.up.Refuse("sessions", "sessions cannot be skipped backwards")
	case q.RequestURI != "":
		return nil, v.up.Refuse("sessions", "Raygun's v1 API cannot find sessions by the requests they made")
	}
	if q.Limit <= 0 || q.Limit > MaxLimit {
		q.Limit = MaxLimit
	}
	const instant = "2006-01-02T15:04:05.000Z"
	query := url.Values{
		"dateFrom": {q.From.UTC().Format(instant)},
		"dateTo":   {q.To.UTC().Format(instant)},
		"skip":     {strconv.Itoa(q.Skip)},
		"limit":    {strconv.Itoa(q.Limit)},
	}
	if q.UserIdentifier != "" {
		query.Set("userIdentifier", q.UserIdentifier)
	}
	if codes := countryCodes(q.Countries); codes != "" {
		query.Set("country", codes)
	}
	if q.UserType != "" {
		query.Set("userType", q.UserType)
	}
	return query, nil
}

// countryCodes writes the codes as the one comma-joined value of the contract's
// example.
func countryCodes(countries []string) string {
	var codes []string
	for _, country := range countries {
		if country = strings.ToUpper(strings.TrimSpace(country)); country != "" {
			codes = append(codes, country)
		}
	}
	return strings.Join(codes, ",")
}

// Session reads one session in full. An id that is not a whole number is
// refused without a call, which Raygun would count.
func (v *V1) Session(ctx context.Context, id string) (Session, error) {
	id = strings.TrimSpace(id)
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		return Session{}, v.up.Refuse("session", "a Raygun session id is a whole number")
	}
	var session Session
	var empty bool
	_, err := v.get(ctx, "session", url.Values{"id": {id}}, func(body []byte) (err error) {
		session, empty, err = readDetail(body, v.up.Base(), id)
		return err
	})
	if err != nil {
		return Session{}, err
	}
	if empty {
		return Session{}, &upstream.Error{
			Kind: upstream.NotFound, Vendor: v.up.Vendor(), Operation: "session", Status: 200, Sent: true,
			Err: errors.New("the answer holds no session"),
		}
	}
	return session, nil
}

// get makes a counted call. It is repeated by nobody but here, once, when the
// session key is no longer good; a network failure repeats it only if nothing
// was sent.
func (v *V1) get(ctx context.Context, operation string, query url.Values, read func([]byte) error) (*upstream.Response, error) {
	request := upstream.Request{
		Operation: operation, Method: http.MethodGet, Path: pulse + "/" + operation, Query: query,
		Retry: upstream.IfUnsent, Counts: true, Read: read,
	}
	key, err := v.sessionKey(ctx, secrets.Secret{})
	if err != nil {
		return nil, err
	}
	answer, err := v.send(ctx, request, key)
	var failed *upstream.Error
	if !errors.As(err, &failed) || failed.Status != http.StatusUnauthorized {
		return answer, err
	}
	if key, err = v.sessionKey(ctx, key); err != nil {
		return nil, err
	}
	request.Before = 1
	return v.send(ctx, request, key)
}

func (v *V1) send(ctx context.Context, request upstream.Request, key secrets.Secret) (*upstream.Response, error) {
	request.Header = http.Header{"X-Sessionkey": {key.Reveal()}}
	return v.up.Do(ctx, request)
}
