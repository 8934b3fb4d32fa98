package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sightline/internal/db"
)

// jobBulk is the queue's kind for bulk edits.
const jobBulk = "bulk"

// BulkState is how far a bulk edit is.
type BulkState string

// The states of a bulk edit. Between planned and running somebody has read the
// dry run; a paused one goes on only when a member says so.
const (
	BulkUploading BulkState = db.BulkUploading
	BulkUploaded  BulkState = db.BulkUploaded
	BulkPlanning  BulkState = db.BulkPlanning
	BulkPlanned   BulkState = db.BulkPlanned
	BulkRunning   BulkState = db.BulkRunning
	BulkPaused    BulkState = db.BulkPaused
	BulkDone      BulkState = db.BulkDone
	BulkCancelled BulkState = db.BulkCancelled
)

// Moving reports whether the edit will still change by itself.
func (s BulkState) Moving() bool { return s == BulkPlanning || s == BulkRunning }

// What a column may mean.
const (
	ColumnIgnored = ""
	ColumnID      = "id"    // LogRocket's user id
	ColumnIDEmail = "email" // an email that leads to a user id
	ColumnName    = "set-name"
	ColumnEmail   = "set-email"
	ColumnTrait   = "trait"
)

// BulkColumn says what a column means. Key is of a trait.
type BulkColumn struct{ Means, Key string }

// BulkMapping says what a file means.
type BulkMapping struct {
	Columns []BulkColumn
	// RemoveBlank has a blank cell remove what LogRocket has; otherwise it
	// leaves it.
	RemoveBlank bool
	// Formulas sends what looks like a formula, as text.
	Formulas bool
}

// Bulk is a change to the traits of many LogRocket users.
type Bulk struct {
	ID         BulkID
	Connection ConnectionID
	Author     UserID
	AuthorName string // empty if they are gone
	UndoOf     BulkID // the one that it takes back, or 0
	FileName   string
	Bytes      int64
	Format     BulkFormat
	Mapping    BulkMapping
	Reason     string
	Rate       int
	State      BulkState
	Message    string // a sentence for a person; may quote the vendor
	// Lines by state; Ready are still to be sent.
	Ready, Same, Faults, Sent, Failed, Unknown int
	// PerSecond is how fast it goes, 0 if that is not known; Left how long it
	// takes yet.
	PerSecond                        float64
	Left                             time.Duration
	CreatedAt, StartedAt, FinishedAt time.Time

	streak int
	line   int
}

// Lines is how many lines the dry run has read.
func (b Bulk) Lines() int { return b.ToSend() + b.Same + b.Faults }

// ToSend is how many lines change something.
func (b Bulk) ToSend() int { return b.Ready + b.Done() }

// Done is how many lines were sent, whatever came of it.
func (b Bulk) Done() int { return b.Sent + b.Failed + b.Unknown }

// BulkLine is a line of a bulk edit.
type BulkLine = db.BulkLine

// BulkOptions set the pace of bulk edits; zero means the defaults.
type BulkOptions struct {
	// Pause is the least time between two lines, instead of what the member's
	// rate says: for tests.
	Pause time.Duration
}

// BulkRates are the rates that may be chosen, in lines a second. LogRocket
// publishes no limit.
func BulkRates() []int { return []int{1, 2, 5, 10, 20} }

// BulkRate is the rate that is chosen unless somebody says otherwise.
const BulkRate = 5

// Bulks edits the traits of many users at once, from a CSV file. Each line
// becomes a trait edit that is sent as any other, one at a time.
type Bulks struct {
	db     *db.DB
	queue  *Queue
	traits *Traits
	conns  *Connections
	opt    BulkOptions
	log    *slog.Logger
	now    func() time.Time
	busy   busyRows
}

