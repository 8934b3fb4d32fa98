// Package handlers is Sightline over HTTP: one route table, forms in, views
// out. A handler reads the request, calls one service and renders; it returns
// its errors and writes nothing of its own about them.
package handlers

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/klauspost/compress/gzhttp"

	"sightline/internal/services"
	"sightline/web/static"
)

// maxForm bounds what a form may send, in bytes.
const maxForm = 1 << 20

// waitForVendor is how long a POST waits for an answer before it sends the
// browser to a page that shows how far it is.
const waitForVendor = 2500 * time.Millisecond

// Options are what the web layer needs.
type Options struct {
	Services *services.Services
	// BaseURL is where people reach Sightline, such as https://sightline.example.com.
	// Its scheme decides whether cookies are for https alone. Nil means
	// whatever the browser used, over plain http.
	BaseURL *url.URL
	// TrustProxy takes the caller's address from X-Forwarded-For, for the
	// limits on signing in. Only right behind a proxy that sets it.
	TrustProxy bool
	// Demo shows on every page that the data is made up, and is nil otherwise.
	Demo *Demo
	// Version is shown to people and to monitors.
	Version string
	// MetricsKey is the SHA-256 of the token that opens /metrics. Without one it
	// answers this machine alone, see seesMetrics.
	MetricsKey [sha256.Size]byte
	// Stopping is closed when the program stops, so that streams of events end.
	// Nil means never.
	Stopping <-chan struct{}
	Log      *slog.Logger
	Now      func() time.Time
}

// Demo is what the sign-in and first pages offer when the data is made up.
type Demo struct {
	Accounts []DemoAccount
	// People are offered on the first page to look up.
	People []DemoPerson
}

// DemoPerson is someone made up: what to type into the search, and why.
type DemoPerson struct{ Query, Story string }

// DemoAccount is a sign-in that the demo prints and shows.
type DemoAccount struct{ Role, Email, Password string }

// app holds what handlers need. Its handlers are methods, one file per screen.
type app struct {
	*services.Services
	opt     Options
	log     *slog.Logger
	now     func() time.Time
	cookies *cookieStore
	limits  signInLimits
	process [16]byte  // see kept
	pages   keptPages // see kept
	buffers sync.Pool // of *bytes.Buffer, for pages that are being written
	gzips   sync.Pool // of *gzip.Writer, for pages that are kept
}

// route is one line of the table. role is the least role that may use it; the
// path is below /o/{org}.
type route struct {
	method, path string
	role         services.Role
	handle       handlerFunc
}

