package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// recordingKind is what a member may search recordings for.
type recordingKind struct {
	key, label, icon string
	kinds            []services.TextKind
}

func recordingKinds() []recordingKind {
	return []recordingKind{
		{"", "Anything", "film", nil},
		{"page", "Page", "globe", []services.TextKind{services.TextPage}},
		{"request", "Request", "activity", []services.TextKind{services.TextEndpoint}},
		{"error", "Error message", "bug", []services.TextKind{services.TextError}},
		{"console", "Console", "monitor", []services.TextKind{services.TextConsole, services.TextConsoleError}},
		{"console-error", "Console error", "monitor", []services.TextKind{services.TextConsoleError}},
		{"input", "Click or typing", "mouse-pointer-click", []services.TextKind{services.TextInput}},
		{"custom", "Custom event", "tag", []services.TextKind{services.TextCustom}},
		{"other", "Other event", "info", []services.TextKind{services.TextOther}},
	}
}

// kindOf says how a text's kind is shown.
func kindOf(k services.TextKind) recordingKind {
	for _, kind := range recordingKinds() {
		if len(kind.kinds) == 1 && kind.kinds[0] == k {
			return kind
		}
	}
	return recordingKind{key: "console", label: "Console", icon: "monitor"}
}

// recordingPath is a recording's page; recordingMoment is that at one event.
func recordingPath(r *http.Request, id services.RecordingID) string {
	return orgPath(r, "exports/%d", id)
}

func recordingMoment(r *http.Request, id services.RecordingID, place int64) string {
	return recordingPath(r, id) + fmt.Sprintf("?event=%d#e%d", place, place)
}

// recordingsInput is what the address says about which recordings, or moments in
// them, to show.
type recordingsInput struct {
	query    services.RecordingQuery
	kind     recordingKind
	problems services.Problems
	// About, from and until are as typed.
	about, from, until string
	before             string
}

func readRecordings(r *http.Request) recordingsInput {
	q := r.URL.Query()
	in := recordingsInput{
		problems: services.Problems{}, about: strings.TrimSpace(q.Get("about")), from: q.Get("from"), until: q.Get("until"), before: q.Get("before"), kind: recordingKinds()[0],
		query: services.RecordingQuery{
			Text: strings.TrimSpace(q.Get("q")), Exactly: services.EventTextID(idOf(q.Get("text"))), Failed: q.Get("failed") != "",
			Customer: services.CustomerID(idOf(q.Get("customer"))),
		},
	}
	for _, k := range recordingKinds() {
		if k.key == q.Get("what") {
			in.kind = k
		}
	}
	in.query.Kinds = in.kind.kinds
	in.query.From, in.query.To = readDays(in.problems, in.from, in.until)
	return in
}

// searching says that moments are looked for, not recordings.
func (in recordingsInput) searching() bool {
	q := in.query
	return q.Text != "" || q.Exactly != 0 || q.Failed || len(q.Kinds) > 0
}

// values are the filters as an address holds them, without the page.
func (in recordingsInput) values() url.Values {
	q, failed := in.query, ""
	if q.Failed {
		failed = "1"
	}
	return valuesOf("q", q.Text, "text", idText(int64(q.Exactly)), "what", in.kind.key, "failed", failed, "customer", idText(int64(q.Customer)), "from", in.from, "until", in.until)
}

// recordings handles GET /exports: the recordings, or moments found in them.
func (a *app) recordings(w http.ResponseWriter, r *http.Request) error {
	in := readRecordings(r)
	if in.about != "" {
		found, err := a.Customers.Lookup(r.Context(), orgOf(r), in.about)
		if err != nil {
			return err
		}
		if in.query.Customer = found.Only; found.Only != 0 {
			http.Redirect(w, r, orgPath(r, "exports")+query(in.values()), http.StatusSeeOther)
			return nil
		}
		in.problems["about"] = "Nobody, or more than one person, has exactly this email or id."
	}
	v, err := a.recordingsView(r, in)
	if err != nil {
		return err
	}
	if len(in.problems) > 0 {
		return a.page(w, r, http.StatusUnprocessableEntity, "Recordings", "exports", templates.RecordingsPage(v))
	}
	if v.Searching = in.searching(); v.Searching {
		err = a.recordingHits(r, in, &v)
	} else {
		err = a.recordingRows(r, in, &v)
	}
	if err != nil {
		return err
	}
	return a.page(w, r, http.StatusOK, "Recordings", "exports", templates.RecordingsPage(v))
}

