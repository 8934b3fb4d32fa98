package graphql_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"sightline/internal/services/graphql"
)

func answer(t *testing.T, query, body string) (*graphql.Document, graphql.Operation, graphql.Answer) {
	t.Helper()
	d := mustParse(t, query)
	o := mustChoose(t, d, "")
	a, err := graphql.ReadAnswer(d, o, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return d, o, a
}

// drawn is a table as lines of text.
func drawn(t graphql.Table) string {
	var b strings.Builder
	for i, c := range t.Columns {
		if i > 0 {
			b.WriteString(" | ")
		}
		if c.Parent {
			b.WriteString("^")
		}
		b.WriteString(c.Label)
	}
	for _, r := range t.Rows {
		b.WriteString("\n")
		for i, c := range r {
			if i > 0 {
				b.WriteString(" | ")
			}
			switch {
			case c.Kind == graphql.Absent:
				b.WriteString("-")
			case c.Kind == graphql.Null:
				b.WriteString("null")
			case t.Columns[i].List != "":
				fmt.Fprintf(&b, "%d×", c.Count)
			default:
				b.WriteString(c.Text)
			}
			if c.Error > 0 {
				fmt.Fprintf(&b, "!%d", c.Error)
			}
		}
	}
	return b.String()
}

const people = `query { total people: users(first: 2) { name at { city zip } tags
	orders { id lines { sku n } } ... on VIP { since } ...F } } fragment F on User { name mail }`

const peopleAnswer = `{"data":{"total":12345678901234567890,"people":[
	{"name":"Ada","at":{"city":"Wien","zip":null},"tags":["a","b"],"orders":[{"id":1,"lines":[{"sku":"x","n":1},{"sku":"y","n":2}]},{"id":2,"lines":[]}],"since":2019,"mail":"ada@example.com"},
	{"name":"Bob","at":null,"tags":[],"orders":null,"mail":null},
	null]},
	"errors":[{"message":"no orders","path":["people",1,"orders"],"locations":[{"line":2,"column":2}],"extensions":{"code":"DENIED","x":[1]}},{"message":"mail hidden","path":["people","1","mail"]},"plain words"]}`

func TestAnyListOfAnAnswerBecomesATable(t *testing.T) {
	d, o, a := answer(t, people, peopleAnswer)
	for path, want := range map[string]string{
		"": "^total | name | at.city | at.zip | tags | orders | since | mail\n" +
			"12345678901234567890 | Ada | Wien | null | 2× | 2× | 2019 | ada@example.com\n" +
			"12345678901234567890 | Bob | - | - | 0× | null!1 | - | null!2\n" +
			"12345678901234567890 | - | - | - | - | - | - | -",
		"people/orders": "^total | ^people.name | ^people.at.city | ^people.at.zip | ^people.since | ^people.mail | id | lines\n" +
			"12345678901234567890 | Ada | Wien | null | 2019 | ada@example.com | 1 | 2×\n" +
			"12345678901234567890 | Ada | Wien | null | 2019 | ada@example.com | 2 | 0×",
		"people/orders/lines": "^total | ^people.name | ^people.at.city | ^people.at.zip | ^people.since | ^people.mail | ^people.orders.id | sku | n\n" +
			"12345678901234567890 | Ada | Wien | null | 2019 | ada@example.com | 1 | x | 1\n" +
			"12345678901234567890 | Ada | Wien | null | 2019 | ada@example.com | 1 | y | 2",
		"people/tags": "^total | ^people.name | ^people.at.city | ^people.at.zip | ^people.since | ^people.mail | tags\n" +
			"12345678901234567890 | Ada | Wien | null | 2019 | ada@example.com | a\n" +
			"12345678901234567890 | Ada | Wien | null | 2019 | ada@example.com | b",
		".":      "total | people\n12345678901234567890 | 3×",
		"no/one": "",
	} {
		got := a.Table(d, o, path)
		if path == "no/one" {
			if got.List.Path != "people" {
				t.Errorf("instead of no list %q is shown", got.List.Path)
			}
			continue
		}
		if text := drawn(got); text != want {
			t.Errorf("%q:\n%s\nwant\n%s", path, text, want)
		}
	}
	var labels []string
	for _, l := range a.Table(d, o, "").Lists {
		labels = append(labels, fmt.Sprintf("%s (%d)", l.Label, l.Rows))
	}
	if got := strings.Join(labels, ", "); got != "the whole answer, as one row (1), people (3), people › tags (2), people › orders (2), people › orders › lines (2)" {
		t.Errorf("lists: %s", got)
	}
	if e := a.Errors; len(e) != 3 || e[0].Code != "DENIED" || e[0].Places[0] != (graphql.Place{Line: 2, Column: 2}) || e[1].Places[0].Line != 2 || e[2].Message != "plain words" {
		t.Errorf("errors: %+v", e)
	}
}

func TestOddShapesBecomeTablesToo(t *testing.T) {
	for _, tt := range []struct{ name, query, body, want string }{
		{"lists of lists", "{ grid }", `{"data":{"grid":[[1,2],[3]]}}`, "grid\n1, 2\n3"},
		{"lists of lists of objects", "{ n grid { x } }", `{"data":{"n":7,"grid":[[{"x":1}],[{"x":2},null]]}}`, "^n | x\n7 | 1\n7 | 2\n7 | -"},
		{"Relay", "{ users { edges { cursor node { id } } pageInfo { end } } }", `{"data":{"users":{"edges":[{"cursor":"c","node":{"id":1}}],"pageInfo":{"end":"c"}}}}`, "^users.pageInfo.end | cursor | node.id\nc | c | 1"},
		{"one object", "{ me { id at { city } } }", `{"data":{"me":{"id":1,"at":{"city":"x"}}}}`, "me.id | me.at.city\n1 | x"},
		{"a scalar", "{ n }", `{"data":{"n":1}}`, "n\n1"},
		{"an object as a scalar", "{ meta list { meta } }", `{"data":{"meta":{"a":[1,{"b":null}]},"list":[{"meta":{"z":1,"a":2}}]}}`, `^meta | meta` + "\n" + `{"a":[1,{"b":null}]} | {"z":1,"a":2}`},
		{"no rows", "{ users { id name } }", `{"data":{"users":[]}}`, "id | name"},
		{"null", "{ users { id } }", `{"data":null,"errors":[{"message":"no"}]}`, "users.id"},
		{"no data", "{ users { id } }", `{"errors":[{"message":"no"}]}`, "users.id"},
		{"data that is no object", "{ users { id } }", `{"data":[1]}`, "users.id"},
		{"keys nobody asked for", "{ users { id } }", `{"data":{"users":[{"id":1,"more":2}],"other":[1]}}`, "id\n1"},
		{"the same key twice", "{ a }", `{"data":{"a":1,"a":2}}`, "a\n2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, o, a := answer(t, tt.query, tt.body)
			path := ""
			if tt.name == "lists of lists of objects" {
				path = "grid/[]"
			}
			if got := drawn(a.Table(d, o, path)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestAnAnswerThatIsCutOffShowsWhatCame(t *testing.T) {
	for _, cut := range []string{`{"data":{"users":[{"id":1},{"id":2`, `{"data":{"users":[{"id":1},{"id":2},`, `{"data":{"users":[{"id":1},{"id":2},{"i`, `{"data":{"users":[{"id":1},{"id":2}]`} {
		d, o, a := answer(t, "{ users { id } }", cut)
		if !a.Cut {
			t.Errorf("%s: not cut", cut)
		}
		if got := a.Table(d, o, ""); len(got.Rows) < 2 {
			t.Errorf("%s: %s", cut, drawn(got))
		}
	}
	for _, bad := range []string{"", "null", "[1]", "<html>", `{"data":}`, `{"data":1} x`, strings.Repeat("[", 100000), `{"a":` + strings.Repeat("[", 5000)} {
		if _, err := graphql.ReadAnswer(nil, graphql.Operation{}, []byte(bad)); err == nil {
			t.Errorf("%.20q was read", bad)
		}
	}
}

func TestTooManyRowsAndColumnsAreLeftOutAndCounted(t *testing.T) {
	var b, q strings.Builder
	q.WriteString("{ l {")
	for i := range graphql.MaxColumns + 5 {
		fmt.Fprintf(&q, " c%d", i)
	}
	q.WriteString(" } }")
	b.WriteString(`{"data":{"l":[{}`)
	for range graphql.MaxRows + 6 {
		b.WriteString(`,{"c0":1}`)
	}
	b.WriteString("]}}")
	d, o, a := answer(t, q.String(), b.String())
	got := a.Table(d, o, "")
	if len(got.Rows) != graphql.MaxRows || got.Total != graphql.MaxRows+7 || len(got.Columns) != graphql.MaxColumns || got.Dropped != 5 {
		t.Errorf("%d of %d rows, %d columns and %d left out", len(got.Rows), got.Total, len(got.Columns), got.Dropped)
	}
}

func TestAChartIsFoundWhereThereIsOne(t *testing.T) {
	for _, tt := range []struct{ name, query, body, want string }{
		{"a day and a number", "{ d { day n m } }", `{"data":{"d":[{"day":"2026-11-02","n":3,"m":1},{"day":"2026-11-01","n":2,"m":null},{"day":null,"n":5,"m":4}]}}`, "day/n [2 3] times 2 of day by n m"},
		{"a chosen number", "{ d { day n m } }?y=m", `{"data":{"d":[{"day":"2026-11-02","n":3,"m":1},{"day":"2026-11-01","n":2,"m":7}]}}`, "day/m [7 1] times 2 of day by n m"},
		{"a chosen label", "{ d { name n day } }?x=name", `{"data":{"d":[{"name":"x","n":3,"day":"2026-11-02"},{"name":"y","n":1,"day":"2026-11-01"}]}}`, "name/n [3 1] labels x y of day name"},
		{"a choice that is none", "{ d { name n day } }?x=n", `{"data":{"d":[{"name":"x","n":3,"day":"2026-11-02"},{"name":"y","n":1,"day":"2026-11-01"}]}}`, "day/n [1 3] times 2 of day name"},
		{"milliseconds", "{ d { at n } }", `{"data":{"d":[{"at":1763800000000,"n":1},{"at":1763900000000,"n":2.5}]}}`, "at/n [1 2.5] times 2"},
		{"a label", "{ d { name n id } }", `{"data":{"d":[{"name":"x","n":3,"id":1},{"name":"y","n":1,"id":2}]}}`, "name/n [3 1] labels x y"},
		{"the same label twice", "{ d { name n } }", `{"data":{"d":[{"name":"x","n":3},{"name":"x","n":1}]}}`, ""},
		{"ids alone", "{ d { name userID } }", `{"data":{"d":[{"name":"x","userID":3},{"name":"y","userID":1}]}}`, ""},
		{"one row", "{ d { name n } }", `{"data":{"d":[{"name":"x","n":3}]}}`, ""},
		{"no numbers", "{ d { name n } }", `{"data":{"d":[{"name":"x","n":"3"},{"name":"y","n":"4"}]}}`, ""},
	} {
		query, choice, _ := strings.Cut(tt.query, "?")
		d, o, a := answer(t, query, tt.body)
		x, isX := strings.CutPrefix(choice, "x=")
		if !isX {
			x = ""
		}
		c, ok := a.Table(d, o, "").Chart(x, strings.TrimPrefix(choice, "y="))
		got := ""
		if ok {
			got = fmt.Sprintf("%s/%s %v", c.X, c.Y, c.Values)
			if len(c.Times) > 0 {
				got += fmt.Sprintf(" times %d", len(c.Times))
			} else {
				got += " labels " + strings.Join(c.Labels, " ")
			}
			if len(c.Xs)+len(c.Ys) > 2 {
				got += " of " + strings.Join(c.Xs, " ")
			}
			if len(c.Ys) > 1 {
				got += " by " + strings.Join(c.Ys, " ")
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzNoAnswerBreaksATable(f *testing.F) {
	f.Add(people, peopleAnswer, "people/orders")
	f.Add("{ grid }", `{"data":{"grid":[[1,2],[3]]}}`, "grid/[]")
	f.Fuzz(func(t *testing.T, query, body, path string) {
		d, _ := graphql.Parse(query)
		if d == nil {
			return
		}
		o, problems := d.Choose("")
		if len(problems) > 0 {
			return
		}
		a, err := graphql.ReadAnswer(d, o, []byte(body))
		if err != nil {
			return
		}
		table := a.Table(d, o, path)
		for _, l := range table.Lists {
			other := a.Table(d, o, l.Path)
			for _, r := range other.Rows {
				if len(r) != len(other.Columns) {
					t.Fatalf("a row of %d cells under %d columns", len(r), len(other.Columns))
				}
			}
			other.Chart("", "")
		}
		_ = a.Data.Indented()
	})
}

// What rows stand in is written down once, and not again for each of them: it
// can be long, and they many.
func TestRowsShareWhatTheyStandIn(t *testing.T) {
	d, o, a := answer(t, `{ sessions { meta steps { n } } }`, `{"data":{"sessions":[{"meta":{"k":"v"},"steps":[{"n":1},{"n":2}]},{"meta":{"k":"w"},"steps":[{"n":3}]},{"steps":[{"n":4}]}]}}`)
	rows := a.Table(d, o, "sessions/steps").Rows
	var got []string
	for _, r := range rows {
		got = append(got, r[0].Text+" "+r[1].Text)
	}
	if want := []string{`{"k":"v"} 1`, `{"k":"v"} 2`, `{"k":"w"} 3`, ` 4`}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	if unsafe.StringData(rows[0][0].Text) != unsafe.StringData(rows[1][0].Text) {
		t.Error("each row has a copy of its own")
	}
}
