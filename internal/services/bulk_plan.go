package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sightline/internal/db"
)

const (
	// bulkBatch is how many lines the dry run looks up and stores at once.
	bulkBatch = 500
	// bulkPlanTurn is how long a dry run goes on before others have the worker.
	bulkPlanTurn = 20 * time.Second
)

// plan is one turn of a dry run. It goes on where the last one ended.
func (s *Bulks) plan(ctx context.Context, b Bulk, org db.Org) (time.Duration, error) {
	if b.line == 0 {
		if err := s.dropLines(ctx, org, b.ID); err != nil {
			return 0, err
		}
	}
	if b.UndoOf != 0 {
		return s.planUndo(ctx, b, org)
	}
	r := newBulkRecords(&bulkReader{ctx: ctx, org: org, id: b.ID}, b.Format)
	p := bulkPlanner{s: s, org: org, b: b, from: b.line}
	message, first := "", true
	for began := time.Now(); time.Since(began) < bulkPlanTurn; {
		cells, line, wrong, err := r.next()
		if errors.Is(err, io.EOF) || errors.Is(err, errRecordTooLong) {
			if err != io.EOF {
				message = fmt.Sprintf("Behind line %d a quote opens that is not closed within %d MB, so nothing after it was read. Mend it and upload the file again.", p.last, maxBulkRecord>>20)
			}
			if err := p.flush(ctx); err != nil {
				return 0, err
			}
			return 0, org.EndBulkPlan(ctx, b.ID, true, message, s.now())
		}
		if err != nil {
			return 0, err
		}
		heading := first && b.Format.Header
		first = false
		if heading || line <= b.line {
			p.last = max(p.last, line)
			continue
		}
		if b.Lines()+p.count >= MaxBulkLines {
			if err := p.flush(ctx); err != nil {
				return 0, err
			}
			return 0, org.EndBulkPlan(ctx, b.ID, true, fmt.Sprintf("The file has more than %s lines; what stands from line %d on was not read. Cut it into several.", thousands(MaxBulkLines), line), s.now())
		}
		if err := p.add(ctx, cells, line, wrong); err != nil {
			return 0, err
		}
	}
	return time.Millisecond, p.flush(ctx)
}

// bulkPlanner gathers lines and stores them a batch at a time.
type bulkPlanner struct {
	s     *Bulks
	org   db.Org
	b     Bulk
	from  int // the last line that is stored
	last  int // the last line that was read
	count int
	batch []readLine
}

// readLine is a line as it stands in the file.
type readLine struct {
	line   int
	wrong  []string // sentences
	user   string
	email  string // that is to lead to a user
	fields []bulkField
}

// bulkField is what a line says of one field. A blank value removes.
type bulkField struct{ field, key, value string }

func (p *bulkPlanner) add(ctx context.Context, cells []string, line int, wrong string) error {
	p.batch = append(p.batch, p.b.read(cells, line, wrong))
	p.last = line
	p.count++
	if len(p.batch) < bulkBatch {
		return nil
	}
	return p.flush(ctx)
}

// read says what a line means, and what is wrong with it by itself.
func (b Bulk) read(cells []string, line int, wrong string) readLine {
	l := readLine{line: line}
	switch {
	case wrong != "":
		l.wrong = []string{wrong}
		return l
	case len(cells) != b.Format.Columns:
		l.wrong = []string{fmt.Sprintf("The line has %s, not %d as the first line. A separator or a quote is missing or too many.", plural(len(cells), "cell"), b.Format.Columns)}
		return l
	}
	in := TraitInput{}
	var blank []bulkField
	names := map[string]bool{}
	for i, c := range b.Mapping.Columns {
		cell := cells[i]
		if c.Means == ColumnIgnored {
			continue
		}
		if looksLikeFormula(cell) && !b.Mapping.Formulas {
			l.wrong = append(l.wrong, fmt.Sprintf("“%s” in column %d looks like a formula. It is sent as text only if you say so.", short(strings.ToValidUTF8(cell, "\ufffd")), i+1))
			continue
		}
		if !utf8.ValidString(cell) || strings.ContainsRune(cell, utf8.RuneError) {
			l.wrong = append(l.wrong, fmt.Sprintf("Column %d holds bytes that mean nothing in the encoding %s.", i+1, b.Format.Encoding))
			continue
		}
		trimmed := strings.TrimSpace(cell)
		switch c.Means {
		case ColumnID:
			in.UserID = trimmed
			continue
		case ColumnIDEmail:
			l.email = trimmed
			continue
		}
		if trimmed == "" {
			if b.Mapping.RemoveBlank {
				blank = append(blank, blankField(c))
			}
			continue
		}
		switch c.Means {
		case ColumnName:
			in.Name.Value, names["name"] = trimmed, true
		case ColumnEmail:
			in.Email.Value, names["email"] = trimmed, true
		default:
			in.New = append(in.New, TraitField{c.Key, FieldInput{"", cell}})
		}
	}
	in = in.Clean()
	b.fault(&l, in)
	l.user = shortTo(in.UserID, 1024)
	if names["name"] {
		l.fields = append(l.fields, bulkField{"name", "", in.Name.Value})
	}
	if names["email"] {
		l.fields = append(l.fields, bulkField{"email", "", in.Email.Value})
	}
	for _, t := range in.New {
		l.fields = append(l.fields, bulkField{"trait", t.Key, t.Value})
	}
	l.fields = append(l.fields, blank...)
	return l
}