// routes is the table of everything that belongs to an organization.
func (a *app) routes() []route {
	return []route{
		{"GET", "/", services.Viewer, a.home},
		{"GET", "/lookup", services.Viewer, a.kept(a.lookup)},
		{"POST", "/lookup/ask", services.Support, a.askUnknown},
		{"GET", "/customers", services.Viewer, a.kept(a.customers)},
		{"GET", "/customers/{id}", services.Viewer, a.kept(a.customer)},
		{"POST", "/customers/{id}/pin", services.Viewer, a.pinCustomer},
		{"GET", "/customers/{id}/watched", services.Viewer, a.kept(a.watched)},
		{"POST", "/customers/{id}/refresh", services.Support, a.refreshCustomer},
		{"GET", "/sessions", services.Viewer, a.kept(a.sessions)},
		{"GET", "/sessions.csv", services.Viewer, a.sessionsCSV},
		{"GET", "/sessions.json", services.Viewer, a.sessionsJSON},
		{"POST", "/sessions/ask", services.Support, a.askSessions},
		{"GET", "/sessions/views", services.Viewer, a.showViews},
		// Whose view one may change the service knows.
		{"POST", "/sessions/views", services.Viewer, a.saveView},
		{"POST", "/sessions/views/{id}", services.Viewer, a.updateView},
		{"POST", "/sessions/views/{id}/name", services.Viewer, a.renameView},
		{"POST", "/sessions/views/{id}/default", services.Viewer, a.defaultView},
		{"POST", "/sessions/views/{id}/delete", services.Viewer, a.deleteView},
		{"GET", "/sessions/{id}", services.Viewer, a.kept(a.session)},
		{"POST", "/sessions/{id}/detail", services.Support, a.askSession},
		{"GET", "/sessions/{id}/answer", services.Viewer, a.sessionAnswer},
		{"GET", "/sessions/{id}/answer.json", services.Viewer, a.sessionAnswerFile},
		{"GET", "/insight", services.Viewer, a.kept(a.insight)},
		{"GET", "/insight/{topic}", services.Viewer, a.kept(a.insight)},
		{"POST", "/insight/vitals", services.Support, a.askVitals},
		{"POST", "/sessions/fill", services.Support, a.fillDays},
		{"POST", "/sessions/details", services.Support, a.fetchDetails},
		{"GET", "/details/{id}", services.Viewer, a.showDetails},
		{"POST", "/details/{id}/stop", services.Support, a.stopDetails},
		{"POST", "/details/{id}/resume", services.Support, a.resumeDetails},
		{"GET", "/asks/{id}", services.Viewer, a.showAsk},
		{"GET", "/calls", services.Viewer, a.kept(a.calls)},
		{"GET", "/calls/days", services.Viewer, a.kept(a.callDays)},

		{"GET", "/history", services.Viewer, a.kept(a.history)},
		{"GET", "/history.csv", services.Viewer, a.historyCSV},

		{"GET", "/settings", services.Viewer, a.settings},
		{"GET", "/settings/connections", services.Viewer, a.connections},
		{"GET", "/settings/connections/new", services.Admin, a.newConnection},
		{"POST", "/settings/connections", services.Admin, a.addConnection},
		{"GET", "/settings/connections/{id}", services.Viewer, a.connection},
		{"GET", "/settings/connections/{id}/application", services.Admin, a.application},
		{"POST", "/settings/connections/{id}/application", services.Admin, a.chooseApplication},
		{"POST", "/settings/connections/{id}/applications", services.Admin, a.askApplications},
		{"POST", "/settings/connections/{id}/test", services.Admin, a.testConnection},
		{"POST", "/settings/connections/{id}/name", services.Admin, a.renameConnection},
		{"POST", "/settings/connections/{id}/credentials", services.Admin, a.rotateConnection},
		{"POST", "/settings/connections/{id}/budget", services.Admin, a.setConnectionBudget},
		{"GET", "/settings/connections/{id}/alerts", services.Viewer, a.toConnection},
		{"POST", "/settings/connections/{id}/alerts", services.Admin, a.setAlertAddress},
		{"GET", "/settings/connections/{id}/audit", services.Viewer, a.showAuditFollow},
		{"POST", "/settings/connections/{id}/audit", services.Admin, a.setAudit},
		{"GET", "/settings/connections/{id}/remove", services.Admin, a.askRemoveConnection},
		{"POST", "/settings/connections/{id}/remove", services.Admin, a.removeConnection},
		{"POST", "/settings/connections/{id}/reconnect", services.Admin, a.reconnectConnection},

		// It tells what colleagues do all day; who watched a customer, the customer's
		// page tells every member.
		{"GET", "/settings/audit", services.Admin, a.audit},
		{"GET", "/settings/audit.csv", services.Admin, a.auditCSV},
		{"GET", "/settings/audit.json", services.Admin, a.auditJSON},

		{"GET", "/settings/members", services.Viewer, a.members},
		{"GET", "/settings/members/invite", services.Admin, a.newInvitation},
		{"POST", "/settings/members/invite", services.Admin, a.invite},
		{"GET", "/settings/members/invitations/{id}/link", services.Admin, a.toMembers},
		{"POST", "/settings/members/invitations/{id}/link", services.Admin, a.renewInvitation},
		{"POST", "/settings/members/invitations/{id}/revoke", services.Admin, a.revokeInvitation},
		{"GET", "/settings/members/{id}", services.Admin, a.showMember},
		{"POST", "/settings/members/{id}/role", services.Admin, a.changeRole},
		// Everybody may leave; whom else one may remove the service knows.
		{"GET", "/settings/members/{id}/remove", services.Viewer, a.askRemoveMember},
		{"POST", "/settings/members/{id}/remove", services.Viewer, a.removeMember},

		{"GET", "/account", services.Viewer, a.account},
		{"POST", "/account/name", services.Viewer, a.renameSelf},
		{"POST", "/account/password", services.Viewer, a.changePassword},
		{"POST", "/account/sign-out-elsewhere", services.Viewer, a.signOutElsewhere},

		{"GET", "/customers/{id}/traits", services.Viewer, a.traits},
		{"POST", "/customers/{id}/traits", services.Support, a.postTraits},
		{"GET", "/customers/{id}/traits/edit", services.Support, a.editTraits},
		{"GET", "/customers/{id}/traits/history", services.Viewer, a.traitHistory},
		{"GET", "/customers/{id}/traits/{edit}", services.Viewer, a.showTraitEdit},
		{"GET", "/traits/bulk", services.Viewer, a.bulks},
		{"POST", "/traits/bulk", services.Support, a.uploadBulk},
		{"GET", "/traits/bulk/{id}", services.Viewer, a.bulk},
		{"GET", "/traits/bulk/{id}/columns", services.Support, a.bulkColumns},
		{"POST", "/traits/bulk/{id}/columns", services.Support, a.planBulk},
		{"POST", "/traits/bulk/{id}/send", services.Support, a.sendBulk},
		{"POST", "/traits/bulk/{id}/pause", services.Support, a.turnBulk((*services.Bulks).Pause)},
		{"POST", "/traits/bulk/{id}/resume", services.Support, a.turnBulk((*services.Bulks).Resume)},
		{"POST", "/traits/bulk/{id}/cancel", services.Support, a.turnBulk((*services.Bulks).Cancel)},
		{"POST", "/traits/bulk/{id}/again", services.Support, a.turnBulk((*services.Bulks).Again)},
		{"POST", "/traits/bulk/{id}/undo", services.Support, a.undoBulk},
		{"GET", "/traits/bulk/{id}/faults.csv", services.Viewer, a.bulkFaults},
		{"GET", "/traits/bulk/{id}/result.csv", services.Viewer, a.bulkResult},
		{"GET", "/alerts", services.Viewer, a.alerts},
		{"GET", "/graphql", services.Viewer, a.graphQL},
		{"POST", "/graphql", services.Support, a.postGraphQL},
		{"GET", "/graphql/runs/{id}", services.Viewer, a.graphQLRun},
		// Who may stop a run the service knows: one's own takes no more than reading.
		{"POST", "/graphql/runs/{id}/stop", services.Viewer, a.stopGraphQL},
		{"GET", "/graphql/runs/{id}/table.csv", services.Viewer, a.graphQLCSV},
		{"GET", "/graphql/runs/{id}/table.json", services.Viewer, a.graphQLRows},
		{"GET", "/graphql/runs/{id}/answer.json", services.Viewer, a.graphQLJSON},
		{"GET", "/graphql/saved", services.Viewer, a.savedQueries},
		{"GET", "/graphql/saved/{id}", services.Viewer, a.savedQuery},
		{"POST", "/graphql/saved/{id}/delete", services.Support, a.deleteSavedQuery},
		{"GET", "/graphql/saved/{id}/form", services.Support, a.publishForm},
		{"POST", "/graphql/saved/{id}/form", services.Support, a.postForm},
		{"POST", "/graphql/saved/{id}/form/withdraw", services.Support, a.withdrawForm},
		{"GET", "/graphql/saved/{id}/schedule", services.Support, a.newSchedule},
		{"POST", "/graphql/saved/{id}/schedule", services.Support, a.addSchedule},
		{"GET", "/graphql/schedules", services.Viewer, a.schedules},
		{"GET", "/graphql/schedules/{id}", services.Viewer, a.schedule},
		{"GET", "/graphql/schedules/{id}/trend.csv", services.Viewer, a.trendCSV},
		{"GET", "/graphql/schedules/{id}/trend.json", services.Viewer, a.trendJSON},
		{"GET", "/graphql/schedules/{id}/edit", services.Support, a.editSchedule},
		{"POST", "/graphql/schedules/{id}/edit", services.Support, a.changeSchedule},
		{"POST", "/graphql/schedules/{id}/run", services.Support, a.runSchedule},
		{"POST", "/graphql/schedules/{id}/watch", services.Support, a.watchNumber},
		{"POST", "/graphql/schedules/{id}/pause", services.Support, a.turnSchedule(pauseSchedule, "Paused. Nothing is asked until somebody resumes it.")},
		{"POST", "/graphql/schedules/{id}/resume", services.Support, a.turnSchedule(resumeSchedule, "It goes on at its next time, for you.")},
		{"POST", "/graphql/schedules/{id}/delete", services.Support, a.deleteSchedule},
		{"GET", "/graphql/forms", services.Viewer, a.queryForms},
		{"GET", "/graphql/forms/{id}", services.Viewer, a.queryForm},
		// Who may ask through a form whoever published it has said.
		{"POST", "/graphql/forms/{id}", services.Viewer, a.askForm},
		{"GET", "/graphql/schema", services.Viewer, a.graphQLSchema},
		{"GET", "/graphql/docs", services.Viewer, a.graphQLDocs},
		{"GET", "/graphql/schema.json", services.Viewer, a.schemaFile},
		{"POST", "/graphql/schema", services.Support, a.fetchSchema},
		{"POST", "/graphql/mutations", services.Admin, a.lockGraphQL},
		{"GET", "/exports", services.Viewer, a.recordings},
		{"GET", "/exports/patterns", services.Viewer, a.patterns},
		{"GET", "/exports/{id}", services.Viewer, a.recording},
		{"POST", "/exports/{id}/remove", services.Admin, a.removeRecording},
		{"GET", "/exports/{id}/events/{place}", services.Viewer, a.recordingLine},
		{"GET", "/exports/files", services.Viewer, a.exportFiles},
		{"POST", "/exports/files", services.Support, a.uploadExport},
		{"GET", "/exports/files/{id}", services.Viewer, a.exportFile},
		{"GET", "/exports/files/{id}/download", services.Viewer, a.downloadExport},
		{"POST", "/exports/files/{id}/cancel", services.Support, a.turnExport(a.cancelExport)},
		{"POST", "/exports/files/{id}/again", services.Support, a.turnExport(a.againExport)},
		{"GET", "/exports/follow/{id}", services.Admin, a.exportForm},
		{"POST", "/exports/follow/{id}", services.Admin, a.followExports},
		{"GET", "/exports/follow/{id}/state", services.Viewer, a.exportState},
		{"POST", "/exports/follow/{id}/pause", services.Admin, a.turnExports(a.pauseExports)},
		{"POST", "/exports/follow/{id}/resume", services.Admin, a.turnExports(a.resumeExports)},
		{"POST", "/exports/follow/{id}/look", services.Support, a.turnExports(a.lookExports)},
		{"POST", "/exports/follow/{id}/cancel", services.Support, a.turnExports(a.cancelExports)},
		{"GET", "/highlights", services.Viewer, a.highlights},
		{"POST", "/highlights", services.Support, a.requestHighlights},
		{"GET", "/highlights/new", services.Support, a.newHighlight},
		{"GET", "/highlights/batches", services.Viewer, a.batches},
		{"POST", "/highlights/batches", services.Support, a.draftBatch},
		{"GET", "/highlights/batches/new", services.Support, a.newBatch},
		{"GET", "/highlights/batches/{id}", services.Viewer, a.batch},
		{"GET", "/highlights/batches/{id}/events", services.Viewer, a.batchEvents},
		{"POST", "/highlights/batches/{id}/file", services.Support, a.rereadBatch},
		{"POST", "/highlights/batches/{id}/start", services.Support, a.startBatch},
		{"POST", "/highlights/batches/{id}/drop", services.Support, a.dropBatch},
		{"POST", "/highlights/batches/{id}/pause", services.Support, a.turnBatch((*services.Batches).Pause)},
		{"POST", "/highlights/batches/{id}/resume", services.Support, a.resumeBatch},
		{"POST", "/highlights/batches/{id}/cancel", services.Support, a.turnBatch((*services.Batches).Cancel)},
		{"POST", "/highlights/batches/{id}/again", services.Support, a.turnBatch((*services.Batches).Again)},
		{"GET", "/highlights/batches/{id}/digest", services.Viewer, a.batchDigest},
		{"GET", "/highlights/batches/{id}/digest.md", services.Viewer, a.batchMarkdown},
		{"GET", "/highlights/batches/{id}/digest.csv", services.Viewer, a.batchCSV},
		{"GET", "/highlights/batches/{id}/digest.json", services.Viewer, a.batchJSON},
		{"GET", "/highlights/{id}", services.Viewer, a.showHighlight},
		{"GET", "/highlights/{id}/changes", services.Viewer, a.highlightChanges},
		{"GET", "/highlights/{id}/events", services.Viewer, a.highlightEvents},
		{"POST", "/highlights/{id}/cancel", services.Support, a.cancelHighlight},
		{"POST", "/highlights/{id}/recheck", services.Support, a.recheckHighlight},
	}
}

