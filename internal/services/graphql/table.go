package graphql

import (
	"slices"
	"strconv"
	"strings"
)

// Limits of a table.
const (
	// MaxRows is the most rows of one, MaxColumns the most columns.
	MaxRows    = 10_000
	MaxColumns = 120
	// maxLists is how many lists may be chosen from.
	maxLists = 60
)

// inner is the step of a path into a list that stands in a list.
const inner = "[]"

// ListChoice is a list in an answer whose entries can be the rows of a table.
type ListChoice struct {
	// Path names it: its keys from the beginning, joined by "/". Empty is the
	// answer itself, as one row.
	Path string
	// Label is how it is shown: keys joined by " › ".
	Label string
	// Rows is how many entries it has, in all places where it stands.
	Rows int
	// Plain says that its entries are no objects.
	Plain bool
}

// Column is a column of a table.
type Column struct {
	// Label is the field with what leads to it from the row: "user.email".
	Label string
	// Parent says that it is of what the row stands in, and repeats.
	Parent bool
	// List is the path of a list that the cells count; empty for other columns.
	List string

	level int
	rel   []string
}

// Cell is a cell of a table.
type Cell struct {
	Kind NodeKind
	// Text is the value; of a list or an object it is JSON, or its plain entries.
	Text string
	// Count is how many entries a list has.
	Count int
	// Error is the place of the answer's error about it in Answer.Errors, from 1;
	// 0 for none.
	Error int

	node *Node
}

// JSON is the value as the server sent it; null for what is not there.
func (c Cell) JSON() string { return c.node.String() }

// Table is an answer, or one of its lists, as rows.
type Table struct {
	List    ListChoice
	Lists   []ListChoice // what can be chosen instead, and this one
	Columns []Column
	Rows    [][]Cell
	// Total is how many rows there would be without the limit.
	Total int
	// Dropped is how many columns are left out.
	Dropped int
}

// Table makes a table of an answer: of the list of the path, or of the one that
// suits best if path is empty or names none; "." is the answer itself as one
// row. Rows behind MaxRows are left out.
func (a Answer) Table(d *Document, o Operation, path string) Table {
	b := tabler{root: a.Data, shape: d.shapeOf(o), lists: map[string]*ListChoice{}, errs: map[string]int{}}
	for i := len(a.Errors) - 1; i >= 0; i-- {
		if len(a.Errors[i].Path) > 0 {
			b.errs[strings.Join(a.Errors[i].Path, "\x00")] = i + 1
		}
	}
	b.find(a.Data, b.shape, nil)
	t := Table{Lists: b.choices()}
	t.List = pick(t.Lists, path)
	var steps []string
	if t.List.Path != "" {
		steps = strings.Split(t.List.Path, "/")
	}
	t.Columns = b.columns(steps)
	if n := len(t.Columns) - MaxColumns; n > 0 {
		t.Columns, t.Dropped = t.Columns[:MaxColumns], n
	}
	b.columnsOf, b.steps, b.parents = t.Columns, steps, make([]Cell, len(t.Columns))
	if a.Data != nil && a.Data.Kind == Object {
		b.rows(0, a.Data, nil, nil)
	}
	t.Rows, t.Total = b.out, b.total
	return t
}

// pick chooses the list of a path, or the first of those with the fewest steps
// that has rows of objects, then any with rows, then any.
func pick(lists []ListChoice, path string) ListChoice {
	if path == "." {
		return lists[0]
	}
	for _, l := range lists {
		if l.Path == path && path != "" {
			return l
		}
	}
	best, rank := lists[0], 1000
	for _, l := range lists[1:] {
		r := 2*strings.Count(l.Path, "/") + 1
		if l.Plain {
			r += 100
		}
		if l.Rows == 0 {
			r += 300
		}
		if r < rank && !(l.Plain && l.Rows == 0) {
			best, rank = l, r
		}
	}
	return best
}

type tabler struct {
	root  *Node
	shape *shape
	lists map[string]*ListChoice
	order []string
	errs  map[string]int

	steps     []string
	columnsOf []Column
	parents   []Cell // the last cell of each column of what rows stand in
	out       [][]Cell
	total     int
}

// find notes the lists of an answer, in the order in which they come up.
func (b *tabler) find(n *Node, s *shape, path []string) {
	if n == nil {
		return
	}
	switch n.Kind {
	case List:
		key := strings.Join(path, "/")
		l := b.lists[key]
		if l == nil {
			l = &ListChoice{Path: key, Label: strings.ReplaceAll(strings.Join(path, " › "), " › "+inner, " › each"), Plain: s.leaf()}
			b.lists[key] = l
			b.order = append(b.order, key)
		}
		l.Rows += len(n.Nodes)
		for _, c := range n.Nodes {
			if c.Kind == List {
				b.find(c, s, append(slices.Clip(path), inner))
			} else if c.Kind == Object && !s.leaf() {
				b.find(c, s, path)
			}
		}
	case Object:
		if s.leaf() {
			return
		}
		for _, c := range n.Nodes {
			b.find(c, s.kid(c.Key), append(slices.Clip(path), c.Key))
		}
	}
}