// recordingsView is the page without its rows.
func (a *app) recordingsView(r *http.Request, in recordingsInput) (templates.RecordingsView, error) {
	here, values := orgPath(r, "exports"), in.values()
	v := templates.RecordingsView{
		Tabs: recordingTabs(r, "exports"), Now: a.now(), Filter: templates.FilterView{Action: here}, FilesURL: orgPath(r, "exports/files"),
		Text:       templates.FieldView{ID: "q", Name: "q", Label: "Search for", Value: in.query.Text, Placeholder: "address, message, name", MaxLength: 500, Autocomplete: "off"},
		What:       templates.FieldView{ID: "what", Name: "what", Label: "In", Value: in.kind.key},
		About:      templates.FieldView{ID: "about", Name: "about", Label: "Customer", Value: in.about, Placeholder: "email or id", MaxLength: 1024, Autocomplete: "off", Error: in.problems["about"]},
		From:       templates.FieldView{ID: "from", Name: "from", Label: "From (UTC)", Value: in.from, Error: in.problems["from"]},
		Until:      templates.FieldView{ID: "until", Name: "until", Label: "To (UTC), included", Value: in.until, Error: in.problems["until"]},
		Failed:     templates.FieldView{ID: "failed", Name: "failed", Label: "Failures only", Value: "1"},
		OnlyFailed: in.query.Failed,
	}
	for _, k := range recordingKinds() {
		v.Whats = append(v.Whats, templates.OptionView{Value: k.key, Label: k.label})
	}
	if len(values) > 0 || len(in.problems) > 0 {
		v.Filter.ResetHref = here
	}
	chip := func(key, label, text string) {
		rest := in.values()
		v.Hidden = append(v.Hidden, templates.HiddenView{Name: key, Value: rest.Get(key)})
		rest.Del(key)
		v.Chips = append(v.Chips, templates.ChipView{Label: label, Value: text, RemoveHref: here + query(rest)})
	}
	if id := in.query.Customer; id != 0 {
		c, err := a.Customers.Get(r.Context(), orgOf(r), id)
		if err != nil {
			return v, err
		}
		chip("customer", "Customer", customerName(c))
	}
	if id := in.query.Exactly; id != 0 {
		text, err := a.Recordings.Text(r.Context(), orgOf(r), id)
		if err != nil {
			return v, err
		}
		chip("text", "Exactly", text)
	}
	return v, nil
}

// recordingRows fills in a page of recordings.
func (a *app) recordingRows(r *http.Request, in recordingsInput, v *templates.RecordingsView) error {
	before := cursorOf(in.before)
	var rows []services.Recording
	var more bool
	var err error
	if in.query.Customer != 0 {
		rows, more, err = a.Recordings.OfCustomer(r.Context(), orgOf(r), in.query.Customer, in.query.From, in.query.To, before)
	} else {
		rows, more, err = a.Recordings.List(r.Context(), orgOf(r), in.query.From, in.query.To, before)
	}
	if err != nil {
		return err
	}
	v.None = len(rows) == 0 && len(in.values()) == 0
	var next services.Moment
	for _, rec := range rows {
		v.Recordings = append(v.Recordings, recordingRow(r, rec))
		next = services.Moment{At: rec.StartedAt, ID: int64(rec.ID)}
	}
	v.Pager = pager(v.Filter.Action, in.values(), before != services.Moment{}, more, next, len(rows), "recording", "recordings")
	return nil
}