func blankField(c BulkColumn) bulkField {
	switch c.Means {
	case ColumnName:
		return bulkField{field: "name"}
	case ColumnEmail:
		return bulkField{field: "email"}
	}
	return bulkField{field: "trait", key: c.Key}
}

// fault adds what the form of a single edit would say of the line.
func (b Bulk) fault(l *readLine, in TraitInput) {
	byEmail := slices.ContainsFunc(b.Mapping.Columns, func(c BulkColumn) bool { return c.Means == ColumnIDEmail })
	if byEmail {
		in.UserID = "of an email"
	}
	problems := in.check()
	switch {
	case len(l.wrong) > 0 && in.UserID == "": // the formula is why
		delete(problems, "user")
	case in.UserID == "":
		problems["user"] = "The user id is empty."
	case byEmail && l.email == "" && len(l.wrong) == 0:
		problems["user"] = "The email is empty, so it is not known whom the line is about."
	case byEmail && l.email != "" && !checkEmail(l.email):
		problems["user"] = fmt.Sprintf("“%s” is no email address.", short(l.email))
	}
	if problems["email"] != "" && utf8.RuneCountInString(in.Email.Value) <= 254 && plainText(in.Email.Value) {
		problems["email"] = fmt.Sprintf("“%s” is no email address.", short(in.Email.Value))
	}
	for _, field := range slices.Sorted(maps.Keys(problems)) {
		l.wrong = append(l.wrong, problems[field])
	}
}

// flush works out what the gathered lines change, and stores them.
func (p *bulkPlanner) flush(ctx context.Context) error {
	if len(p.batch) == 0 {
		return nil
	}
	if err := p.leadEmails(ctx); err != nil {
		return err
	}
	var ids []string
	for _, l := range p.batch {
		if len(l.wrong) == 0 {
			ids = append(ids, l.user)
		}
	}
	doubles, err := p.org.BulkDoubles(ctx, p.b.ID, ids)
	if err != nil {
		return err
	}
	seen := map[string]int{}
	for _, d := range doubles {
		seen[d.UserID] = d.Line
	}
	known, err := knownUsers(ctx, p.org, p.b.Connection, ids)
	if err != nil {
		return err
	}
	rows := make([]db.BulkLine, len(p.batch))
	for i, l := range p.batch {
		if len(l.wrong) == 0 {
			if first, double := seen[l.user]; double {
				l.wrong = []string{fmt.Sprintf("Line %d is about “%s” already. Only that one is sent.", first, short(l.user))}
			} else {
				seen[l.user] = l.line
			}
		}
		rows[i] = planLine(l, known[l.user])
	}
	if err := p.org.AddBulkLines(ctx, p.b.ID, p.from, p.last, rows, p.s.now()); err != nil {
		return err
	}
	p.from, p.batch = p.last, p.batch[:0]
	return nil
}

// knownUsers is what is known of users, by their id.
func knownUsers(ctx context.Context, org db.Org, conn ConnectionID, ids []string) (map[string]db.BulkUserState, error) {
	users, err := org.BulkUsers(ctx, conn, ids)
	known := make(map[string]db.BulkUserState, len(users))
	for _, u := range users {
		known[u.UserID] = u
	}
	return known, err
}

// leadEmails finds the users whom emails lead to.
func (p *bulkPlanner) leadEmails(ctx context.Context) error {
	var emails []string
	for _, l := range p.batch {
		if l.email != "" && len(l.wrong) == 0 {
			emails = append(emails, NormalizeEmail(l.email))
		}
	}
	if len(emails) == 0 {
		return nil
	}
	found, err := p.org.BulkEmails(ctx, p.b.Connection, emails)
	if err != nil {
		return err
	}
	leads := map[string][]string{}
	for _, f := range found {
		if !slices.Contains(leads[f.Email], f.UserID) {
			leads[f.Email] = append(leads[f.Email], f.UserID)
		}
	}
	for i, l := range p.batch {
		if l.email == "" || len(l.wrong) > 0 {
			continue
		}
		switch ids := leads[NormalizeEmail(l.email)]; len(ids) {
		case 0:
			p.batch[i].wrong = []string{fmt.Sprintf("No LogRocket user id is known here for “%s”.", short(l.email))}
		case 1:
			p.batch[i].user = ids[0]
		default:
			slices.Sort(ids)
			p.batch[i].wrong = []string{fmt.Sprintf("“%s” leads to several LogRocket users: %s. Give the user id instead.", short(l.email), joinSome(ids, 4))}
		}
	}
	return nil
}

