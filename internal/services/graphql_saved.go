package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sightline/internal/db"
	"sightline/internal/services/graphql"
)

// Limits of a saved query.
const (
	MaxQueryName        = 80  // characters
	MaxQueryDescription = 500 // characters
)

// SavedQuery is a query that a member keeps for the organization.
type SavedQuery struct {
	ID         SavedQueryID
	Owner      UserID
	OwnerName  string // empty if they are gone
	Connection ConnectionID
	Name       string
	// Description may be empty.
	Description                 string
	Query, Operation, Variables string
	UpdatedAt                   time.Time
}

func savedQueryOf(q db.SavedQuery) SavedQuery {
	return SavedQuery{
		ID: q.ID, Owner: q.Owner, OwnerName: q.OwnerName, Connection: q.Connection, Name: q.Name, Description: q.Description,
		Query: q.Query, Operation: q.Operation, Variables: q.Variables, UpdatedAt: q.UpdatedAt,
	}
}

const noSavedQuery = "There is no such saved query any more."

// Saved lists the organization's queries by name.
func (g *GraphQL) Saved(ctx context.Context, org OrgID) ([]SavedQuery, error) {
	rows, err := g.db.Org(org).SavedQueries(ctx)
	out := make([]SavedQuery, len(rows))
	for i, r := range rows {
		out[i] = savedQueryOf(r)
	}
	return out, err
}

// SavedQuery finds a query.
func (g *GraphQL) SavedQuery(ctx context.Context, org OrgID, id SavedQueryID) (SavedQuery, error) {
	row, err := g.db.Org(org).SavedQuery(ctx, id)
	return savedQueryOf(row), notFound(err, noSavedQuery)
}

// Save keeps a query for the organization, a new one if its ID is 0. It takes
// the role support. Problems are by field: name, description, query, variables.
func (g *GraphQL) Save(ctx context.Context, actor Actor, q SavedQuery) (SavedQuery, Problems, error) {
	if err := mayGraphQL(actor); err != nil {
		return q, nil, err
	}
	q.Name, q.Description = strings.Join(strings.Fields(q.Name), " "), strings.TrimSpace(q.Description)
	p := Problems{}
	switch n := utf8.RuneCountInString(q.Name); {
	case !utf8.ValidString(q.Name + q.Description):
		p["name"] = "This is not text in UTF-8."
	case n == 0:
		p["name"] = "Give the query a name."
	case n > MaxQueryName:
		p["name"] = fmt.Sprintf("The name is too long: %d characters at most.", MaxQueryName)
	}
	if utf8.RuneCountInString(q.Description) > MaxQueryDescription {
		p["description"] = fmt.Sprintf("The description is too long: %d characters at most.", MaxQueryDescription)
	}
	doc, problems := graphql.Parse(q.Query)
	if doc == nil {
		p["query"] = problems[0].Text
	}
	if _, problem := graphql.ReadVariables(q.Variables); problem != nil {
		p["variables"] = problem.Text
	}
	if len(p) > 0 {
		return q, p, nil
	}
	if _, err := g.rocket(ctx, actor.Org, q.Connection); err != nil {
		return q, nil, err
	}
	action, verb := "graphql.save", "Saved"
	if q.ID != 0 {
		action, verb = "graphql.change", "Changed"
	}
	q.Owner = actor.User
	row := db.SavedQuery{
		ID: q.ID, Owner: q.Owner, Connection: q.Connection, Name: q.Name, Description: q.Description, Query: q.Query, Operation: q.Operation,
		Variables: q.Variables, UpdatedAt: g.now(),
	}
	id, err := g.db.Org(actor.Org).SaveQuery(ctx, row, MaxSavedQueries, g.conns.entry(actor, action, q.Name, fmt.Sprintf("%s the GraphQL query “%s”", verb, q.Name)))
	switch {
	case errors.Is(err, db.ErrExists):
		p["name"] = "There is a query of that name already. Choose another name."
		return q, p, nil
	case errors.Is(err, db.ErrFull):
		p["name"] = fmt.Sprintf("There are %d saved queries already. Delete one that nobody needs.", MaxSavedQueries)
		return q, p, nil
	case err != nil:
		return q, nil, notFound(err, noSavedQuery)
	}
	saved, err := g.SavedQuery(ctx, actor.Org, id)
	return saved, nil, err
}