func recordingRow(r *http.Request, rec services.Recording) templates.RecordingRow {
	row := templates.RecordingRow{
		Href: recordingPath(r, rec.ID), StartedAt: rec.StartedAt, Length: templates.FormatDuration(rec.Length()),
		Device: recordingDevice(rec), Place: joined(", ", rec.City, rec.Country), Events: templates.FormatCount(rec.Events()),
	}
	row.Who, row.WhoHref = recordingWho(r, rec)
	if rec.Errors > 0 {
		row.Errors = templates.FormatCount(rec.Errors)
	}
	if rec.FailedCalls > 0 {
		row.FailedCalls = templates.FormatCount(rec.FailedCalls)
	}
	return row
}

// recordingWho names whose a recording is, and leads to them if they are known.
func recordingWho(r *http.Request, rec services.Recording) (name, href string) {
	if rec.Customer != 0 {
		href = orgPath(r, "customers/%d", rec.Customer)
	}
	return orText(orText(rec.CustomerName, rec.CustomerEmail), orText(orText(rec.UserName, rec.UserEmail), rec.UserID)), href
}

func recordingDevice(rec services.Recording) string {
	switch {
	case rec.Browser != "" && rec.OS != "":
		return rec.Browser + " on " + rec.OS
	case rec.Browser != "":
		return rec.Browser
	}
	return orText(rec.OS, rec.Device)
}

// joined puts the parts that are there together.
func joined(with string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, with)
}

// recordingHits fills in a page of moments.
func (a *app) recordingHits(r *http.Request, in recordingsInput, v *templates.RecordingsView) error {
	in.query.After = hitPlace(in.before)
	found, err := a.Recordings.Search(r.Context(), orgOf(r), in.query)
	if err != nil {
		return err
	}
	v.Narrowed = found.Narrowed
	for _, h := range found.Hits {
		kind := kindOf(h.Kind)
		row := templates.RecordingHitRow{Href: recordingMoment(r, h.Recording.ID, h.Place), Text: orText(h.Text, "(no text)"), Kind: kind.label, Icon: kind.icon, Times: templates.FormatCount(h.Times), At: h.At}
		if h.Bad > 0 && h.Kind == services.TextEndpoint {
			row.Bad = templates.FormatCount(h.Bad) + " failed"
		}
		row.Who, row.WhoHref = recordingWho(r, h.Recording)
		v.Hits = append(v.Hits, row)
	}
	v.Pager.Shown = templates.Plural(len(found.Hits), "moment", "moments")
	values := in.values()
	if in.before != "" {
		v.Pager.Newer = v.Filter.Action + query(values)
	}
	if found.More {
		values.Set("before", hitText(found.Next))
		v.Pager.Older = v.Filter.Action + query(values)
	}
	return nil
}

// hitText is a place among hits as an address holds it, and hitPlace the reverse;
// what is no place is the beginning.
func hitText(p services.PlaceOfHit) string {
	return fmt.Sprintf("%d.%d.%d", p.StartedAt.UnixMilli(), p.Recording, p.Text)
}

func hitPlace(s string) services.PlaceOfHit {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return services.PlaceOfHit{}
	}
	var n [3]int64
	for i, p := range parts {
		v, err := strconv.ParseInt(p, 10, 64)
		if err != nil || v < 0 || v > 1<<52 {
			return services.PlaceOfHit{}
		}
		n[i] = v
	}
	return services.PlaceOfHit{StartedAt: time.UnixMilli(n[0]).UTC(), Recording: services.RecordingID(n[1]), Text: services.EventTextID(n[2])}
}

// recordingName names a recording by whose it is and when it began.
func recordingName(rec services.Recording) string {
	who := orText(orText(rec.CustomerName, rec.CustomerEmail), orText(orText(rec.UserName, rec.UserEmail), rec.UserID))
	return orText(who, "Somebody") + ", " + templates.FormatTime(rec.StartedAt)
}
