package services

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sightline/internal/db"
)

// BatchForm is what a member gives for a batch: one of Text, View and File says
// who.
type BatchForm struct {
	Connection ConnectionID
	Question   string
	// Start and End bound the sessions looked at: both, or neither. Last, if not 0,
	// is the range from so long ago until asking begins.
	Start, End time.Time
	Last       time.Duration
	Text       string
	View       *BatchOfView
	FileName   string
	File       []byte
	// Replaces is a draft that goes once this one is there.
	Replaces BatchID
	// FormToken makes one form count once, however often it is sent.
	FormToken string
}

// BatchOfView are the customers behind a saved view of the session explorer.
type BatchOfView struct {
	Name  string
	Query SessionQuery // checked
}

// maxViewSessions is how many sessions of a view are looked at for customers.
const maxViewSessions = 50_000

// Draft makes a batch that can be looked at; nothing is asked. Faults that the
// person can correct come back as problems, by field: text, view, file,
// question, from, to.
func (s *Batches) Draft(ctx context.Context, actor Actor, f BatchForm) (Batch, Problems, error) {
	if err := mayBatch(actor); err != nil {
		return Batch{}, nil, err
	}
	f.Question = strings.TrimSpace(f.Question)
	// The rest of the request is that of any other.
	p := HighlightRequest{UserID: "somebody", Question: f.Question, Start: f.Start, End: f.End}.check()
	n := db.NewBatch{
		Connection: f.Connection, Author: actor.User, Question: f.Question, Start: f.Start, End: f.End, Last: f.Last, Format: "{}", Replaces: f.Replaces,
		FormToken: formKey(f.FormToken, f), At: s.now(),
	}
	conn, err := s.conns.Get(ctx, actor.Org, f.Connection)
	if err != nil {
		return Batch{}, nil, err
	}
	if conn.Vendor != LogRocket || conn.Removed() {
		return Batch{}, nil, &Error{Kind: Conflict, Msg: fmt.Sprintf("Nobody can be asked about through “%s”: it is not a LogRocket connection in use.", conn.Name)}
	}
	field, items, err := s.gather(ctx, actor.Org, f, &n)
	var own *Error
	switch {
	case errors.As(err, &own) && own.Kind == Invalid:
		p[field] = strings.TrimSuffix(own.Msg, " Nothing was stored.")
	case err != nil:
		return Batch{}, nil, err
	default:
		if wrong := tooMany(items); wrong != "" {
			p[field] = wrong
		}
	}
	if len(p) > 0 {
		return Batch{}, p, nil
	}
	row, _, err := s.db.Org(actor.Org).AddBatch(ctx, n, items)
	if err != nil {
		return Batch{}, nil, notFound(err, noConnection)
	}
	if err := s.forget(ctx, actor.Org); err != nil {
		s.log.WarnContext(ctx, "forgotten drafts of batches stay", "org", int64(actor.Org), "err", err)
	}
	b, err := s.counted(ctx, actor.Org, row)
	return b, nil, err
}

// keepDraft is how long a draft stays that nobody begins.
const keepDraft = 30 * 24 * time.Hour

// forget takes old drafts away, so that lists and files that nobody needs do not
// stay for good.
func (s *Batches) forget(ctx context.Context, org OrgID) error {
	ids, err := s.db.Org(org).StaleDrafts(ctx, s.now().Add(-keepDraft))
	for _, id := range ids {
		if derr := s.db.Org(org).DropBatch(ctx, id); derr != nil && !errors.Is(derr, db.ErrNotFound) {
			err = errors.Join(err, derr)
		}
	}
	return err
}

// gather reads who the batch is about, and from which field.
func (s *Batches) gather(ctx context.Context, org OrgID, f BatchForm, n *db.NewBatch) (field string, _ []db.NewBatchItem, err error) {
	given := 0
	for _, there := range []bool{strings.TrimSpace(f.Text) != "", f.View != nil, f.File != nil} {
		if there {
			given++
		}
	}
	switch {
	case given == 0:
		return "text", nil, invalid("Say who: paste emails, choose a saved view, or upload a file.")
	case given > 1:
		return "text", nil, invalid("Give one list alone: pasted emails, a saved view, or a file.")
	case f.View != nil:
		n.Source = fmt.Sprintf("the saved view “%s”", f.View.Name)
		items, err := s.ofView(ctx, org, f.Connection, f.View.Query)
		return "view", items, err
	case f.File != nil:
		format, err := readFileFormat(shortTo(orElse(db.CleanText(f.FileName), "a file without a name"), 200), f.File)
		if err != nil {
			return "file", nil, err
		}
		n.Source, n.File = fmt.Sprintf("the file “%s”", short(format.FileName)), f.File
		items, text, err := s.ofFile(ctx, org, format, f.File)
		n.Format = text
		return "file", items, err
	}
	if len(f.Text) > MaxBatchText {
		return "text", nil, invalid("That is more than %d KB of text. Cut it into several batches.", MaxBatchText>>10)
	}
	n.Source = "a pasted list"
	items, err := s.resolve(ctx, org, readPasted(f.Text))
	return "text", items, err
}

