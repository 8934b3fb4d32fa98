package services

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sightline/internal/db"
)

// ExportForm is how a member wants a connection's exports followed.
type ExportForm struct {
	// From is the first day wanted, UTC.
	From time.Time
	ExportLimits
}

// Follow has a connection's exports followed as the form says, or changes how.
// It takes the role admin.
func (e *Exports) Follow(ctx context.Context, actor Actor, id ConnectionID, form ExportForm) (Problems, error) {
	conn, err := e.rocket(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	now := e.now()
	problems := Problems{}
	oldest := now.AddDate(0, 0, -MaxExportAge)
	if form.From.IsZero() || form.From.After(now) || form.From.Before(oldest) {
		problems["from"] = fmt.Sprintf("Choose a day from %s to today.", oldest.Format("2 Jan 2006"))
	}
	between := func(field string, v, least, most int64) {
		if v < least || v > most {
			problems[field] = fmt.Sprintf("Choose from %s to %s.", byteSize(least), byteSize(most))
		}
	}
	between("max_file", form.MaxFile, MinExportFile, MaxExportFile)
	between("quota", form.Quota, MinExportQuota, MaxExportQuota)
	if form.KeepDays < 0 || form.KeepDays > MaxExportDays {
		problems["keep_days"] = fmt.Sprintf("Choose 0 to %d days.", MaxExportDays)
	}
	if form.KeepRecordings < 0 || form.KeepRecordings > MaxExportDays {
		problems["keep_recordings"] = fmt.Sprintf("Choose 0 to %d days.", MaxExportDays)
	}
	if form.Rate != 0 && form.Rate < MinExportRate {
		problems["rate"] = fmt.Sprintf("Choose %s a second or more, or 0 for no limit.", byteSize(MinExportRate))
	}
	if len(problems) > 0 {
		return problems, nil
	}
	before, err := e.followOf(ctx, actor.Org, id)
	if err != nil {
		return nil, err
	}
	row := db.ExportFollow{Connection: id, Enabled: true, From: form.From, ExportLimits: form.ExportLimits}
	verb := "Changed how the exports of “%s” are followed"
	if !before.Enabled {
		verb = "Switched following the exports of “%s” on"
	}
	entry := e.connections.entry(actor, "export.follow", conn.Name, fmt.Sprintf(verb, conn.Name))
	entry.Before, entry.After = exportFields(before), exportFields(row)
	e.interrupt(id) // it goes on under the new limits
	return nil, notFound(e.db.Org(actor.Org).SetExportFollow(ctx, row, e.queue.put(jobExports, actor.Org, 0), entry), noConnection)
}

func exportFields(f db.ExportFollow) string {
	if f.From.IsZero() {
		return ""
	}
	days := func(n int) string {
		if n == 0 {
			return "for ever"
		}
		return plural(n, "day")
	}
	pace := "no limit"
	if f.Rate > 0 {
		pace = byteSize(f.Rate) + " a second"
	}
	return historyFields(map[string]string{
		"From": f.From.UTC().Format("2 Jan 2006"), "One file": byteSize(f.MaxFile), "All files": byteSize(f.Quota), "Files kept": days(f.KeepDays), "Recordings kept": days(f.KeepRecordings), "Pace": pace,
	})
}

// Pause stops the following of a connection's exports; Resume goes on where it
// stopped. Both take the role admin.
func (e *Exports) Pause(ctx context.Context, actor Actor, id ConnectionID) error {
	return e.set(ctx, actor, id, false)
}

// Resume is the reverse of Pause.
func (e *Exports) Resume(ctx context.Context, actor Actor, id ConnectionID) error {
	return e.set(ctx, actor, id, true)
}

func (e *Exports) set(ctx context.Context, actor Actor, id ConnectionID, on bool) error {
	conn, err := e.rocket(ctx, actor, id)
	if err != nil {
		return err
	}
	row, err := e.followOf(ctx, actor.Org, id)
	if err != nil {
		return err
	}
	if row.From.IsZero() {
		return invalid("The exports of “%s” were never followed. Say from which day on first.", conn.Name)
	}
	if row.Enabled == on {
		return nil // a second press of the button
	}
	row.Enabled = on
	verb, then := "Paused", db.TxFunc(nil)
	if on {
		verb, then = "Resumed", e.queue.put(jobExports, actor.Org, 0)
	}
	entry := e.connections.entry(actor, "export.follow", conn.Name, fmt.Sprintf("%s following the exports of “%s”", verb, conn.Name))
	if err := notFound(e.db.Org(actor.Org).SetExportFollow(ctx, row, then, entry), noConnection); err != nil {
		return err
	}
	e.interrupt(id)
	return nil
}

// interrupt ends a turn that is under way; its files go on where they stopped.
func (e *Exports) interrupt(id ConnectionID) {
	e.mu.Lock()
	stop := e.stops[id]
	e.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// wake has a list looked at at once; it does nothing for one that is not
// followed.
func (e *Exports) wake(ctx context.Context, org OrgID, id ConnectionID) error {
	err := e.db.Org(org).WakeExports(ctx, id, e.queue.put(jobExports, org, 0))
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	return err
}

// LookNow has the list of a connection that is followed looked at at once.
func (e *Exports) LookNow(ctx context.Context, actor Actor, id ConnectionID) error {
	if err := mayExport(actor); err != nil {
		return err
	}
	conn, err := e.connections.Get(ctx, actor.Org, id)
	if err != nil {
		return err
	}
	err = e.db.Org(actor.Org).WakeExports(ctx, id, e.queue.put(jobExports, actor.Org, 0))
	if errors.Is(err, db.ErrNotFound) {
		return invalid("The exports of “%s” are not followed. Switch that on first.", conn.Name)
	}
	return err
}

// rocket finds a LogRocket connection in use that the actor may change.
func (e *Exports) rocket(ctx context.Context, actor Actor, id ConnectionID) (Connection, error) {
	conn, err := e.connections.inUse(ctx, actor, id)
	if err == nil && conn.Vendor != LogRocket {
		err = invalid("“%s” is a connection to %s. Only LogRocket has exports.", conn.Name, conn.Vendor)
	}
	return conn, err
}

// followOf is how a connection's exports are followed, with the limits that hold
// where nobody has decided.
func (e *Exports) followOf(ctx context.Context, org OrgID, id ConnectionID) (db.ExportFollow, error) {
	row, err := e.db.Org(org).ExportFollow(ctx, id)
	if errors.Is(err, db.ErrNotFound) {
		return db.ExportFollow{Connection: id, ExportLimits: DefaultExportLimits()}, nil
	}
	return row, err
}

// ExportState is how exports are followed, in a word.
type ExportState string

// The states of following.
const (
	ExportsOff       ExportState = "off"    // never followed, or the connection is gone
	ExportsPaused    ExportState = "paused" // by a member
	ExportsWorking   ExportState = "working"
	ExportsFollowing ExportState = "following" // nothing to do until the next look
	ExportsWaiting   ExportState = "waiting"   // for the vendor's own time
	ExportsFailing   ExportState = "failing"   // tried again and again
	ExportsFull      ExportState = "full"      // the quota or the disk
)

// ExportStatus is how a connection's exports are followed, for people.
type ExportStatus struct {
	Connection Connection
	State      ExportState
	// Sentence says what it does, and why it waits. It may quote the vendor.
	Sentence string
	// Form is how it is set.
	Form   ExportForm
	Totals ExportTotals
	// Speed is bytes a second of late, 0 if nothing comes; Left is how long the
	// files that wait will take at that, 0 if nobody knows.
	Speed float64
	Left  time.Duration
	// Complete says that the end of the list was reached.
	Complete bool
	// Since is when following was first switched on, ListedAt when the list was
	// last looked at. Zero is never.
	Since, ListedAt time.Time
}

// On says whether exports are followed.
func (s ExportStatus) On() bool { return s.State != ExportsOff && s.State != ExportsPaused }

// Status says how a LogRocket connection's exports are followed.
func (e *Exports) Status(ctx context.Context, org OrgID, id ConnectionID) (ExportStatus, error) {
	conn, err := e.connections.Get(ctx, org, id)
	if err != nil {
		return ExportStatus{}, err
	}
	return e.status(ctx, conn)
}

// Statuses says the same of every LogRocket connection in use, by age, and of
// those out of use of which there are files.
func (e *Exports) Statuses(ctx context.Context, org OrgID) ([]ExportStatus, error) {
	conns, err := e.connections.All(ctx, org)
	if err != nil {
		return nil, err
	}
	var out []ExportStatus
	for _, c := range conns {
		if c.Vendor != LogRocket {
			continue
		}
		st, err := e.status(ctx, c)
		if err != nil {
			return nil, err
		}
		if !c.Removed() || st.Totals.Files > 0 {
			out = append(out, st)
		}
	}
	return out, nil
}

func (e *Exports) status(ctx context.Context, conn Connection) (ExportStatus, error) {
	row, err := e.followOf(ctx, conn.Org, conn.ID)
	if err != nil {
		return ExportStatus{}, err
	}
	st := ExportStatus{Connection: conn, Form: ExportForm{From: row.From, ExportLimits: row.ExportLimits}, Complete: !row.EndedAt.IsZero(), Since: row.Since, ListedAt: row.ListedAt}
	if st.Totals, err = e.db.Org(conn.Org).ExportTotals(ctx, conn.ID); err != nil {
		return st, err
	}
	now := e.now()
	e.mu.Lock()
	p := e.paces[conn.ID]
	e.mu.Unlock()
	if p != nil {
		st.Speed = p.of(now)
	}
	if t := st.Totals; st.Speed > 0 && t.Unread+t.Done >= 3 {
		each := float64(t.Received) / float64(t.Unread+t.Done)
		st.Left = time.Duration(each * float64(t.Waiting) / st.Speed * float64(time.Second))
	}
	st.State, st.Sentence = e.describe(conn, row, st.Totals, now)
	return st, nil
}

// describe says in a word and a sentence what following does.
func (e *Exports) describe(conn Connection, row db.ExportFollow, t ExportTotals, now time.Time) (ExportState, string) {
	next := utc(later(row.NextAt, now), now)
	switch {
	case conn.Removed():
		return ExportsOff, "The connection was removed. What came stays here."
	case row.From.IsZero():
		return ExportsOff, "Not followed: only files that are uploaded are read."
	case !row.Enabled:
		return ExportsPaused, "Paused. It goes on where it stopped."
	case row.Working || !row.NextAt.After(now):
		if t.Waiting > 0 {
			return ExportsWorking, fmt.Sprintf("Getting files: %s to come.", plural(int(t.Waiting), "file"))
		}
		return ExportsWorking, "Looking for new files."
	case row.Waiting == waitQuota || row.Waiting == waitDisk:
		return ExportsFull, row.Message
	case row.Waiting == waitBlocked || row.Waiting == waitBudget:
		return ExportsWaiting, row.Message
	case row.Waiting == waitStuck:
		return ExportsFailing, fmt.Sprintf("%s It is asked again at %s.", row.Message, next)
	case row.Waiting != "":
		return ExportsFailing, fmt.Sprintf("%s Tried %s without success; the next try is at %s.", strings.TrimSuffix(row.Message, " "), times(row.Failures), next)
	}
	if t.Unread > 0 {
		return ExportsWorking, fmt.Sprintf("Reading files: %s to go.", plural(int(t.Unread), "file"))
	}
	if t.Waiting > 0 {
		return ExportsFollowing, fmt.Sprintf("%s could not be had so far; the next try is at %s.", plural(int(t.Waiting), "file"), next)
	}
	return ExportsFollowing, fmt.Sprintf("All files are here. The list is looked at again at %s.", next)
}
