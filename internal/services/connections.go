package services

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"sightline/internal/db"
	"sightline/internal/services/logrocket"
	"sightline/internal/services/metrics"
	"sightline/internal/services/raygun"
	"sightline/internal/services/secrets"
)

// Vendor is one of the three kinds of connection.
type Vendor string

// The vendors, as they are stored. RaygunV3 is Raygun through its API v3, which
// is another contract with other credentials and limits.
const (
	Raygun    Vendor = "raygun"
	RaygunV3  Vendor = "raygun_v3"
	LogRocket Vendor = "logrocket"
)

// IsRaygun says whether a connection brings sessions, through either API.
func (v Vendor) IsRaygun() bool { return v == Raygun || v == RaygunV3 }

// String is the vendor's name as it is shown.
func (v Vendor) String() string {
	switch v {
	case Raygun:
		return "Raygun"
	case RaygunV3:
		return "Raygun v3"
	case LogRocket:
		return "LogRocket"
	}
	return string(v)
}

const noConnection = "There is no such connection in this organization."

// The secrets of a connection, by field. They are names of places too: a
// secret is sealed for "organization/connection/field".
const (
	fieldAPIKey       = "api_key"
	fieldClientID     = "client_id"
	fieldClientSecret = "client_secret"
	fieldKey          = "key"
	fieldToken        = "token"
)

// Connection is one set of vendor credentials, without the credentials.
type Connection struct {
	ID     ConnectionID
	Org    OrgID
	Vendor Vendor
	Name   string
	// OrgSlug and AppSlug are LogRocket's name for the app; empty for Raygun.
	OrgSlug, AppSlug string
	// Application is the identifier of a Raygun v3 connection's application, empty
	// until one was chosen, and ApplicationName what it was called then.
	Application, ApplicationName string
	// Allowance and Reserve are as in Budget.
	Allowance, Reserve, Share int
	// BlockedUntil may have passed.
	BlockedUntil time.Time
	// CheckedAt is when it was last tested, zero for never since its credentials
	// were set; CheckOK and CheckMessage say how that went.
	CheckedAt    time.Time
	CheckOK      bool
	CheckMessage string
	CreatedAt    time.Time
	RotatedAt    time.Time // zero if its credentials are the first ones
	RemovedAt    time.Time // zero while it is in use
}

// Removed says whether it is out of use: its secrets are gone, what it brought stays.
func (c Connection) Removed() bool { return !c.RemovedAt.IsZero() }

// ready says whether sessions can be asked for: an application is chosen.
func (c Connection) ready() bool { return c.Vendor != RaygunV3 || c.Application != "" }

// capabilities are those of the version of Raygun's API that a connection
// speaks.
func (c Connection) capabilities() raygun.Capabilities {
	if c.Vendor == RaygunV3 {
		return raygun.CapabilitiesV3()
	}
	return raygun.CapabilitiesV1()
}

func connectionOf(org OrgID, c db.Connection) Connection {
	out := Connection{
		ID: c.ID, Org: org, Vendor: Vendor(c.Vendor), Name: c.Name, OrgSlug: c.OrgSlug, AppSlug: c.AppSlug,
		Allowance: c.Allowance, Reserve: c.Reserve, Share: c.Share, BlockedUntil: c.BlockedUntil,
		CheckedAt: c.CheckedAt, CheckOK: c.CheckOK, CheckMessage: c.CheckMessage,
		CreatedAt: c.CreatedAt, RotatedAt: c.RotatedAt, RemovedAt: c.RemovedAt,
	}
	if out.Vendor == RaygunV3 {
		out.ApplicationName, out.Application, out.OrgSlug, out.AppSlug = c.OrgSlug, c.AppSlug, "", ""
	}
	return out
}

// Vendors says where the vendors are. The operator sets it, never a member.
type Vendors struct {
	RaygunURL, LogRocketURL, LogRocketAppURL string // empty means the public one
	// Timeout bounds one operation; 0 means upstream.DefaultTimeout.
	Timeout time.Duration
}

