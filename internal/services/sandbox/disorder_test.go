package sandbox_test

import (
	"slices"
	"strconv"
	"testing"

	"sightline/internal/services/sandbox"
)

// walk asks for page after page until one is the last, and gives each row's id.
type walk func() (pages [][]string)

// walks are the walks through v1's and v3's sessions, both as v3 names them.
func walks(t *testing.T, s *sandbox.Sandbox) map[string]walk {
	t.Helper()
	key, v := sessionKey(t, s), newV3(t, s)
	return map[string]walk{
		"v1": func() (pages [][]string) {
			for skip, more := 0, true; more; skip += 100 {
				var got list
				mustSend(t, "GET", sessionsURL(s, "limit", "100", "skip", strconv.Itoa(skip)), key, nil).json(t, &got)
				var page []string
				for _, x := range got.Sessions {
					page = append(page, strconv.FormatInt(x.ID, 36))
				}
				pages, more = append(pages, page), got.Links.Next != nil
			}
			return pages
		},
		"v3": func() (pages [][]string) {
			for offset := 0; ; offset += 100 {
				var page []string
				var got []v3Session
				mustSend(t, "GET", s.RaygunURL()+v.app+"/sessions?count=100&orderby=startedAt+desc&offset="+strconv.Itoa(offset), bearer(s), nil).json(t, &got)
				for _, x := range got {
					page = append(page, x.Identifier)
				}
				if pages = append(pages, page); len(page) < 100 {
					return pages
				}
			}
		},
	}
}

func distinct(pages [][]string) map[string]bool {
	out := map[string]bool{}
	for _, p := range pages {
		for _, id := range p {
			out[id] = true
		}
	}
	return out
}

func TestDisorder(t *testing.T) {
	s, _ := start(t, sandbox.Options{RaygunDailyLimit: -1, Customers: 80, Sessions: 1070})
	total := s.Company().SessionCount()
	if total%100 < 70 {
		t.Fatalf("with %d sessions those repeated make no page of their own", total)
	}
	for version, walk := range walks(t, s) {
		tidy := walk()
		if again := walk(); !slices.EqualFunc(tidy, again, slices.Equal) || len(distinct(tidy)) != total {
			t.Fatalf("%s is untidy without being told", version)
		}
		t.Run(version+" shuffle", func(t *testing.T) {
			s.SetDisorder(sandbox.DisorderShuffle)
			once, again := walk(), walk()
			for i := range tidy {
				if slices.Equal(once[i], tidy[i]) || slices.Equal(once[i], again[i]) {
					t.Errorf("page %d is in order", i)
				}
				a, b := slices.Sorted(slices.Values(once[i])), slices.Sorted(slices.Values(tidy[i]))
				if !slices.Equal(a, b) {
					t.Errorf("a row left page %d", i)
				}
			}
			s.SetDisorder(sandbox.DisorderShuffle)
			if same := walk(); !slices.EqualFunc(once, same, slices.Equal) {
				t.Error("the same requests got other answers")
			}
		})
		t.Run(version+" move", func(t *testing.T) {
			s.SetDisorder(sandbox.DisorderMove)
			seen := distinct(walk())
			missed := total - len(seen)
			for range 6 {
				for id := range distinct(walk()) {
					seen[id] = true
				}
			}
			if missed == 0 || missed > total/8 || len(seen) != total {
				t.Errorf("one walk missed %d of %d, seven missed %d", missed, total, total-len(seen))
			}
			// Rows stay near where they belong.
			home := map[string]int{}
			for i, p := range tidy {
				for _, id := range p {
					home[id] = i
				}
			}
			for i, p := range walk() {
				for _, id := range p {
					if home[id] < i-3 || home[id] > i+3 {
						t.Errorf("%s went from page %d to %d", id, home[id], i)
					}
				}
			}
		})
		t.Run(version+" repeat", func(t *testing.T) {
			s.SetDisorder(sandbox.DisorderRepeat)
			pages := walk()
			rows := 0
			for _, p := range pages {
				rows += len(p)
			}
			if len(distinct(pages)) != total || rows < total*103/100 || rows > total*108/100 {
				t.Errorf("%d rows with %d sessions of %d", rows, len(distinct(pages)), total)
			}
		})
		t.Run(version+" arrive", func(t *testing.T) {
			s.SetDisorder(sandbox.DisorderArrive)
			first := walk()
			late := total - len(distinct(first))
			grew := len(distinct(first))
			for range 6 {
				now := len(distinct(walk()))
				if now < grew {
					t.Errorf("sessions went from %d to %d", grew, now)
				}
				grew = now
			}
			if late < 10 || late > 110 || grew != total {
				t.Errorf("%d were late, %d of %d are there in the end", late, grew, total)
			}
			if id := lateSession(tidy, first); id == "" || newV3(t, s).ask("GET", newV3(t, s).app+"/sessions/"+id, nil).code != 200 {
				t.Errorf("the late session %q is not found alone", id)
			}
		})
		s.SetDisorder("nonsense")
		if back := walk(); len(s.Disorder()) != 0 || !slices.EqualFunc(tidy, back, slices.Equal) {
			t.Errorf("%s stays untidy", version)
		}
	}
	s.SetDisorder(sandbox.Disorders()...)
	for version, walk := range walks(t, s) {
		seen := map[string]bool{}
		for range 12 {
			for id := range distinct(walk()) {
				seen[id] = true
			}
		}
		if len(seen) != total {
			t.Errorf("%s: %d of %d in all disorders", version, len(seen), total)
		}
	}
}

func lateSession(all, there [][]string) string {
	have := distinct(there)
	for id := range distinct(all) {
		if !have[id] {
			return id
		}
	}
	return ""
}

func TestDisorderInTheOtherLists(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	v := newV3(t, s)
	ids := func(list string) (out []string) {
		var rows []struct{ Identifier string }
		v.get(v.app+"/"+list+"?count=500", &rows)
		for _, r := range rows {
			out = append(out, r.Identifier)
		}
		return out
	}
	for _, list := range []string{"customers", "pages", "error-groups"} {
		s.SetDisorder()
		tidy := ids(list)
		s.SetDisorder(sandbox.DisorderShuffle, sandbox.DisorderArrive)
		untidy := ids(list)
		if slices.Equal(tidy, untidy) || !slices.Equal(slices.Sorted(slices.Values(tidy)), slices.Sorted(slices.Values(untidy))) {
			t.Errorf("%s: %v, then %v", list, tidy, untidy)
		}
	}
}