func (b *tabler) choices() []ListChoice {
	out := []ListChoice{{Label: "the whole answer, as one row", Rows: 1}}
	for _, key := range b.order[:min(len(b.order), maxLists)] {
		out = append(out, *b.lists[key])
	}
	return out
}

// columns are those of a list's entries, and before them those of what the list
// stands in.
func (b *tabler) columns(steps []string) []Column {
	var out []Column
	s := b.shape
	for level := 0; ; level++ {
		last := level == len(steps)
		prefix := steps[:level]
		if last && s.leaf() && level > 0 {
			return append(out, Column{Label: labelOf(steps), level: level})
		}
		next := ""
		if !last {
			next = steps[level]
		}
		if next != inner { // else a list stands here, which has no keys
			out = b.flatten(out, s, prefix, nil, level, next, last)
		}
		if last {
			return out
		}
		if next != inner {
			s = s.kid(next)
		}
	}
}

func labelOf(steps []string) string {
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i] != inner {
			return steps[i]
		}
	}
	return "value"
}

// flatten adds a column for each leaf of an object and of the objects in it.
// Lists are counted where the row is, and left out above: they are other rows.
func (b *tabler) flatten(out []Column, s *shape, prefix, rel []string, level int, next string, last bool) []Column {
	if s == nil {
		return out
	}
	for _, key := range s.keys {
		here := append(slices.Clip(rel), key)
		full := strings.Join(append(slices.Clip(prefix), here...), "/")
		list := b.lists[full] != nil
		switch {
		case len(rel) == 0 && key == next && !last:
		case list && !last:
		case list || s.kids[key].leaf():
			c := Column{Label: strings.Join(here, "."), Parent: !last, level: level, rel: here}
			if c.Parent {
				c.Label = strings.Join(append(without(prefix, inner), here...), ".")
			}
			if list {
				c.List = full
			}
			out = append(out, c)
		default:
			out = b.flatten(out, s.kids[key], prefix, here, level, next, last)
		}
		if len(out) > 4*MaxColumns {
			return out
		}
	}
	return out
}

func without(list []string, what string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == what })
}

// rows adds the rows below a node. chain holds what the row stands in, from the
// outside, and path is where the node is in the answer.
func (b *tabler) rows(step int, n *Node, chain []*Node, path []string) {
	chain = append(slices.Clip(chain), n)
	if step == len(b.steps) {
		b.total++
		if len(b.out) < MaxRows {
			b.out = append(b.out, b.row(chain, path))
		}
		return
	}
	next, key := n, b.steps[step]
	if key != inner {
		if next = n.Get(key); next == nil {
			return
		}
		path = append(slices.Clip(path), key)
	}
	switch next.Kind {
	case List:
		for i, c := range next.Nodes {
			b.rows(step+1, c, chain, append(slices.Clip(path), strconv.Itoa(i)))
		}
	case Object:
		b.rows(step+1, next, chain, path)
	}
}

func (b *tabler) row(chain []*Node, path []string) []Cell {
	out := make([]Cell, len(b.columnsOf))
	for i, c := range b.columnsOf {
		n := chain[c.level]
		for _, key := range c.rel {
			if n = n.Get(key); n == nil {
				break
			}
		}
		if !c.Parent {
			out[i] = cellOf(n)
		} else { // it is the same in many rows, and can be long
			if n == nil || b.parents[i].node != n {
				b.parents[i] = cellOf(n)
			}
			out[i] = b.parents[i]
		}
		if len(b.errs) > 0 && !c.Parent {
			out[i].Error = b.errorAt(append(slices.Clip(path), c.rel...))
		}
	}
	return out
}

// errorAt finds the error about the value at a path.
func (b *tabler) errorAt(path []string) int {
	return b.errs[strings.Join(path, "\x00")]
}

func cellOf(n *Node) Cell {
	if n == nil {
		return Cell{}
	}
	c := Cell{Kind: n.Kind, Text: n.Text, node: n}
	switch n.Kind {
	case Object:
		c.Text = n.String()
	case List:
		c.Count = len(n.Nodes)
		if slices.ContainsFunc(n.Nodes, func(c *Node) bool { return c.Kind == List || c.Kind == Object }) {
			c.Text = n.String()
			break
		}
		var texts []string
		for _, e := range n.Nodes {
			if e.Kind == Null {
				e = &Node{Text: "null"}
			}
			texts = append(texts, e.Text)
		}
		c.Text = strings.Join(texts, ", ")
	}
	return c
}
