package handlers

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

func followPath(r *http.Request, id services.ConnectionID) string {
	return orgPath(r, "exports/follow/%d", id)
}

// exportFollow shows how a connection's exports are followed.
func (a *app) exportFollow(r *http.Request, st services.ExportStatus) templates.ExportFollowView {
	path, t := followPath(r, st.Connection.ID), st.Totals
	v := templates.ExportFollowView{
		ID: fmt.Sprintf("follow-%d", st.Connection.ID), PartURL: path + "/state", Name: st.Connection.Name, Now: a.now(),
		Sentence: st.Sentence, Working: st.State == services.ExportsWorking, ListedAt: st.ListedAt,
		Never: st.Form.From.IsZero(), Used: t.Stored, Quota: st.Form.Quota, Keep: "Files are kept for ever.",
	}
	v.Label, v.Tone, v.Icon = exportStateBadge(st.State)
	if n := st.Form.KeepDays; n > 0 {
		v.Keep = fmt.Sprintf("A file is let go of %s after it was read.", templates.Plural(n, "day", "days"))
	}
	if n := st.Form.KeepRecordings; n > 0 {
		v.Keep += fmt.Sprintf(" A recording is removed %s after it began.", templates.Plural(n, "day", "days"))
	} else {
		v.Keep += " What was read out of them stays."
	}
	if t.Files > 0 {
		v.Stats = []templates.StatView{
			{Label: "Files read", Value: templates.FormatCount(t.Done), Hint: "of " + templates.FormatCount(t.Files)},
			{Label: "Events", Value: templates.FormatCount(t.Events)},
			{Label: "Lines that could not be read", Value: templates.FormatCount(t.BadLines), Hint: "of " + templates.FormatCount(t.Lines)},
			{Label: "Failed or skipped", Value: templates.FormatCount(t.Failed)},
		}
	}
	if open := t.Waiting + t.Unread; open > 0 {
		p := templates.ProgressView{Label: "Files", Done: t.Files - open, Total: t.Files, Unit: "files"}
		if st.Speed > 0 {
			p.Rate = templates.FormatBytes(int64(st.Speed)) + " a second"
		}
		if st.Left > 0 {
			p.Left = templates.FormatDuration(st.Left.Round(time.Second)) + " left"
		}
		v.Progress = &p
	}
	removed := st.Connection.Removed()
	if may(r, services.Admin) && !removed {
		v.SettingsURL = path
		switch {
		case v.Never:
		case st.State == services.ExportsPaused:
			v.ResumeURL = path + "/resume"
		default:
			v.PauseURL = path + "/pause"
		}
	}
	if may(r, services.Support) && !removed {
		if st.On() && st.State != services.ExportsWorking {
			v.LookURL = path + "/look"
		}
		if t.Waiting > 0 {
			v.CancelURL = path + "/cancel"
		}
	}
	return v
}

// exportStateBadge is how the state of following is shown.
func exportStateBadge(s services.ExportState) (label, tone, icon string) {
	switch s {
	case services.ExportsWorking:
		return "Working", "accent", "refresh-cw"
	case services.ExportsPaused:
		return "Paused", "warn", "clock"
	case services.ExportsFull:
		return "Stopped: full", "bad", "circle-x"
	}
	return followBadge(string(s))
}

// exportState handles GET /exports/follow/{id}/state: how far following is, for
// the page that waits.
func (a *app) exportState(w http.ResponseWriter, r *http.Request) error {
	st, err := a.Exports.Status(r.Context(), orgOf(r), services.ConnectionID(idParam(r, "id")))
	if err != nil {
		return err
	}
	if !wantsPart(r) {
		http.Redirect(w, r, orgPath(r, "exports/files"), http.StatusSeeOther)
		return nil
	}
	v := a.exportFollow(r, st)
	if !v.Working { // the list of files below has changed, too
		w.Header().Set("HX-Refresh", "true")
	}
	return a.render(w, r, http.StatusOK, templates.ExportFollow(v))
}

// exportForm handles GET /exports/follow/{id}: how a connection's exports are
// to be followed.
func (a *app) exportForm(w http.ResponseWriter, r *http.Request) error {
	st, err := a.Exports.Status(r.Context(), orgOf(r), services.ConnectionID(idParam(r, "id")))
	if err != nil {
		return err
	}
	if st.Connection.Vendor != services.LogRocket || st.Connection.Removed() {
		return &services.Error{Kind: services.Conflict, Msg: fmt.Sprintf("“%s” is not a LogRocket connection in use.", st.Connection.Name)}
	}
	from := st.Form.From
	if from.IsZero() {
		from = a.now().AddDate(0, 0, -7)
	}
	typed := exportTyped{from: from.UTC().Format(time.DateOnly), maxFile: megabytes(st.Form.MaxFile), quota: megabytes(st.Form.Quota), keep: strconv.Itoa(st.Form.KeepDays), keepRecordings: strconv.Itoa(st.Form.KeepRecordings), rate: strconv.FormatInt(st.Form.Rate>>10, 10)}
	return a.exportFormPage(w, r, http.StatusOK, st, typed, nil)
}

