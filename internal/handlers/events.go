package handlers

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"sightline/internal/services"
)

const (
	// eventsLast is how long one stream of events lasts; the browser opens the
	// next one by itself.
	eventsLast = 5 * time.Minute
	// eventsLook is how soon a change is told.
	eventsLook = 200 * time.Millisecond
	// eventsAlive is the pause after which a stream shows that it still lives.
	eventsAlive = 15 * time.Second
)

// stream sends the event "news" whenever what see returns changes, until done
// or the program stops. The events carry nothing: the page asks for what is
// new, and asks on its own, only later, if streams do not get through.
func (a *app) stream(w http.ResponseWriter, r *http.Request, see func() (state string, done bool, err error)) error {
	generation := a.Generation() // first, so that nothing is missed
	shown, done, err := see()
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set(gzhttp.HeaderNoCompression, "yes")
	h.Set("X-Accel-Buffering", "no") // nginx would hold it back
	out := http.NewResponseController(w)
	send := func(text string) error {
		// The server's own limit is for answers that end.
		_ = out.SetWriteDeadline(time.Now().Add(2 * eventsAlive))
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
		return out.Flush()
	}
	// What changed between the page and the stream counts as news as well.
	err = send("event: news\ndata:\n\n")
	look, alive, end := time.NewTicker(eventsLook), time.NewTicker(eventsAlive), time.NewTimer(eventsLast)
	defer look.Stop()
	defer alive.Stop()
	defer end.Stop()
	for err == nil && !done {
		select {
		case <-r.Context().Done():
			return nil
		case <-a.opt.Stopping:
			return nil
		case <-end.C:
			return nil
		case <-alive.C:
			err = send(":\n\n")
		case <-look.C:
			now := a.Generation()
			if now == generation {
				continue
			}
			generation = now
			var state string
			if state, done, err = see(); err == nil && state != shown {
				shown, err = state, send("event: news\ndata:\n\n")
			}
		}
	}
	if err != nil && r.Context().Err() == nil {
		a.log.DebugContext(r.Context(), "a stream of events ended early", "err", err)
	}
	return nil
}

// highlightEvents handles GET /highlights/{id}/events.
func (a *app) highlightEvents(w http.ResponseWriter, r *http.Request) error {
	id := services.HighlightID(idParam(r, "id"))
	return a.stream(w, r, func() (string, bool, error) {
		h, err := a.Highlights.Get(r.Context(), orgOf(r), id)
		return fmt.Sprint(h.State, h.VendorStatus, h.Message, h.Polls), !h.State.Open(), err
	})
}
