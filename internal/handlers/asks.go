package handlers

import (
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"sightline/internal/services"
	"sightline/web/templates"
)

// askView shows how far a question to a vendor is. about says what is asked,
// in words; back is the page that has the answer.
func askView(r *http.Request, ask services.Ask, about, back string) templates.AskView {
	return templates.AskView{
		ID: int64(ask.ID), State: string(ask.State), Open: ask.State.Open(), About: about, Message: ask.Message,
		Since: ask.CreatedAt, At: ask.FinishedAt, URL: orgPath(r, "asks/%d", ask.ID), Back: back,
	}
}

// showAsk handles GET /asks/{id}: the fragment that a waiting page polls. When
// the answer is there, the page loads itself anew.
func (a *app) showAsk(w http.ResponseWriter, r *http.Request) error {
	ask, err := a.Asks.Get(r.Context(), orgOf(r), services.AskID(idParam(r, "id")))
	if err != nil {
		return err
	}
	v := askView(r, ask, r.URL.Query().Get("about"), "")
	v.Now = a.now()
	if wantsPart(r) {
		if !ask.State.Open() {
			w.Header().Set("HX-Refresh", "true")
		}
		return a.render(w, r, http.StatusOK, templates.AskStatus(v))
	}
	return a.page(w, r, http.StatusOK, "Asking the vendor", "", templates.AskPage(v))
}

// idParam reads a row id from the path; what is no id is 0, which no row has.
func idParam(r *http.Request, name string) int64 {
	n, err := strconv.ParseInt(chi.URLParam(r, name), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
