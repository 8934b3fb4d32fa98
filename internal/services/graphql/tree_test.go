package graphql

import (
	"fmt"
	"strings"
	"testing"
)

// outline writes a tree on a line: + opens, * is a hit.
func outline(t Twig) string {
	s := t.Key
	if t.Hit {
		s += "*"
	}
	if t.Kind == List || t.Kind == Object {
		if t.Open {
			s += "+"
		}
		var kids []string
		for _, k := range t.Kids {
			kids = append(kids, outline(k))
		}
		if t.More > 0 {
			kids = append(kids, fmt.Sprintf("…%d", t.More))
		}
		return s + "(" + strings.Join(kids, " ") + ")"
	}
	return s + "=" + t.Text
}

func TestATreeShowsWhatIsAskedFor(t *testing.T) {
	n, err := ReadNode([]byte(`{"data":{"people":[{"email":"Ada@x","n":1},{"email":"bob","a/b~":null}],"total":2},"errors":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		q    TreeQuery
		want string
		hits int
	}{
		{TreeQuery{}, "+(data+(people+(0(email=Ada@x n=1) 1(email=bob a/b~=)) total=2) errors+())", 0},
		{TreeQuery{All: true}, "+(data+(people+(0+(email=Ada@x n=1) 1+(email=bob a/b~=)) total=2) errors+())", 0},
		{TreeQuery{Find: " ada "}, "+(data+(people+(0+(email*=Ada@x))))", 1},
		{TreeQuery{Find: "EMAIL"}, "+(data+(people+(0+(email*=Ada@x) 1+(email*=bob))))", 2},
		{TreeQuery{Find: "people"}, "+(data+(people*(0(email=Ada@x n=1) 1(email=bob a/b~=))))", 1},
		{TreeQuery{Find: "null"}, "+(data+(people+(1+(a/b~*=))))", 1},
		{TreeQuery{Find: "0"}, "+()", 0},
		{TreeQuery{At: "data/people/1"}, "1+(email=bob a/b~=)", 0},
		{TreeQuery{At: "data/people", From: 1}, "people+(1+(email=bob a/b~=))", 0},
		{TreeQuery{At: "data/people/1/a~1b~0"}, "a/b~=", 0},
		{TreeQuery{At: "data/people", From: 99}, "people+()", 0},
	} {
		got := n.Tree(tt.q)
		if outline(got.Root) != tt.want || got.Hits != tt.hits || !got.Found || got.Cut {
			t.Errorf("%+v: %s, %d hits, found %t, cut %t; want %s", tt.q, outline(got.Root), got.Hits, got.Found, got.Cut, tt.want)
		}
	}
	for _, at := range []string{"x", "data/people/2", "data/people/-1", "data/total/0", "/"} {
		if n.Tree(TreeQuery{At: at}).Found {
			t.Errorf("something is found at %q", at)
		}
	}
	if got := (*Node)(nil).Tree(TreeQuery{}); got.Found {
		t.Error("nothing has a tree")
	}
}

func TestATreeOfMuchIsBounded(t *testing.T) {
	row := `{"a":[` + strings.TrimSuffix(strings.Repeat(`{"b":"find me"},`, 150), ",") + `]}`
	n, err := ReadNode([]byte(`[` + strings.TrimSuffix(strings.Repeat(row+",", 150), ",") + `]`))
	if err != nil {
		t.Fatal(err)
	}
	var count func(Twig) int
	count = func(t Twig) int {
		n := 1
		for _, k := range t.Kids {
			n += count(k)
		}
		return n
	}
	for _, q := range []TreeQuery{{}, {Find: "find me"}, {All: true, Find: "b"}} {
		got := n.Tree(q)
		if c := count(got.Root); c > MaxTwigs || !got.Cut {
			t.Errorf("%+v: %d nodes, cut %t", q, c, got.Cut)
		}
	}
	got := n.Tree(TreeQuery{At: "149/a"})
	if len(got.Root.Kids) != twigsOf || got.Root.More != 50 || got.Cut {
		t.Errorf("%d and %d more", len(got.Root.Kids), got.Root.More)
	}
	if rest := n.Tree(TreeQuery{At: "149/a", From: 100}); len(rest.Root.Kids) != 50 || rest.Root.Kids[0].Key != "100" || rest.Root.More != 0 {
		t.Errorf("the rest: %d, %d more", len(rest.Root.Kids), rest.Root.More)
	}
	// What is not found takes no room from what is behind it.
	long, _ := ReadNode([]byte(`[` + strings.Repeat(`{"a":1},`, 5000) + `{"needle":1}]`))
	if got := long.Tree(TreeQuery{Find: "needle"}); got.Hits != 1 || got.Cut {
		t.Errorf("the last of many: %d hits, cut %t", got.Hits, got.Cut)
	}
}

// Those that a long list does not show at first are found, too.
func TestATreeCountsWhatIsFoundAndNotShown(t *testing.T) {
	for _, n := range []int{twigsOf + 50, 2 * MaxTwigs} {
		for name, one := range map[string]string{"values": `"needle"`, "keys": `{"Needle":[1]}`} {
			root, err := ReadNode([]byte(`{"list":[` + strings.Repeat(one+",", n-1) + one + `],"behind":"needle"}`))
			if err != nil {
				t.Fatal(err)
			}
			if got := root.Tree(TreeQuery{Find: "needle"}); got.Hits != n+1 {
				t.Errorf("%d %s: %d hits, want %d", n, name, got.Hits, n+1)
			}
		}
	}
}