// Delete deletes a saved query: its owner may, and who has the role admin.
func (g *GraphQL) Delete(ctx context.Context, actor Actor, id SavedQueryID) error {
	q, err := g.SavedQuery(ctx, actor.Org, id)
	if err != nil {
		return err
	}
	if actor.Role < Support || q.Owner != actor.User && actor.Role < Admin {
		return &Error{Kind: Denied, Msg: fmt.Sprintf("%s keeps this query. They can delete it, and so can an admin.", orElse(q.OwnerName, "Somebody else"))}
	}
	e := g.conns.entry(actor, "graphql.delete", q.Name, fmt.Sprintf("Deleted the GraphQL query “%s”", q.Name))
	e.Before, e.Connection = q.Query, q.Connection
	return notFound(g.db.Org(actor.Org).DeleteSavedQuery(ctx, id, e), noSavedQuery)
}

// WriteGraphQLCSV writes a table as a file of ours: its columns' labels, then
// its rows. Lists and objects are JSON, what is absent or null is empty.
func WriteGraphQLCSV(w io.Writer, t GraphQLTable) error {
	headings := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		headings[i] = EscapeCell(c.Label)
	}
	f, err := newCSVFile(w, headings)
	if err != nil {
		return err
	}
	cells := make([]string, len(t.Columns))
	for _, row := range t.Rows {
		for i, c := range row {
			cells[i] = c.Text
			if c.Kind != graphql.Number { // -5 is no formula
				cells[i] = EscapeCell(c.Text)
			}
		}
		if err := f.row(cells); err != nil {
			return err
		}
	}
	return f.flush()
}

// WriteGraphQLRows writes a table as a file of ours: a JSON list of objects, one
// for each row, by its columns' labels. Values are as the server sent them, but
// those that are not there are null.
func WriteGraphQLRows(w io.Writer, t GraphQLTable) error {
	var keys []string
	for _, c := range t.Columns {
		key := c.Label
		for n := 2; slices.Contains(keys, key); n++ {
			key = fmt.Sprintf("%s (%d)", c.Label, n)
		}
		keys = append(keys, key)
	}
	f := newJSONFile(w, keys)
	fields := make([]any, len(keys))
	for _, row := range t.Rows {
		for i, c := range row {
			fields[i] = json.RawMessage(c.JSON())
		}
		if err := f.row(fields); err != nil {
			return err
		}
	}
	return f.end()
}

// userColumn are the names of columns that hold LogRocket's ids of users.
func userColumn(label string) bool {
	label = label[strings.LastIndexByte(label, '.')+1:]
	switch strings.ToLower(strings.ReplaceAll(label, "_", "")) {
	case "userid", "useridentifier":
		return true
	}
	return false
}

// People finds whom the first rows of a table are about: the customers by the
// text of the cell, as [GraphQLCell] has it. An email is known by its form, a
// LogRocket user id by its column. A text that leads to several is left out.
func (g *GraphQL) People(ctx context.Context, org OrgID, t GraphQLTable, rows int) (map[string]CustomerID, error) {
	const most = 2000
	asked := map[string][]string{} // the texts by their normalised form
	for _, row := range t.Rows[:min(len(t.Rows), rows)] {
		for i, c := range row {
			email := c.Kind == graphql.Text && strings.Count(c.Text, "@") == 1 && len(c.Text) <= 320
			if (email || userColumn(t.Columns[i].Label) && c.Text != "" && len(c.Text) <= 1024) && len(asked) < most {
				if norm := db.Normalize(c.Text); !slices.Contains(asked[norm], c.Text) {
					asked[norm] = append(asked[norm], c.Text)
				}
			}
		}
	}
	if len(asked) == 0 {
		return nil, nil
	}
	found, err := g.db.Org(org).KnownPeople(ctx, slices.Sorted(maps.Keys(asked)))
	out := map[string]CustomerID{}
	for _, p := range found {
		for _, text := range asked[p.Value] {
			if other, ok := out[text]; ok && other != p.Customer {
				out[text] = -1 // several: nobody
				continue
			}
			out[text] = p.Customer
		}
	}
	maps.DeleteFunc(out, func(_ string, id CustomerID) bool { return id <= 0 })
	return out, err
}
