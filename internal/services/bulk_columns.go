package services

import (
	"fmt"
	"slices"
	"strings"
)

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