// exportTyped is the form as it was typed.
type exportTyped struct{ from, maxFile, quota, keep, keepRecordings, rate string }

func megabytes(n int64) string { return strconv.FormatInt(n>>20, 10) }

func (a *app) exportFormPage(w http.ResponseWriter, r *http.Request, status int, st services.ExportStatus, t exportTyped, p services.Problems) error {
	submit := "Save"
	if st.Form.From.IsZero() {
		submit = "Follow exports"
	} else if st.State == services.ExportsPaused {
		submit = "Save and go on"
	}
	v := templates.ExportFormView{
		BackURL: orgPath(r, "exports/files"), Action: followPath(r, st.Connection.ID), Name: st.Connection.Name, Submit: submit,
		From:           templates.FieldView{ID: "from", Name: "from", Label: "From (UTC)", Value: t.from, Error: p["from"], Required: true, Hint: "The first day wanted. An earlier day walks the list again; nothing is fetched twice."},
		MaxFile:        numberField(p, "max_file", "Largest file, in MB", t.maxFile, "A larger one is skipped, and said so."),
		Quota:          numberField(p, "quota", "Room for files, in MB", t.quota, "When files fill it, following stops until there is room. Events that were read are not counted."),
		KeepDays:       numberField(p, "keep_days", "Keep files for, in days", t.keep, "After that a file that was read is let go of; its events stay. 0 keeps files for ever."),
		KeepRecordings: numberField(p, "keep_recordings", "Keep recordings for, in days", t.keepRecordings, "A recording that began longer ago is removed with its events, also one that a file brings later. 0 keeps recordings for ever."),
		Rate:           numberField(p, "rate", "Pace, in KB a second", t.rate, "0 is as quickly as they come."),
	}
	return a.page(w, r, status, "Follow exports", "exports", templates.ExportForm(v))
}

// followExports handles POST /exports/follow/{id}.
func (a *app) followExports(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	id := services.ConnectionID(idParam(r, "id"))
	st, err := a.Exports.Status(r.Context(), orgOf(r), id)
	if err != nil {
		return err
	}
	p := r.PostForm
	t := exportTyped{from: p.Get("from"), maxFile: p.Get("max_file"), quota: p.Get("quota"), keep: p.Get("keep_days"), keepRecordings: p.Get("keep_recordings"), rate: p.Get("rate")}
	problems := services.Problems{}
	form := services.ExportForm{}
	if form.From, err = time.Parse(time.DateOnly, strings.TrimSpace(t.from)); err != nil {
		problems["from"] = "Write the day as 2026-11-30."
	}
	number := func(field, text string, unit int64) int64 {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil || n < 0 || n > 1<<40/unit {
			problems[field] = "Write a whole number that is not too large."
		}
		return n * unit
	}
	form.MaxFile, form.Quota, form.Rate = number("max_file", t.maxFile, 1<<20), number("quota", t.quota, 1<<20), number("rate", t.rate, 1<<10)
	form.KeepDays, form.KeepRecordings = int(number("keep_days", t.keep, 1)), int(number("keep_recordings", t.keepRecordings, 1))
	if len(problems) == 0 {
		if problems, err = a.Exports.Follow(r.Context(), actorOf(r), id, form); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return a.exportFormPage(w, r, http.StatusUnprocessableEntity, st, t, problems)
	}
	return a.redirect(w, r, orgPath(r, "exports/files"), "success", fmt.Sprintf("The exports of “%s” are followed.", st.Connection.Name))
}

// turnExports handles the buttons of a connection's exports.
func (a *app) turnExports(do func(r *http.Request, id services.ConnectionID) (string, error)) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		text, err := do(r, services.ConnectionID(idParam(r, "id")))
		if err != nil {
			return err
		}
		return a.redirect(w, r, orgPath(r, "exports/files"), "success", text)
	}
}

func (a *app) pauseExports(r *http.Request, id services.ConnectionID) (string, error) {
	return "Paused. It goes on where it stopped.", a.Exports.Pause(r.Context(), actorOf(r), id)
}

func (a *app) resumeExports(r *http.Request, id services.ConnectionID) (string, error) {
	return "It goes on.", a.Exports.Resume(r.Context(), actorOf(r), id)
}

func (a *app) lookExports(r *http.Request, id services.ConnectionID) (string, error) {
	return "The list is being looked at.", a.Exports.LookNow(r.Context(), actorOf(r), id)
}

func (a *app) cancelExports(r *http.Request, id services.ConnectionID) (string, error) {
	if _, err := a.Connections.Get(r.Context(), orgOf(r), id); err != nil {
		return "", err
	}
	n, err := a.Exports.CancelWaiting(r.Context(), actorOf(r), id)
	return templates.Plural(n, "file was", "files were") + " canceled. Each can be tried again.", err
}