func newBulks(d *db.DB, q *Queue, t *Traits, c *Connections, opt BulkOptions, log *slog.Logger, now func() time.Time) *Bulks {
	b := &Bulks{db: d, queue: q, traits: t, conns: c, opt: opt, log: log, now: now}
	q.handle(jobBulk, func(ctx context.Context, org OrgID, id int64) (time.Duration, error) {
		return b.run(ctx, org, BulkID(id))
	})
	q.onStart(b.settle)
	return b
}

func (s *Bulks) bulkOf(r db.Bulk) (Bulk, error) {
	b := Bulk{
		ID: r.ID, Connection: r.Connection, Author: r.Author, AuthorName: r.AuthorName, UndoOf: r.UndoOf, FileName: r.FileName, Bytes: r.Bytes,
		Reason: r.Reason, Rate: r.Rate, State: BulkState(r.State), Message: r.Message,
		Ready: r.Ready, Same: r.Same, Faults: r.Faults, Sent: r.Sent, Failed: r.Failed, Unknown: r.Unknown,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt, streak: r.Streak, line: r.Line,
	}
	if err := json.Unmarshal([]byte(r.Format), &b.Format); err != nil {
		return b, fmt.Errorf("read the format of bulk edit %d: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(r.Mapping), &b.Mapping); err != nil {
		return b, fmt.Errorf("read the columns of bulk edit %d: %w", r.ID, err)
	}
	if n, d := b.Done()-r.StretchDone, s.now().Sub(r.StretchAt); b.State == BulkRunning && n > 0 && d > time.Second {
		b.PerSecond = float64(n) / d.Seconds()
		b.Left = time.Duration(float64(b.Ready) / b.PerSecond * float64(time.Second))
	}
	return b, nil
}

const noBulk = "There is no such bulk edit in this organization."

func mayBulk(a Actor) error {
	if a.Role < Support {
		return &Error{Kind: Denied, Msg: "Editing traits changes what LogRocket shows to everybody, so it takes the support role."}
	}
	return nil
}

// Get finds a bulk edit.
func (s *Bulks) Get(ctx context.Context, org OrgID, id BulkID) (Bulk, error) {
	row, err := s.db.Org(org).Bulk(ctx, id)
	if err != nil {
		return Bulk{}, notFound(err, noBulk)
	}
	return s.bulkOf(row)
}

// List returns bulk edits older than before (0 for all), newest first.
func (s *Bulks) List(ctx context.Context, org OrgID, before BulkID, limit int) ([]Bulk, error) {
	rows, err := s.db.Org(org).Bulks(ctx, before, limit)
	out := make([]Bulk, len(rows))
	for i, r := range rows {
		if err == nil {
			out[i], err = s.bulkOf(r)
		}
	}
	return out, err
}

// Lines lists the lines of a bulk edit behind after, at most limit: all, or
// those of one state.
func (s *Bulks) Lines(ctx context.Context, org OrgID, id BulkID, state string, after, limit int) ([]BulkLine, error) {
	return s.db.Org(org).BulkLines(ctx, id, state, after, limit)
}

// Wait returns the bulk edit once it does not move, or as it stands after upTo.
func (s *Bulks) Wait(ctx context.Context, org OrgID, id BulkID, upTo time.Duration) (Bulk, error) {
	return waitFor(ctx, upTo, func() (Bulk, bool, error) {
		b, err := s.Get(ctx, org, id)
		return b, !b.State.Moving(), err
	})
}

// Upload takes a file in, part by part, and finds out how it is written. A form
// that was sent already returns what it made. Nothing is kept of a file that
// cannot be read, or does not come in whole.
func (s *Bulks) Upload(ctx context.Context, actor Actor, conn ConnectionID, formToken, fileName string, file io.Reader) (Bulk, error) {
	if err := mayBulk(actor); err != nil {
		return Bulk{}, err
	}
	org := s.db.Org(actor.Org)
	c, err := s.conns.Get(ctx, actor.Org, conn)
	if err != nil {
		return Bulk{}, err
	}
	if c.Vendor != LogRocket || c.Removed() {
		return Bulk{}, &Error{Kind: Conflict, Msg: fmt.Sprintf("Traits cannot be edited through “%s”: it is not a LogRocket connection in use.", c.Name)}
	}
	row, added, err := org.AddBulk(ctx, db.NewBulk{
		Connection: conn, Author: actor.User, FileName: shortTo(db.CleanText(fileName), 200), FormToken: formKey(formToken, "bulk"), At: s.now(),
	}, nil)
	if err != nil || !added {
		b, berr := s.bulkOf(row)
		return b, errors.Join(notFound(err, noConnection), berr)
	}
	f, n, err := s.store(ctx, org, row.ID, file)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(f); err == nil {
			err = org.EndBulkUpload(ctx, row.ID, n, string(text), s.now())
		}
	}
	if err != nil {
		return Bulk{}, errors.Join(err, org.DropUpload(context.WithoutCancel(ctx), row.ID))
	}
	return s.Get(ctx, actor.Org, row.ID)
}

