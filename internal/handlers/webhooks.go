package handlers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"sightline/internal/services"
)

// maxWebhook bounds what a vendor may report, in bytes. Of a longer report the
// address alone counts.
const maxWebhook = 1 << 20

// webhookTime is how long a vendor may take to send its report.
const webhookTime = 10 * time.Second

// webhook handles POST /webhooks/logrocket/{token}. The address is the proof,
// and says what is reported: an unknown one is not found before a byte of the
// body is read.
func (a *app) webhook(w http.ResponseWriter, r *http.Request) {
	take, err := a.webhookOf(r.Context(), chi.URLParam(r, "token"))
	if err != nil {
		a.refuseWebhook(w, r, err)
		return
	}
	body, problem := readWebhook(w, r)
	// Kept even if the vendor has hung up meanwhile.
	if err := take(context.WithoutCancel(r.Context()), body, problem == nil); err != nil {
		a.refuseWebhook(w, r, err)
		return
	}
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(problem, &tooBig):
		http.Error(w, "too long", http.StatusRequestEntityTooLarge)
	case problem != nil:
		http.Error(w, "broken off", http.StatusRequestTimeout)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// webhookOf finds what takes the reports to an address. A result that is ready
// is fetched whatever the body is, or however it breaks off; of an alert nothing
// is left to fetch, so only a whole one is taken.
func (a *app) webhookOf(ctx context.Context, token string) (take func(ctx context.Context, body []byte, whole bool) error, err error) {
	hook, err := a.Highlights.Hook(ctx, token)
	if err == nil {
		return func(ctx context.Context, body []byte, _ bool) error { return a.Highlights.Report(ctx, hook, body) }, nil
	}
	var e *services.Error
	if !errors.As(err, &e) || e.Kind != services.NotFound {
		return nil, err
	}
	alerts, err := a.Alerts.Hook(ctx, token)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, body []byte, whole bool) error {
		if !whole {
			return nil
		}
		return a.Alerts.Receive(ctx, alerts, body)
	}, nil
}

// readWebhook reads what a vendor reports, in bounded time and size.
func readWebhook(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	// A server that knows no deadlines, as in tests, has limits of its own.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(webhookTime))
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
}

// refuseWebhook answers a program: it reads no page. The address stays out of
// the log, as it is a secret.
func (a *app) refuseWebhook(w http.ResponseWriter, r *http.Request, err error) {
	var e *services.Error
	if errors.As(err, &e) && e.Kind == services.NotFound {
		http.Error(w, "no such address", http.StatusNotFound)
		return
	}
	a.log.ErrorContext(r.Context(), "a webhook was not stored", "err", err)
	http.Error(w, "try again later", http.StatusServiceUnavailable)
}
