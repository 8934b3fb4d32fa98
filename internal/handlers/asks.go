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

// waitAndLead waits a moment for the answer to a question and leads to a page,
// which says what was answered or shows how far the question is.
func (a *app) waitAndLead(w http.ResponseWriter, r *http.Request, ask services.Ask, to string) error {
	ask, err := a.Asks.Wait(r.Context(), orgOf(r), ask.ID, waitForVendor)
	if err != nil {
		return err
	}
	said := ""
	if ask.State == services.AskDone {
		said = ask.Message
	}
	return a.redirect(w, r, to, "success", said)
}

// idParam reads a row id from the path.
func idParam(r *http.Request, name string) int64 { return idOf(chi.URLParam(r, name)) }

// idOf reads a row id from an address or a form; what is no id is 0, which no
// row has.
func idOf(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// idText is an id as an address holds it, "" for none.
func idText(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}
