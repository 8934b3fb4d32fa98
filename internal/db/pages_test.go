package db

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestAddressesOfOneKindAreOnePage(t *testing.T) {
	for address, want := range map[string]string{
		"https://Shop.Example.com:443/cart?step=2#pay":     "https://shop.example.com/cart",
		"HTTP://shop.example.com/orders/4711/":             "http://shop.example.com/orders/*",
		"https://u:p@shop.example.com/":                    "https://shop.example.com/",
		"https://shop.example.com":                         "https://shop.example.com/",
		"https://shop.example.com:8443/a//b":               "https://shop.example.com:8443/a//b",
		"/users/0f8fad5b-d9cb-469f-a165-70867728950e/edit": "/users/*/edit",
		"/files/5d41402abc4b2a76b9719d911017c592":          "/files/*",
		"/login;jsessionid=00A1":                           "/login",
		"/blog/2026/11/why-1984-matters":                   "/blog/*/*/why-1984-matters",
		"/facade/decade/v2":                                "/facade/decade/v2", // words, not ids
		"/":                                                "/",
		"?q=1":                                             "",
		" \x00 ":                                           "",
		"Checkout":                                         "Checkout",
		"app://index.html/x":                               "app://index.html/x",
		"not a scheme://x":                                 "not a scheme://x",
		"https://日本.example/検索/1":                          "https://日本.example/検索/*",
		"https://x.example/?u=https://y.example/1":         "https://x.example/",
		"https://x.example/" + strings.Repeat("0123456789abcdef", 4): "https://x.example/*",
	} {
		if got := NormalizePage(address); got != want {
			t.Errorf("NormalizePage(%q) = %q, want %q", address, got, want)
		}
		if got := NormalizePage(NormalizePage(address)); got != NormalizePage(address) {
			t.Errorf("%q is not a page of its own: %q", NormalizePage(address), got)
		}
	}
	if long := NormalizePage("/" + strings.Repeat("ä/", 9000)); len([]rune(long)) > MaxIdentity {
		t.Errorf("a page of %d characters", len([]rune(long)))
	}
}

func TestErrorsThatDifferInNumbersAreOne(t *testing.T) {
	same := func(a, b SessionError) bool { return errorKey(a) == errorKey(b) }
	a := SessionError{Title: "Order 4711 not found"}
	for _, b := range []SessionError{{Title: "order 12  not found"}, {Title: " ORDER 0 not found\x00"}} {
		if !same(a, b) {
			t.Errorf("%q and %q are two", a.Title, b.Title)
		}
	}
	if !same(SessionError{Title: "No file 'deadbeef00112233'"}, SessionError{Title: "no file '0123456789abcdef'"}) {
		t.Error("an id in quotes makes another error")
	}
	if same(a, SessionError{Title: "Cart 4711 not found"}) {
		t.Error("two different errors are one")
	}
	if !same(SessionError{GroupID: "7", Title: "a"}, SessionError{GroupID: "7", Title: "b"}) || same(SessionError{GroupID: "7", Title: "a"}, SessionError{GroupID: "8", Title: "a"}) {
		t.Error("the vendor's groups do not decide")
	}
}

func TestQuantilesAreAtMostTenPercentOff(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	bounds := newLoadBounds()
	for range 50 {
		var l Loads
		var all []int64
		for range 1 + r.IntN(500) {
			ms := 1 + r.Int64N(1<<uint(4+r.IntN(16)))
			all = append(all, ms)
			l.add(bounds.bucket(ms), 1)
		}
		slices.Sort(all)
		var again Loads
		again.addPacked(l.pack())
		for _, q := range []float64{0, 0.5, 0.75, 0.95, 1} {
			want := all[max(int(float64(len(all))*q+0.9999999), 1)-1]
			got := again.Quantile(q)
			if float64(got) < float64(want)/1.101-1 || float64(got) > float64(want)*1.101+1 {
				t.Errorf("p%.0f of %d load times = %d ms, want %d", q*100, len(all), got, want)
			}
		}
	}
	if got := (Loads{}).Quantile(0.5); got != -1 {
		t.Errorf("the middle of nothing is %d", got)
	}
}

func FuzzPackedLoads(f *testing.F) {
	f.Add([]byte("victim"))
	f.Add([]byte{0, 1, 3, 2})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var l, again Loads
		l.addPacked(b)
		again.addPacked(l.pack())
		if l.Count() != again.Count() || l.Quantile(0.75) != again.Quantile(0.75) || len(l.counts) > loadBuckets {
			t.Errorf("%v became %v", l, again)
		}
	})
}

func TestMessagesLoseWhatDiffersEachTime(t *testing.T) {
	for in, want := range map[string]string{
		"Request failed with status code 404":                     "Request failed with status code 404",
		"order 4711 of 550e8400-e29b-41d4-a716-446655440000 gone": "order * of * gone",
		`{"id":"deadbeefdeadbeef01","n":12}, t=1763812800123ms`:   `{"id":"*","n":12}, t=*ms`,
		"über 12345":       "über *",
		"a-b-c 2025-11-22": "a-b-c *-11-22",
		"":                 "",
	} {
		if got := NormalizeMessage(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
