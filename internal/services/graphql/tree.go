package graphql

import (
	"strconv"
	"strings"
)

// Limits of a tree.
const (
	// MaxTwigs is the most nodes of one.
	MaxTwigs = 1200
	// twigsOf is how many nodes of a list or an object are shown.
	twigsOf = 100
)

// Twig is a node of JSON as it is shown.
type Twig struct {
	// Key is its name, or its place in a list from 0.
	Key  string
	Kind NodeKind
	// Text is the value of one that holds nothing.
	Text string
	// Count is how many nodes a list or an object holds, Kids those of them that
	// are shown and More how many follow them.
	Count, More int
	Kids        []Twig
	// Path leads to it from the root: keys and places joined by "/", with ~1 for a
	// / in a key and ~0 for a ~ (RFC 6901). From is the place of the first of its
	// Kids.
	Path string
	From int
	// Open says that its kids are to be seen at once, Hit that what was searched
	// for is in its key or its text.
	Open, Hit bool
}

// Tree is JSON to unfold.
type Tree struct {
	Root Twig
	// Hits is how many nodes have what was searched for.
	Hits int
	// Cut says that not every node that could be shown is there.
	Cut bool
	// Found says that there is something at the path that was asked for.
	Found bool
}

// TreeQuery is what is shown of a tree.
type TreeQuery struct {
	// At is the path of the node to begin with, empty for the root, and From the
	// place of its first kid that is shown.
	At   string
	From int
	// Find shows only what leads to keys and values with this text, in any case.
	Find string
	// All unfolds everything.
	All bool
}

// Tree makes a tree of a node, of what a query asks for.
func (n *Node) Tree(q TreeQuery) Tree {
	b := treeBuilder{q: q, find: strings.ToLower(strings.TrimSpace(q.Find)), left: MaxTwigs}
	at, key := n, ""
	if q.At != "" {
		for _, step := range strings.Split(q.At, "/") {
			key = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
			if at = at.step(key); at == nil {
				return Tree{}
			}
		}
	}
	t := Tree{Found: at != nil}
	if at != nil {
		t.Root, _ = b.twig(at, key, q.At, place{from: max(0, q.From)})
		t.Root.Open = true
	}
	t.Hits, t.Cut = b.hits, b.cut
	return t
}

// step is what stands under a key, or at a place of a list.
func (n *Node) step(key string) *Node {
	if n != nil && n.Kind == List {
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Nodes) {
			return n.Nodes[i]
		}
		return nil
	}
	return n.Get(key)
}

type treeBuilder struct {
	q    TreeQuery
	find string
	left int
	hits int
	cut  bool
}

// place is where a node stands: how deep, from which of its nodes on it is
// shown, and whether it is in one that was found.
type place struct {
	depth, from int
	found       bool
}

// twig shows a node; ok is false if nothing in it was searched for.
func (b *treeBuilder) twig(n *Node, key, path string, at place) (t Twig, ok bool) {
	t = Twig{Key: key, Kind: n.Kind, Text: n.Text, Count: len(n.Nodes), Path: path, From: min(at.from, len(n.Nodes))}
	t.Open = b.q.All || at.depth < 3
	if b.find != "" {
		t.Hit, t.Open = b.has(n), b.q.All
	}
	if t.Hit {
		b.hits++
	}
	b.left--
	for i := t.From; i < len(n.Nodes); i++ {
		if b.left <= 0 || len(t.Kids) == twigsOf {
			t.More = len(n.Nodes) - i
			b.cut = b.cut || b.left <= 0
			if b.find != "" { // they are found, if not shown
				for _, c := range n.Nodes[i:] {
					b.count(c)
				}
			}
			break
		}
		c := n.Nodes[i]
		name := c.Key
		if n.Kind == List {
			name = strconv.Itoa(i)
		}
		spent := b.left
		kid, has := b.twig(c, name, join(path, name), place{depth: at.depth + 1, found: at.found || t.Hit})
		if !has && !at.found && !t.Hit {
			b.left = spent // it is not shown
			continue
		}
		if has && b.find != "" {
			t.Open = true
		}
		t.Kids = append(t.Kids, kid)
		ok = ok || has
	}
	return t, ok || t.Hit || b.find == ""
}

// has says whether a node is what was searched for. A place in a list is no key
// that anybody searches for.
func (b *treeBuilder) has(n *Node) bool {
	return strings.Contains(strings.ToLower(n.Key), b.find) || n.Kind != List && n.Kind != Object && strings.Contains(strings.ToLower(n.shown()), b.find)
}

// count counts what was searched for in a node that is not shown.
func (b *treeBuilder) count(n *Node) {
	if b.has(n) {
		b.hits++
	}
	for _, c := range n.Nodes {
		b.count(c)
	}
}

// shown is the text of a node that holds nothing.
func (n *Node) shown() string {
	if n.Kind == Null {
		return "null"
	}
	return n.Text
}

func join(path, key string) string {
	key = strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
	if path == "" {
		return key
	}
	return path + "/" + key
}