func newApp(o Options) *app {
	a := &app{Services: o.Services, opt: o, log: o.Log, now: o.Now, process: newProcess()}
	a.cookies = newCookieStore(o.Services.People, o.Services.CookieKeys, o.BaseURL)
	a.limits = newSignInLimits(o.TrustProxy)
	a.buffers.New = func() any { return new(bytes.Buffer) }
	return a
}

// New returns the whole of Sightline as one handler.
func New(o Options) (http.Handler, error) {
	files, err := static.New()
	if err != nil {
		return nil, fmt.Errorf("read the static files: %w", err)
	}
	gz, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(1), gzhttp.MinSize(1024))
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	a := newApp(o)
	cross := http.NewCrossOriginProtection()
	if o.BaseURL != nil {
		if err := cross.AddTrustedOrigin(o.BaseURL.Scheme + "://" + o.BaseURL.Host); err != nil {
			return nil, fmt.Errorf("trust our own address: %w", err)
		}
	}
	cross.SetDenyHandler(a.public(a.crossOrigin))

	r := chi.NewRouter()
	r.Use(a.measured, headAsGet)
	r.Method("GET", "/static/*", files)
	r.With(a.secure).Get("/healthz", a.healthz)
	r.With(a.secure).Get("/readyz", a.readyz)
	r.With(a.secure).Get("/metrics", a.metrics)
	r.With(a.secure).Post(services.WebhookPath+"{token}", a.webhook)
	r.Group(func(r chi.Router) {
		r.Use(a.secure, func(next http.Handler) http.Handler { return gz(next) }, cross.Handler)
		r.Method("GET", "/", a.public(a.root))
		r.Method("GET", "/login", a.public(a.showLogin))
		r.Method("POST", "/login", a.public(a.login))
		r.Method("POST", "/logout", a.public(a.logout))
		r.Method("GET", "/setup", a.public(a.showSetup))
		r.Method("POST", "/setup", a.public(a.setup))
		r.Method("GET", "/invite", a.public(a.showInvited))
		r.Method("POST", "/invite", a.public(a.acceptInvitation))
		r.Method("GET", "/o/{org}", a.public(a.addSlash))
		for _, t := range a.routes() {
			r.Method(t.method, "/o/{org}"+t.path, a.member(t.role, t.handle))
		}
		r.NotFound(a.public(a.noSuchPage).ServeHTTP)
		r.MethodNotAllowed(a.public(a.wrongMethod).ServeHTTP)
	})
	return r, nil
}

// headAsGet lets what answers GET answer HEAD: monitors ask so. It is all that
// chi's own middleware would be for, whose package brings profiling over HTTP
// along.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			chi.RouteContext(r.Context()).RouteMethod = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}