// planLine works out what a line changes of what is known of its user.
func planLine(l readLine, u db.BulkUserState) db.BulkLine {
	row := db.BulkLine{Line: l.line, UserID: l.user, State: "fault", Seen: u.Seen, Message: strings.Join(l.wrong, " ")}
	if row.UserID == "" {
		row.UserID = shortTo(l.email, 254)
	}
	if len(l.wrong) > 0 {
		return row
	}
	if u.Open {
		row.Message = "An edit of this user is being sent right now, so what the line changes is not known. Make the dry run again."
		return row
	}
	row.State = "same"
	for _, f := range l.fields {
		if c, changes := planField(f, u); changes {
			row.State, row.Changes = "ready", append(row.Changes, c)
		}
	}
	return row
}

// planField works out one field.
func planField(f bulkField, u db.BulkUserState) (db.TraitChange, bool) {
	c := db.TraitChange{Field: f.field, Key: f.key}
	now := ""
	switch f.field {
	case "name":
		now = u.Name
	case "email":
		now = u.Email
	default:
		now = u.Traits[f.key]
	}
	if u.Known && now == f.value {
		return c, false
	}
	if u.Known { // blank where LogRocket has none
		c.Before = &now
	}
	if f.value != "" {
		c.After = &f.value
	}
	return c, true
}

// requestOf is what changes ask LogRocket for.
func requestOf(changes []db.TraitChange) db.TraitRequest {
	var r db.TraitRequest
	for _, c := range changes {
		value := ""
		if c.After != nil {
			value = *c.After
		}
		switch c.Field {
		case "name":
			r.Name = &value
		case "email":
			r.Email = &value
		default:
			if r.Traits == nil {
				r.Traits = map[string]string{}
			}
			r.Traits[c.Key] = value
		}
	}
	return r
}

// planUndo is one turn of the dry run of an undo: a line for each that was sent
// or perhaps was.
func (s *Bulks) planUndo(ctx context.Context, b Bulk, org db.Org) (time.Duration, error) {
	from := b.line
	for began := time.Now(); time.Since(began) < bulkPlanTurn; {
		lines, err := org.BulkLines(ctx, b.UndoOf, "", from, bulkBatch)
		if err != nil {
			return 0, err
		}
		if len(lines) == 0 {
			return 0, org.EndBulkPlan(ctx, b.ID, true, "", s.now())
		}
		var ids []string
		for _, l := range lines {
			ids = append(ids, l.UserID)
		}
		known, err := knownUsers(ctx, org, b.Connection, ids)
		if err != nil {
			return 0, err
		}
		var rows []db.BulkLine
		for _, l := range lines {
			if l.State == "sent" || l.State == "unknown" {
				rows = append(rows, undoLine(l, known[l.UserID]))
			}
		}
		upTo := lines[len(lines)-1].Line
		if err := org.AddBulkLines(ctx, b.ID, from, upTo, rows, s.now()); err != nil {
			return 0, err
		}
		from = upTo
	}
	return time.Millisecond, nil
}

// undoLine takes a line back. Fields of which nobody knows what was there
// before are left, and so are those that somebody changed since.
func undoLine(l db.BulkLine, u db.BulkUserState) db.BulkLine {
	row := db.BulkLine{Line: l.Line, UserID: l.UserID, State: "same", Seen: u.Seen, Undoes: l.Edit}
	if u.Open {
		row.State, row.Message = "fault", "An edit of this user is being sent right now. Make the undo again once it has ended."
		return row
	}
	var unknown, moved []string
	for _, c := range l.Changes {
		name := fieldName(c)
		if c.Before == nil {
			unknown = append(unknown, name)
			continue
		}
		back, changes := planField(bulkField{c.Field, c.Key, *c.Before}, u)
		switch {
		case !changes:
		case l.State == "sent" && value(back.Before) != value(c.After):
			moved = append(moved, name)
		default:
			row.State, row.Changes = "ready", append(row.Changes, back)
		}
	}
	var left []string
	if len(unknown) > 0 {
		left = append(left, fmt.Sprintf("Left as it is, because it is not known what LogRocket had before: %s.", joinSome(unknown, 5)))
	}
	if len(moved) > 0 {
		left = append(left, fmt.Sprintf("Left as it is, because it was changed again since: %s.", joinSome(moved, 5)))
	}
	row.Message = strings.Join(left, " ")
	if row.State == "same" && len(left) > 0 {
		row.State = "fault"
	}
	return row
}