// Connections keeps the organizations' vendor credentials and makes clients of
// them. It is safe for concurrent use.
type Connections struct {
	db      *db.DB
	box     *secrets.Box
	vendors Vendors
	log     *slog.Logger
	now     func() time.Time
	asks    *Asks            // set by useAsks, before anything is tested
	metrics *metrics.Metrics // counts calls; nil does not
	// wakeSync tells the keeper of mirrors that a connection changed; nil without one.
	wakeSync func(ctx context.Context, org OrgID, id ConnectionID) error
	// wakeHighlights lets what waits for a LogRocket connection look at once; nil
	// where nothing does.
	wakeHighlights func(ctx context.Context, org OrgID, id ConnectionID) error
	// wakeAudit lets a LogRocket connection's audit log be read at once, if it is
	// followed; nil where none is.
	wakeAudit func(ctx context.Context, org OrgID, id ConnectionID) error
	// wakeExports has a LogRocket connection's list of exports looked at at once,
	// if it is followed; nil where none is.
	wakeExports func(ctx context.Context, org OrgID, id ConnectionID) error

	mu      sync.Mutex
	clients map[ConnectionID]client
	// paces are what keeps v3's calls apart, one for each token: its limits hold
	// for the token's owner, however many applications are connected with it.
	paces map[[sha256.Size]byte]*rate.Limiter
	// counted is what tells whose calls are counted together: see sharing.
	counted map[ConnectionID]countedAs
	// vitalsTurns lets one at a time ask for a connection's web vitals.
	vitalsTurns map[ConnectionID]chan struct{}
}

// client is a vendor's client and what it was made from.
type client struct {
	made      made
	raygun    raygun.API
	logrocket *logrocket.Client
}

// made tells a client that is out of date, also when another process has
// rotated the connection.
type made struct {
	org              OrgID
	rotatedAt        int64
	orgSlug, appSlug string
}

// NewConnections returns the service; log may be nil.
func NewConnections(d *db.DB, box *secrets.Box, v Vendors, log *slog.Logger, now func() time.Time) *Connections {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Connections{db: d, box: box, vendors: v, log: log, now: now, clients: map[ConnectionID]client{}, paces: map[[sha256.Size]byte]*rate.Limiter{}, counted: map[ConnectionID]countedAs{},
		vitalsTurns: map[ConnectionID]chan struct{}{}}
}

// List returns the connections in use, by name.
func (c *Connections) List(ctx context.Context, org OrgID) ([]Connection, error) {
	rows, err := c.db.Org(org).Connections(ctx)
	return connectionsOf(org, rows), err
}

// All returns every connection there ever was, removed ones too, by age: what
// they brought still names them.
func (c *Connections) All(ctx context.Context, org OrgID) ([]Connection, error) {
	rows, err := c.db.Org(org).AllConnections(ctx)
	return connectionsOf(org, rows), err
}

func connectionsOf(org OrgID, rows []db.Connection) []Connection {
	out := make([]Connection, len(rows))
	for i, r := range rows {
		out[i] = connectionOf(org, r)
	}
	return out
}

// Get returns a connection, which may be a removed one.
func (c *Connections) Get(ctx context.Context, org OrgID, id ConnectionID) (Connection, error) {
	row, err := c.db.Org(org).Connection(ctx, id)
	if err != nil {
		return Connection{}, notFound(err, noConnection)
	}
	return connectionOf(org, row), nil
}

// application returns a connection and those that told of the same sessions: a
// session is one row, of whichever told of it first, so what is asked of one of
// them is answered from all. 0 gives none.
func (c *Connections) application(ctx context.Context, org OrgID, id ConnectionID) ([]ConnectionID, error) {
	if id == 0 {
		return nil, nil
	}
	twins, err := c.db.Org(org).ConnectionTwins(ctx, []ConnectionID{id})
	return append([]ConnectionID{id}, twins...), err
}