// store keeps the parts of a file.
func (s *Bulks) store(ctx context.Context, org db.Org, id BulkID, file io.Reader) (BulkFormat, int64, error) {
	var facts byteFacts
	buf := make([]byte, bulkPart)
	for part := 0; ; part++ {
		n, err := io.ReadFull(file, buf)
		if n > 0 {
			_, _ = facts.Write(buf[:n]) // cannot fail
			if facts.n > MaxBulkFile {
				return BulkFormat{}, 0, invalid("The file has more than %d MB. Cut it into several. Nothing was stored.", MaxBulkFile>>20)
			}
			if err := org.AddBulkPart(ctx, id, part, buf[:n]); err != nil {
				return BulkFormat{}, 0, err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return BulkFormat{}, 0, err
		}
	}
	f := BulkFormat{Valid: !facts.wrong && len(facts.carry) == 0}
	var err error
	if f.Encoding, f.Guessed, err = facts.encoding(); err != nil {
		return f, 0, err
	}
	if f, err = sniff(&bulkReader{ctx: ctx, org: org, id: id}, f); err != nil {
		return f, 0, err
	}
	f.Header = looksLikeHeader(f.Sample)
	return f, facts.n, nil
}

// Reread takes a file as written otherwise than it was found to be.
func (s *Bulks) Reread(ctx context.Context, actor Actor, id BulkID, encoding, separator string, header bool) (Bulk, error) {
	if err := mayBulk(actor); err != nil {
		return Bulk{}, err
	}
	b, err := s.Get(ctx, actor.Org, id)
	if err != nil {
		return b, err
	}
	if !slices.Contains([]string{EncodingUTF8, EncodingUTF8BOM, EncodingUTF16LE, EncodingUTF16BE, Encoding1252}, encoding) ||
		!slices.Contains([]string{",", ";", "\t", "|"}, separator) {
		return b, invalid("That is no encoding or separator that can be read.")
	}
	org := s.db.Org(actor.Org)
	f, err := sniff(&bulkReader{ctx: ctx, org: org, id: id}, BulkFormat{Encoding: encoding, Separator: separator, Valid: b.Format.Valid})
	if err != nil {
		return b, err
	}
	f.Header = header
	text, err := json.Marshal(f)
	if err != nil {
		return b, err
	}
	if err := org.SetBulkFormat(ctx, id, string(text), s.now()); err != nil {
		return b, s.moved(ctx, actor.Org, id, err)
	}
	return s.Get(ctx, actor.Org, id)
}

// moved says that a bulk edit is not where somebody thought.
func (s *Bulks) moved(ctx context.Context, org OrgID, id BulkID, err error) error {
	switch {
	case errors.Is(err, db.ErrExists):
		return &Error{Kind: Conflict, Msg: "Another bulk edit is being sent through this connection. Wait until it has ended, or pause it, then send this one.", Err: err}
	case !errors.Is(err, db.ErrNotFound):
		return err
	}
	if _, gerr := s.Get(ctx, org, id); gerr != nil {
		return gerr
	}
	return &Error{Kind: Conflict, Msg: "This bulk edit has moved on meanwhile. Look at its page to see where it is.", Err: err}
}

// Guess prefills what the columns of a file mean, from their headings and the
// traits that are known.
func (b Bulk) Guess(keys []string) BulkMapping {
	m := BulkMapping{Columns: make([]BulkColumn, b.Format.Columns)}
	if !b.Format.Header || len(b.Format.Sample) == 0 {
		return m
	}
	has := func(means string) bool {
		return slices.ContainsFunc(m.Columns, func(c BulkColumn) bool { return c.Means == means })
	}
	email := -1
	for i, h := range b.Format.Sample[0] {
		h = strings.TrimSpace(h)
		word := strings.NewReplacer(" ", "", "_", "", "-", "", ".", "").Replace(strings.ToLower(h))
		switch {
		case i >= len(m.Columns) || h == "":
		case slices.Contains([]string{"id", "userid", "uid", "user", "identifier", "logrocketid", "logrocketuser", "logrocketuserid"}, word) && !has(ColumnID):
			m.Columns[i].Means = ColumnID
		case slices.Contains([]string{"email", "mail", "emailaddress", "useremail"}, word) && email < 0:
			m.Columns[i].Means, email = ColumnEmail, i
		case slices.Contains([]string{"name", "fullname", "username", "displayname"}, word) && !has(ColumnName):
			m.Columns[i].Means = ColumnName
		default:
			if k := slices.IndexFunc(keys, func(k string) bool { return strings.EqualFold(k, h) }); k >= 0 {
				h = keys[k]
			}
			m.Columns[i] = BulkColumn{Means: ColumnTrait, Key: h}
		}
	}
	if email >= 0 && !has(ColumnID) {
		m.Columns[email].Means = ColumnIDEmail
	}
	return m
}

// ColumnField is the problem field of a column's meaning, KeyField that of its
// trait.
func ColumnField(i int) string { return fmt.Sprintf("column-%d", i) }

// KeyField is the problem field of the trait that a column sets.
func KeyField(i int) string { return fmt.Sprintf("key-%d", i) }

// check says what is wrong with a mapping: by column, or under "columns".
func (m BulkMapping) check(columns int) Problems {
	p := Problems{}
	ids, changes := 0, 0
	seen := map[string]int{}
	for i, c := range m.Columns {
		name := c.Means
		switch c.Means {
		case ColumnIgnored:
			continue
		case ColumnID, ColumnIDEmail:
			if ids++; ids > 1 {
				p[ColumnField(i)] = "Another column says who the user is already. One is enough."
			}
			continue
		case ColumnName, ColumnEmail:
		case ColumnTrait:
			name += " " + c.Key
			if c.Key == "" {
				p[KeyField(i)] = "Give the trait a name, or ignore the column."
				continue
			}
			checkText(p, KeyField(i), "name of the trait", c.Key)
		default:
			p[ColumnField(i)] = "Choose what this column means."
			continue
		}
		changes++
		if first, there := seen[name]; there {
			p[ColumnField(i)] = fmt.Sprintf("Column %d sets the same already. Ignore one of them.", first+1)
		} else {
			seen[name] = i
		}
	}
	switch {
	case len(m.Columns) != columns:
		p["columns"] = "The columns have changed meanwhile. Look at them again."
	case ids == 0:
		p["columns"] = "Say which column holds the user id, or an email that leads to one."
	case changes == 0:
		p["columns"] = "Say which column changes something: a name, an email or a trait."
	}
	return p
}

// Plan has the dry run go through a file; nothing is sent. Faults of the
// mapping come back as problems.
func (s *Bulks) Plan(ctx context.Context, actor Actor, id BulkID, m BulkMapping) (Bulk, Problems, error) {
	if err := mayBulk(actor); err != nil {
		return Bulk{}, nil, err
	}
	b, err := s.Get(ctx, actor.Org, id)
	if err != nil {
		return b, nil, err
	}
	if b.UndoOf != 0 {
		return b, nil, s.moved(ctx, actor.Org, id, db.ErrNotFound)
	}
	for i := range m.Columns {
		m.Columns[i].Key = strings.TrimSpace(m.Columns[i].Key)
	}
	if p := m.check(b.Format.Columns); len(p) > 0 {
		return b, p, nil
	}
	text, err := json.Marshal(m)
	if err != nil {
		return b, nil, err
	}
	if err := s.db.Org(actor.Org).PlanBulk(ctx, id, string(text), s.now(), s.queue.put(jobBulk, actor.Org, 0)); err != nil {
		return b, nil, s.moved(ctx, actor.Org, id, err)
	}
	b, err = s.Get(ctx, actor.Org, id)
	return b, nil, err
}

// turn is what a member has a bulk edit do, with its history.
func (s *Bulks) turn(ctx context.Context, actor Actor, b Bulk, action, summary string) db.BulkTurn {
	conn, err := s.conns.Get(ctx, actor.Org, b.Connection)
	if err != nil {
		conn = Connection{Name: "a removed connection"}
	}
	return db.BulkTurn{Author: actor.User, At: s.now(), History: db.HistoryEntry{
		At: s.now(), Actor: actor.User, ActorName: actor.Name, Action: action, Subject: b.title(), Connection: b.Connection,
		Summary: fmt.Sprintf("%s of bulk edit %d (%s) through “%s”.", summary, b.ID, b.title(), conn.Name), Reason: b.Reason,
	}}
}

// title is a bulk edit in a few words.
func (b Bulk) title() string {
	if b.UndoOf != 0 {
		return fmt.Sprintf("undo of bulk edit %d", b.UndoOf)
	}
	return "file “" + short(b.FileName) + "”"
}

// Send has the lines of a dry run sent, at most rate a second. A second press
// of the button finds it started, which is no problem.
func (s *Bulks) Send(ctx context.Context, actor Actor, id BulkID, rate int, reason string) (Bulk, Problems, error) {
	if err := mayBulk(actor); err != nil {
		return Bulk{}, nil, err
	}
	b, err := s.Get(ctx, actor.Org, id)
	if err != nil {
		return b, nil, err
	}
	if !b.StartedAt.IsZero() {
		return b, nil, nil
	}
	p := Problems{}
	if n := utf8.RuneCountInString(reason); n > MaxReason {
		p["reason"] = fmt.Sprintf("The reason has %d characters; at most %d are kept. Shorten it by %d.", n, MaxReason, n-MaxReason)
	} else if !utf8.ValidString(reason) {
		p["reason"] = "The reason holds characters that cannot be kept."
	}
	if !slices.Contains(BulkRates(), rate) {
		p["rate"] = "Choose how many lines are sent a second."
	}
	if b.State == BulkPlanned && b.Ready == 0 {
		p["form"] = "No line changes anything, so there is nothing to send."
	}
	if len(p) > 0 {
		return b, p, nil
	}
	b.Reason = reason
	t := s.turn(ctx, actor, b, "trait.bulk", fmt.Sprintf("Began to send %s", plural(b.Ready, "line")))
	t.Reason, t.Rate = reason, rate
	if err := s.db.Org(actor.Org).StartBulk(ctx, id, t, s.queue.put(jobBulk, actor.Org, 0)); err != nil {
		return b, nil, s.moved(ctx, actor.Org, id, err)
	}
	b, err = s.Get(ctx, actor.Org, id)
	return b, nil, err
}

// Pause leaves a bulk edit until somebody has it go on. One that is not being
// sent stays as it is.
func (s *Bulks) Pause(ctx context.Context, actor Actor, id BulkID) (Bulk, error) {
	return s.turnTo(ctx, actor, id, func(b Bulk) error {
		return s.db.Org(actor.Org).PauseBulk(ctx, id, fmt.Sprintf("Paused by %s.", actor.Name), s.now())
	})
}

// Resume has a paused bulk edit go on. One that is not paused stays as it is.
func (s *Bulks) Resume(ctx context.Context, actor Actor, id BulkID) (Bulk, error) {
	return s.turnTo(ctx, actor, id, func(b Bulk) error {
		if b.State != BulkPaused {
			return nil
		}
		return s.db.Org(actor.Org).ResumeBulk(ctx, id, db.BulkTurn{At: s.now()}, s.queue.put(jobBulk, actor.Org, 0))
	})
}

// Cancel ends a bulk edit; what was sent stays sent. The lines of one of which
// nothing was sent are dropped.
func (s *Bulks) Cancel(ctx context.Context, actor Actor, id BulkID) (Bulk, error) {
	return s.turnTo(ctx, actor, id, func(b Bulk) error {
		if b.State == BulkDone || b.State == BulkCancelled {
			return nil
		}
		var h db.HistoryEntry
		if !b.StartedAt.IsZero() {
			h = s.turn(ctx, actor, b, "trait.bulk_cancel", fmt.Sprintf("Cancelled the rest, %s,", plural(b.Ready, "line"))).History
		}
		org := s.db.Org(actor.Org)
		if err := org.EndBulk(ctx, id, db.BulkCancelled, s.now(), h); err != nil || !b.StartedAt.IsZero() {
			return err
		}
		return s.dropLines(ctx, org, id)
	})
}

// dropLines takes the lines off a bulk edit, some at a time: others write too.
func (s *Bulks) dropLines(ctx context.Context, org db.Org, id BulkID) error {
	const batch = 2000
	for {
		n, err := org.DropBulkLines(ctx, id, batch)
		if err != nil || n < batch {
			return err
		}
	}
}

// Again sends the lines anew that failed or of which nobody knows whether they
// arrived: only a member says so.
func (s *Bulks) Again(ctx context.Context, actor Actor, id BulkID) (Bulk, error) {
	return s.turnTo(ctx, actor, id, func(b Bulk) error {
		if b.State == BulkRunning || b.Failed+b.Unknown == 0 {
			return nil
		}
		t := s.turn(ctx, actor, b, "trait.bulk", fmt.Sprintf("Sent %s again that failed or perhaps did not arrive,", plural(b.Failed+b.Unknown, "line")))
		return s.db.Org(actor.Org).AgainBulk(ctx, id, t, s.queue.put(jobBulk, actor.Org, 0))
	})
}

func (s *Bulks) turnTo(ctx context.Context, actor Actor, id BulkID, do func(Bulk) error) (Bulk, error) {
	if err := mayBulk(actor); err != nil {
		return Bulk{}, err
	}
	b, err := s.Get(ctx, actor.Org, id)
	if err != nil {
		return b, err
	}
	if err := do(b); err != nil && !errors.Is(err, db.ErrNotFound) {
		return b, s.moved(ctx, actor.Org, id, err)
	}
	return s.Get(ctx, actor.Org, id)
}

// Undo makes a bulk edit that takes back what another one did, as far as what
// was there before is known. It begins with a dry run of its own.
func (s *Bulks) Undo(ctx context.Context, actor Actor, id BulkID, formToken string) (Bulk, error) {
	if err := mayBulk(actor); err != nil {
		return Bulk{}, err
	}
	of, err := s.Get(ctx, actor.Org, id)
	if err != nil {
		return of, err
	}
	if of.State != BulkDone && of.State != BulkCancelled && of.State != BulkPaused || of.Sent+of.Unknown == 0 {
		return of, &Error{Kind: Conflict, Msg: "There is nothing to take back: either nothing was sent, or it is still being sent. Pause or cancel it first."}
	}
	row, _, err := s.db.Org(actor.Org).AddBulk(ctx, db.NewBulk{
		Connection: of.Connection, Author: actor.User, UndoOf: id, FormToken: formKey(formToken, "bulk undo"), At: s.now(),
	}, s.queue.put(jobBulk, actor.Org, 0))
	if err != nil {
		return of, notFound(err, "The connection was removed, so nothing can be taken back through it.")
	}
	return s.bulkOf(row)
}