// resolve finds the customers whom entries mean.
func (s *Batches) resolve(ctx context.Context, org OrgID, list []entry) ([]db.NewBatchItem, error) {
	known := map[string]CustomerID{}
	for part := range slices.Chunk(list, 1000) {
		var emails []string
		for _, e := range part {
			if e.fault == "" {
				emails = append(emails, NormalizeEmail(e.email))
			}
		}
		found, err := s.db.Org(org).BatchEmails(ctx, emails)
		if err != nil {
			return nil, err
		}
		for _, f := range found { // of several the oldest, as everywhere
			if had := known[f.Email]; had == 0 || f.Customer < had {
				known[f.Email] = f.Customer
			}
		}
	}
	return itemsOf(list, known), nil
}

func (s *Batches) ofFile(ctx context.Context, org OrgID, f BatchFormat, data []byte) (_ []db.NewBatchItem, format string, err error) {
	list, err := f.read(data)
	if err != nil {
		return nil, "", err
	}
	items, err := s.resolve(ctx, org, list)
	if err != nil {
		return nil, "", err
	}
	text, err := json.Marshal(f)
	return items, string(text), err
}

// ofView finds the customers of the sessions that a view shows, those seen last
// first.
func (s *Batches) ofView(ctx context.Context, org OrgID, conn ConnectionID, q SessionQuery) ([]db.NewBatchItem, error) {
	enough := errors.New("enough")
	var ids []CustomerID
	seen := map[CustomerID]bool{}
	sessions := 0
	err := s.sessions.Each(ctx, org, q, func(session Session) error {
		if c := session.Customer; c != 0 && !seen[c] {
			seen[c] = true
			ids = append(ids, c)
		}
		if sessions++; len(ids) > MaxBatch || sessions >= maxViewSessions {
			return enough
		}
		return nil
	})
	cut := errors.Is(err, enough)
	switch {
	case err != nil && !cut:
		return nil, err
	case len(ids) > MaxBatch:
		return nil, invalid("There are more than %s customers behind this view, and that is the most of one batch. Narrow it.", thousands(MaxBatch))
	case cut:
		return nil, invalid("There are more than %s sessions behind this view, too many to find all their customers. Narrow it.", thousands(maxViewSessions))
	case len(ids) == 0:
		return nil, invalid("No session of this view belongs to somebody known, so there is nobody to ask about.")
	}
	people, err := s.db.Org(org).BatchPeople(ctx, conn, ids)
	if err != nil {
		return nil, err
	}
	place := map[CustomerID]int{}
	for i, id := range ids {
		place[id] = i
	}
	sortBy(people, func(a, b db.BatchPerson) int { return cmp.Compare(place[a.Customer], place[b.Customer]) })
	out := make([]db.NewBatchItem, len(people))
	for i, c := range people {
		it := db.NewBatchItem{Customer: c.Customer, SubjectKind: "email", Subject: c.Email, State: entryWaiting}
		switch {
		case checkEmail(c.Email):
		case c.UserID != "":
			it.SubjectKind, it.Subject = "user_id", c.UserID
		default:
			it.State, it.Subject, it.Message = entryFault, "", "No email or LogRocket user id of this customer is known."
		}
		it.Typed = orElse(it.Subject, orElse(c.Name, "a customer without a name"))
		out[i] = it
	}
	return out, nil
}

// Reread takes the file of a draft as written otherwise than it was found to
// be, or its emails from another column.
func (s *Batches) Reread(ctx context.Context, actor Actor, id BatchID, encoding, separator string, header bool, column int) (Batch, Problems, error) {
	if err := mayBatch(actor); err != nil {
		return Batch{}, nil, err
	}
	b, err := s.Get(ctx, actor.Org, id)
	if err != nil {
		return b, nil, err
	}
	if b.State != BatchDraft || b.Format == nil {
		return b, nil, s.moved(ctx, actor.Org, id, db.ErrNotFound)
	}
	if !readable(encoding, separator) {
		return b, nil, invalid("That is no encoding or separator that can be read.")
	}
	data, err := s.db.Org(actor.Org).BatchFile(ctx, id)
	if err != nil {
		return b, nil, s.moved(ctx, actor.Org, id, err)
	}
	f := *b.Format
	had := f.Columns
	f.BulkFormat, err = sniff(bytes.NewReader(data), BulkFormat{Encoding: encoding, Separator: separator, Valid: f.Valid})
	if err != nil {
		return b, nil, err
	}
	f.Header, f.Unclear = header, false
	if f.Column = column; f.Columns != had || column < 0 || column >= f.Columns {
		f.guessColumn()
	}
	items, text, err := s.ofFile(ctx, actor.Org, f, data)
	if err != nil {
		return b, nil, err
	}
	if wrong := tooMany(items); wrong != "" {
		return b, Problems{"column": wrong}, nil
	}
	if err := s.db.Org(actor.Org).RereadBatch(ctx, id, text, items, s.now()); err != nil {
		return b, nil, s.moved(ctx, actor.Org, id, err)
	}
	b, err = s.Get(ctx, actor.Org, id)
	return b, nil, err
}