// OneApplication says whether connections all told of the same sessions, as v1
// and v3 side by side do: then it says little which of them told of one. It is
// false without any.
func (c *Connections) OneApplication(ctx context.Context, org OrgID, conns []Connection) (bool, error) {
	if len(conns) == 0 {
		return false, nil
	}
	of, err := c.application(ctx, org, conns[0].ID)
	return !slices.ContainsFunc(conns, func(other Connection) bool { return !slices.Contains(of, other.ID) }), err
}

// raygun returns the client of a Raygun connection in use. It is shared, so
// that the session key is renewed once and not by every caller.
func (c *Connections) raygun(ctx context.Context, org OrgID, id ConnectionID) (raygun.API, Connection, error) {
	cl, conn, err := c.client(ctx, org, id, Raygun)
	if err == nil && conn.Vendor == RaygunV3 && conn.Application == "" {
		err = &Error{Kind: Conflict, Msg: fmt.Sprintf("No application is chosen for “%s” yet. Somebody with the admin role can choose one under Settings.", conn.Name)}
	}
	return cl.raygun, conn, err
}

// raygunV3 returns the client of a Raygun v3 connection in use, with or without
// an application.
func (c *Connections) raygunV3(ctx context.Context, org OrgID, id ConnectionID) (*raygun.V3, Connection, error) {
	cl, conn, err := c.client(ctx, org, id, Raygun)
	if err != nil {
		return nil, conn, err
	}
	v3, ok := cl.raygun.(*raygun.V3)
	if !ok {
		return nil, conn, invalid("“%s” speaks Raygun's API v1, which cannot tell this.", conn.Name)
	}
	return v3, conn, nil
}

// logrocket returns the client of a LogRocket connection in use.
func (c *Connections) logrocket(ctx context.Context, org OrgID, id ConnectionID) (*logrocket.Client, Connection, error) {
	cl, conn, err := c.client(ctx, org, id, LogRocket)
	return cl.logrocket, conn, err
}

func (c *Connections) client(ctx context.Context, org OrgID, id ConnectionID, want Vendor) (client, Connection, error) {
	row, err := c.db.Org(org).Connection(ctx, id)
	if err != nil {
		return client{}, Connection{}, notFound(err, noConnection)
	}
	conn := connectionOf(org, row)
	switch {
	case conn.Removed():
		return client{}, conn, &Error{Kind: Conflict, Msg: fmt.Sprintf("The connection “%s” was removed. Nothing can be asked through it.", conn.Name)}
	case conn.Vendor.IsRaygun() != want.IsRaygun():
		return client{}, conn, invalid("“%s” is a connection to %s, not to %s.", conn.Name, conn.Vendor, want)
	}
	m := made{org: org, orgSlug: row.OrgSlug, appSlug: row.AppSlug}
	if !conn.RotatedAt.IsZero() {
		m.rotatedAt = conn.RotatedAt.UnixMilli()
	}
	// The lock is held while the client is made, so that two callers share one;
	// nothing in there waits for a vendor.
	c.mu.Lock()
	defer c.mu.Unlock()
	if cl, ok := c.clients[id]; ok && cl.made == m {
		return cl, conn, nil
	}
	cl, err := c.newClient(ctx, conn, row.Dialect)
	if err != nil {
		return client{}, conn, fmt.Errorf("make a client of connection %d: %w", id, err)
	}
	cl.made = m
	c.clients[id] = cl
	return cl, conn, nil
}

// drop forgets a connection's client, and with it the credentials in memory.
func (c *Connections) drop(id ConnectionID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.clients, id)
}

