package db

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// people are the customers whom one transaction's sightings are about. One
// person's sessions come in numbers: a row is read once, and when it was seen is
// written once, by flush, which must come before the end.
type people struct {
	org    OrgID
	emails map[string]CustomerID       // by normalised email; 0 for those whom nobody has
	rows   map[CustomerID]*personRow   // that were read or made
	values map[valueKey][]*identityRow // that were looked for
	// changed are the rows that flush writes, in the order in which they changed.
	changedRows   []*personRow
	changedValues []*identityRow
}

type personRow struct {
	id          CustomerID
	name, email string
	first, last sql.NullInt64
	changed     bool
}

// valueKey is what values are found by; of ids, several may differ by their
// letters' case alone.
type valueKey struct {
	customer CustomerID
	kind     IdentityKind
	conn     ConnectionID
	norm     string
}

type identityRow struct {
	id          int64
	value       string
	first, last sql.NullInt64
	changed     bool
}

func newPeople(org OrgID) *people {
	return &people{org: org, emails: map[string]CustomerID{}, rows: map[CustomerID]*personRow{}, values: map[valueKey][]*identityRow{}}
}

// resolveCustomer finds or makes the customer that a sighting is about and
// remembers everything it says, inside the caller's transaction. It returns 0
// where nothing names a person.
func resolveCustomer(ctx context.Context, q querier, org OrgID, s Sighting) (CustomerID, error) {
	p := newPeople(org)
	id, err := p.resolve(ctx, q, s)
	if err != nil {
		return 0, err
	}
	return id, p.flush(ctx, q)
}

// resolve finds or makes the customer that a sighting is about and remembers
// everything it says. It returns 0 where nothing names a person.
//
// The same normalised email is the same customer. Without one, the same vendor
// id on the same connection is; should several customers hold that id, the one
// seen with it last. An id whose customer has another email makes another
// customer: both keep the id, which is how the page knows that they share it.
// A customer without any email takes the first one that comes with its id.
func (p *people) resolve(ctx context.Context, q querier, s Sighting) (CustomerID, error) {
	s, ids := s.clean()
	if s.Email == "" && (s.Anonymous || len(ids) == 0) {
		return 0, nil
	}
	id, err := p.find(ctx, q, s, ids)
	if err != nil {
		return 0, err
	}
	if id == 0 && s.Partial && s.Email == "" {
		return 0, nil
	}
	if id == 0 {
		if id, err = p.add(ctx, q, s); err != nil {
			return 0, err
		}
	} else if err := p.touch(ctx, q, id, s); err != nil {
		return 0, err
	}
	return id, p.putAll(ctx, q, id, s, ids)
}

// putAll remembers every value that a cleaned sighting says of a customer.
func (p *people) putAll(ctx context.Context, q querier, id CustomerID, s Sighting, ids []vendorID) error {
	if s.Email != "" {
		ids = append(ids, vendorID{IdentityEmail, s.Email})
	}
	if s.Name != "" {
		ids = append(ids, vendorID{IdentityName, s.Name})
	}
	for _, v := range ids {
		if err := p.put(ctx, q, id, s, v); err != nil {
			return err
		}
	}
	return nil
}

// find finds the customer of a sighting.
func (p *people) find(ctx context.Context, q querier, s Sighting, ids []vendorID) (CustomerID, error) {
	if s.Email == "" { // who was seen with an id last is in the rows
		if err := p.flush(ctx, q); err != nil {
			return 0, err
		}
		return findHolder(ctx, q, p.org, s, ids)
	}
	norm := Normalize(s.Email)
	id, ok := p.emails[norm]
	if !ok {
		var err error
		if id, err = findEmail(ctx, q, p.org, norm); err != nil {
			return 0, err
		}
		p.emails[norm] = id
	}
	if id != 0 {
		return id, nil
	}
	return findHolder(ctx, q, p.org, s, ids)
}

