package graphql

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// NodeKind is what kind of JSON a node is.
type NodeKind int

// The kinds of nodes. Absent is what is not in an answer at all.
const (
	Absent NodeKind = iota
	Null
	Bool
	Number
	Text
	List
	Object
)

// Node is a piece of JSON with its keys in the order they came in, and its
// numbers with their digits.
type Node struct {
	Kind NodeKind
	// Key is the name in the object around it; empty in a list.
	Key string
	// Text is a text, a number's digits, or true or false.
	Text string
	// Nodes are what a list or an object holds.
	Nodes []*Node
	// Cut says that the JSON ended within it.
	Cut bool
}

// maxNesting is how deep lists and objects of an answer may stand in each other.
const maxNesting = 200

var errNesting = errors.New("the JSON is nested too deeply")

// ReadNode reads JSON. Where it is cut off within, what came before is returned
// with Cut set on the nodes around the cut; other errors are returned.
func ReadNode(body []byte) (*Node, error) {
	r := nodeReader{json.NewDecoder(bytes.NewReader(body))}
	r.UseNumber()
	n, err := r.value(0)
	if err == nil || n == nil || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, err
		}
		if _, err := r.Token(); err != io.EOF {
			return nil, errors.New("there is something behind the JSON")
		}
	}
	return n, nil
}

type nodeReader struct{ *json.Decoder }

// value reads one value. On an error it returns what it has, if it is a list or
// an object.
func (r nodeReader) value(depth int) (*Node, error) {
	t, err := r.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		return &Node{Kind: Null}, nil
	case bool:
		return &Node{Kind: Bool, Text: strconv.FormatBool(t)}, nil
	case json.Number:
		return &Node{Kind: Number, Text: string(t)}, nil
	case string:
		return &Node{Kind: Text, Text: t}, nil
	case json.Delim:
		if depth == maxNesting {
			return nil, errNesting
		}
		n := &Node{Kind: List}
		if t == '{' {
			n.Kind = Object
		}
		err := r.fill(n, depth)
		n.Cut = err != nil
		return n, err
	}
	return nil, errors.New("this is no JSON")
}

func (r nodeReader) fill(n *Node, depth int) error {
	for r.More() {
		key := ""
		if n.Kind == Object {
			t, err := r.Token()
			if err != nil {
				return err
			}
			key, _ = t.(string)
		}
		child, err := r.value(depth + 1)
		if child != nil {
			child.Key = key
			n.Nodes = append(n.Nodes, child)
		}
		if err != nil {
			return err
		}
	}
	_, err := r.Token() // the closing sign
	return err
}

// Get finds what an object holds under a key, the last if there are several as
// JSON has it; nil if there is nothing.
func (n *Node) Get(key string) *Node {
	if n == nil || n.Kind != Object {
		return nil
	}
	for i := len(n.Nodes) - 1; i >= 0; i-- {
		if n.Nodes[i].Key == key {
			return n.Nodes[i]
		}
	}
	return nil
}

// String is the node as JSON on one line.
func (n *Node) String() string {
	var b strings.Builder
	n.write(&b, "", "")
	return b.String()
}

// Indented is the node as JSON on lines of their own, two spaces a level.
func (n *Node) Indented() string {
	var b strings.Builder
	n.write(&b, "\n", "  ")
	return b.String()
}

func (n *Node) write(b *strings.Builder, line, indent string) {
	if n == nil {
		b.WriteString("null")
		return
	}
	switch n.Kind {
	case Absent, Null:
		b.WriteString("null")
	case Text:
		writeText(b, n.Text)
	case Bool, Number:
		b.WriteString(n.Text)
	case List, Object:
		open, end := "[", "]"
		if n.Kind == Object {
			open, end = "{", "}"
		}
		b.WriteString(open)
		inner := line + indent
		for i, c := range n.Nodes {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(inner)
			if n.Kind == Object {
				writeText(b, c.Key)
				b.WriteByte(':')
				if indent != "" {
					b.WriteByte(' ')
				}
			}
			c.write(b, inner, indent)
		}
		if len(n.Nodes) > 0 {
			b.WriteString(line)
		}
		b.WriteString(end)
	}
}

func writeText(b *strings.Builder, s string) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(s) == nil {
		b.Write(bytes.TrimRight(out.Bytes(), "\n"))
	}
}