func (c *Connections) newClient(ctx context.Context, conn Connection, dialect string) (client, error) {
	keys, err := c.open(ctx, conn)
	if err != nil {
		return client{}, err
	}
	l := ledger{
		db: c.db.Org(conn.Org), connection: conn.ID, vendor: conn.Vendor, now: c.now, metrics: c.metrics, running: &sync.Map{},
		sharing: func(ctx context.Context) ([]ConnectionID, error) { return c.sharing(ctx, conn.Org, conn.ID) },
	}
	log := c.log.With("connection", int64(conn.ID))
	if conn.Vendor == RaygunV3 {
		v3, err := raygun.NewV3(raygun.OptionsV3{
			BaseURL: c.vendors.RaygunURL, Token: keys[fieldToken], Application: conn.Application, Known: c.known(conn),
			Ledger: l, Pace: c.pace(keys[fieldToken]), InTurn: c.db.InTurn, Now: c.now, Log: log, Timeout: c.vendors.Timeout,
		})
		return client{raygun: v3}, err
	}
	if conn.Vendor == Raygun {
		o := raygun.Options{
			BaseURL:     c.vendors.RaygunURL,
			Credentials: raygun.Credentials{APIKey: keys[fieldAPIKey], ClientID: keys[fieldClientID], ClientSecret: keys[fieldClientSecret]},
			Ledger:      l, InTurn: c.db.InTurn, Now: c.now, Log: log, Timeout: c.vendors.Timeout,
			OnDialect: func(d raygun.Dialect) { c.storeDialect(conn, d) },
		}
		c.readDialect(conn, dialect, &o.Dialect)
		v1, err := raygun.NewV1(o)
		return client{raygun: v1}, err
	}
	o := logrocket.Options{
		BaseURL: c.vendors.LogRocketURL, AppURL: c.vendors.LogRocketAppURL, OrgSlug: conn.OrgSlug, AppSlug: conn.AppSlug,
		Key: keys[fieldKey], Ledger: l, Now: c.now, Log: log, Timeout: c.vendors.Timeout,
		OnDialect: func(d logrocket.Dialect) { c.storeDialect(conn, d) },
	}
	c.readDialect(conn, dialect, &o.Dialect)
	lr, err := logrocket.New(o)
	return client{logrocket: lr}, err
}

// pace returns what keeps the calls of one token apart. The caller holds c.mu.
func (c *Connections) pace(token secrets.Secret) *rate.Limiter {
	key := sha256.Sum256([]byte(token.Reveal()))
	if c.paces[key] == nil {
		c.paces[key] = raygun.NewPace()
	}
	return c.paces[key]
}

// readDialect reads what was found out before. What cannot be read is as good
// as unknown: the client finds it out again.
func (c *Connections) readDialect(conn Connection, text string, into any) {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		c.log.Warn("stored dialect cannot be read", "connection", int64(conn.ID), "error", err)
	}
}

// storeDialect keeps what a client found out. It runs beside a call that must
// not fail because of it.
func (c *Connections) storeDialect(conn Connection, d any) {
	text, err := json.Marshal(d)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = c.db.Org(conn.Org).SetConnectionDialect(ctx, conn.ID, string(text))
	}
	if err != nil {
		c.log.Error("dialect was not stored", "connection", int64(conn.ID), "error", err)
	}
}

// place names what a secret is bound to.
func place(org OrgID, id ConnectionID, field string) string {
	return fmt.Sprintf("%d/%d/%s", org, id, field)
}

// seal returns what seals the secrets that are given; absent ones stay as they are.
func (c *Connections) seal(org OrgID, fields map[string]secrets.Secret) db.SealFunc {
	return func(id ConnectionID) (map[string][]byte, error) {
		out := make(map[string][]byte, len(fields))
		for field, s := range fields {
			if s.IsZero() {
				continue
			}
			sealed, err := c.box.Seal(place(org, id, field), s)
			if err != nil {
				return nil, err
			}
			out[field] = sealed
		}
		return out, nil
	}
}

// open returns the secrets of a connection by field.
func (c *Connections) open(ctx context.Context, conn Connection) (map[string]secrets.Secret, error) {
	sealed, err := c.db.Org(conn.Org).ConnectionSecrets(ctx, conn.ID)
	if err != nil {
		return nil, err
	}
	out := make(map[string]secrets.Secret, len(sealed))
	for field, text := range sealed {
		if out[field], err = c.box.Open(place(conn.Org, conn.ID, field), text); err != nil {
			return nil, err
		}
	}
	return out, nil
}