// add makes the customer of a sighting.
func (p *people) add(ctx context.Context, q querier, s Sighting) (CustomerID, error) {
	row := personRow{name: s.Name, email: s.Email, first: nullMS(s.Since), last: nullMS(s.SeenAt)}
	n, err := insert(ctx, q, "customer", `
		INSERT INTO customers (org_id, name, email, first_seen, last_seen, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		p.org, row.name, row.email, row.first, row.last, cmp.Or(ms(s.SeenAt), ms(time.Now())))
	if err != nil {
		return 0, err
	}
	row.id = CustomerID(n)
	p.rows[row.id] = &row
	return row.id, nil
}

func nullMS(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

const personColumns = `c.id, c.name, c.email, c.first_seen, c.last_seen`

func scanPerson(s scanner) (*personRow, error) {
	var r personRow
	return &r, s.Scan(&r.id, &r.name, &r.email, &r.first, &r.last)
}

// touch widens when a customer was seen. The newest sighting says what they are
// called; an older one only fills what is blank.
func (p *people) touch(ctx context.Context, q querier, id CustomerID, s Sighting) error {
	row := p.rows[id]
	if row == nil {
		var err error
		row, err = one(ctx, q, "customer", scanPerson, `SELECT `+personColumns+` FROM customers c WHERE c.id = ? AND c.org_id = ?`, id, p.org)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		p.rows[id] = row
	}
	was := *row
	newest := newestOf(s, row.last)
	if s.Name != "" && (row.name == "" || newest) {
		row.name = s.Name
	}
	if s.Email != "" && (row.email == "" || newest) {
		row.email = s.Email
	}
	widen(&row.first, &row.last, s)
	if *row != was && !row.changed {
		row.changed = true
		p.changedRows = append(p.changedRows, row)
	}
	return nil
}

// newestOf says whether a sighting is not older than the last one.
func newestOf(s Sighting, last sql.NullInt64) bool {
	return !s.SeenAt.IsZero() && (!last.Valid || s.SeenAt.UnixMilli() >= last.Int64)
}

// widen makes a time span hold a sighting. What nobody saw has none.
func widen(first, last *sql.NullInt64, s Sighting) {
	if at := nullMS(s.Since); at.Valid && (!first.Valid || at.Int64 < first.Int64) {
		*first = at
	}
	if at := nullMS(s.SeenAt); at.Valid && (!last.Valid || at.Int64 > last.Int64) {
		*last = at
	}
}

// key is what a value is found by.
func (v vendorID) key(customer CustomerID, conn ConnectionID) valueKey {
	if v.plain() {
		conn = 0
	}
	return valueKey{customer, v.kind, conn, Normalize(v.value)}
}

// plain says that a value belongs to no connection, and that its spelling does
// not matter: emails and names differ by their normalised form, ids by every
// letter.
func (v vendorID) plain() bool { return v.kind == IdentityEmail || v.kind == IdentityName }

const identityRowColumns = `i.id, i.value, i.first_seen, i.last_seen`

func scanIdentityRow(s scanner) (*identityRow, error) {
	var r identityRow
	return &r, s.Scan(&r.id, &r.value, &r.first, &r.last)
}

// put remembers one value of a customer.
func (p *people) put(ctx context.Context, q querier, customer CustomerID, s Sighting, v vendorID) error {
	key := v.key(customer, s.Connection)
	rows, ok := p.values[key]
	if !ok {
		var err error
		rows, err = list(ctx, q, "identity", scanIdentityRow, `
			SELECT `+identityRowColumns+` FROM identities i
			WHERE i.org_id = ? AND i.value_norm = ? AND i.kind = ? AND i.connection_id = ? AND i.customer_id = ?`,
			p.org, key.norm, key.kind, key.conn, customer)
		if err != nil {
			return err
		}
		p.values[key] = rows
	}
	for _, r := range rows {
		if v.plain() || r.value == v.value {
			return p.see(ctx, q, r, s, v)
		}
	}
	row := &identityRow{value: v.value, first: nullMS(s.Since), last: nullMS(s.SeenAt)}
	var err error
	if row.id, err = insert(ctx, q, "identity", `
		INSERT INTO identities (org_id, customer_id, kind, connection_id, value, value_norm, first_seen, last_seen)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		p.org, customer, v.kind, key.conn, v.value, key.norm, row.first, row.last); err != nil {
		return err
	}
	p.values[key] = append(rows, row)
	if had := p.emails[key.norm]; v.kind == IdentityEmail && (had == 0 || customer < had) {
		p.emails[key.norm] = customer
	}
	return linkHighlights(ctx, q, p.org, customer, key.conn, v)
}

// see widens when a value was seen. The newest sighting spells it.
func (p *people) see(ctx context.Context, q querier, r *identityRow, s Sighting, v vendorID) error {
	was := *r
	if r.value != v.value && newestOf(s, r.last) {
		if _, err := exec(ctx, q, "identity", `UPDATE identities SET value = ? WHERE id = ? AND org_id = ?`, v.value, r.id, p.org); err != nil {
			return err
		}
		r.value = v.value
	}
	widen(&r.first, &r.last, s)
	if (r.first != was.first || r.last != was.last) && !r.changed {
		r.changed = true
		p.changedValues = append(p.changedValues, r)
	}
	return nil
}

// flush writes what has changed.
func (p *people) flush(ctx context.Context, q querier) error {
	var rows, values [][]any
	for _, r := range p.changedRows {
		r.changed = false
		rows = append(rows, []any{r.id, r.name, r.email, intOrNil(r.first), intOrNil(r.last)})
	}
	for _, r := range p.changedValues {
		r.changed = false
		values = append(values, []any{r.id, intOrNil(r.first), intOrNil(r.last)})
	}
	p.changedRows, p.changedValues = p.changedRows[:0], p.changedValues[:0]
	if err := writeEach(ctx, q, "customers", flushCustomers, p.org, rows); err != nil {
		return err
	}
	return writeEach(ctx, q, "identities", flushIdentities, p.org, values)
}

const (
	flushCustomers = `
		UPDATE customers AS c SET name = j.value ->> 1, email = j.value ->> 2, first_seen = j.value ->> 3, last_seen = j.value ->> 4
		FROM json_each(?) j WHERE c.id = j.value ->> 0 AND +c.org_id = ?`
	flushIdentities = `
		UPDATE identities AS i SET first_seen = j.value ->> 1, last_seen = j.value ->> 2
		FROM json_each(?) j WHERE i.id = j.value ->> 0 AND +i.org_id = ?`
)

func intOrNil(n sql.NullInt64) any {
	if !n.Valid {
		return nil
	}
	return n.Int64
}

// writeEach runs a statement that takes its rows as a JSON list of lists.
func writeEach(ctx context.Context, q querier, what, query string, org OrgID, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	b, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("write %s as JSON: %w", what, err)
	}
	_, err = exec(ctx, q, what, query, string(b), org)
	return err
}

// read reads the customers and values that sightings will ask for at once: most
// of them are known. What is not read here is read when it is needed.
func (p *people) read(ctx context.Context, q querier, seen []Sighting) error {
	wanted := map[string]bool{}
	var who []Sighting
	for _, s := range seen {
		if s, _ = s.clean(); s.Email != "" {
			who = append(who, s)
			wanted[Normalize(s.Email)] = true
		}
	}
	var norms []string
	for norm := range wanted {
		if _, ok := p.emails[norm]; !ok {
			norms = append(norms, norm)
			p.emails[norm] = 0
		}
	}
	slices.Sort(norms)
	if err := p.readRows(ctx, q, norms); err != nil {
		return err
	}
	return p.readValues(ctx, q, who)
}

func (p *people) readRows(ctx context.Context, q querier, norms []string) error {
	if len(norms) == 0 {
		return nil
	}
	b, err := json.Marshal(norms)
	if err != nil {
		return fmt.Errorf("write emails as JSON: %w", err)
	}
	_, err = list(ctx, q, "customers", func(s scanner) (struct{}, error) {
		var r personRow
		var norm string
		if err := s.Scan(&norm, &r.id, &r.name, &r.email, &r.first, &r.last); err != nil {
			return struct{}{}, err
		}
		if had := p.emails[norm]; had == 0 || r.id < had {
			p.emails[norm] = r.id
		}
		if p.rows[r.id] == nil {
			p.rows[r.id] = &r
		}
		return struct{}{}, nil
	}, `
		SELECT e.value_norm, `+personColumns+` FROM json_each(?) j
		CROSS JOIN identities e ON e.org_id = ? AND e.value_norm = j.value AND e.kind = 'email' AND e.connection_id = 0
		CROSS JOIN customers c ON c.id = e.customer_id`, string(b), p.org)
	return err
}

// readValues reads the values of sightings of customers who are known by their
// email, kind by kind.
func (p *people) readValues(ctx context.Context, q querier, who []Sighting) error {
	type group struct {
		kind IdentityKind
		conn ConnectionID
	}
	wanted := map[group]jsonPairs{}
	for _, s := range who {
		id := p.emails[Normalize(s.Email)]
		if id == 0 {
			continue
		}
		_, ids := s.clean()
		for _, v := range append(ids, vendorID{IdentityEmail, s.Email}, vendorID{IdentityName, s.Name}) {
			key := v.key(id, s.Connection)
			if _, ok := p.values[key]; ok || v.value == "" {
				continue
			}
			p.values[key] = nil
			g := group{key.kind, key.conn}
			wanted[g] = wanted[g].add(key.norm, int64(id))
		}
	}
	for g, pairs := range wanted {
		_, err := list(ctx, q, "identities", func(s scanner) (struct{}, error) {
			var r identityRow
			key := valueKey{kind: g.kind, conn: g.conn}
			err := s.Scan(&key.norm, &key.customer, &r.id, &r.value, &r.first, &r.last)
			p.values[key] = append(p.values[key], &r)
			return struct{}{}, err
		}, `
			SELECT i.value_norm, i.customer_id, `+identityRowColumns+` FROM json_each(?) j
			CROSS JOIN identities i ON i.org_id = ? AND i.value_norm = j.key AND i.kind = ? AND i.connection_id = ? AND i.customer_id = j.value`,
			pairs.String(), p.org, g.kind, g.conn)
		if err != nil {
			return err
		}
	}
	return nil
}

// jsonPairs are texts and numbers as a JSON object, which json_each takes apart
// with less work than lists in a list. A text may come twice.
type jsonPairs []byte

func (j jsonPairs) add(text string, n int64) jsonPairs {
	sep := byte('{')
	if len(j) > 0 {
		sep = ','
	}
	quoted, err := json.Marshal(text)
	if err != nil { // texts always marshal
		panic(err)
	}
	return strconv.AppendInt(append(append(append(j, sep), quoted...), ':'), n, 10)
}

func (j jsonPairs) String() string { return string(j) + "}" }
