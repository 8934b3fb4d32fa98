package sandbox

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// controlRaygun carries out what the control has for Raygun's v3 and its lists.
func (s *Sandbox) controlRaygun(w http.ResponseWriter, r *http.Request, what string, in map[string]string) {
	bad := func(sentence string) {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": sentence})
	}
	words := strings.FieldsFunc(in[what], func(c rune) bool { return c == ' ' || c == ',' })
	switch what {
	case "v3limits":
		l := s.RaygunV3Limits()
		for name, to := range map[string]*int{"perSecond": &l.PerSecond, "perMinute": &l.PerMinute, "perDay": &l.PerDay} {
			n, err := strconv.Atoi(first(in[name], strconv.Itoa(*to)))
			if err != nil {
				bad(name + " must be a whole number.")
				return
			}
			*to = n
		}
		s.SetRaygunV3Limits(l)
		s.controlDone(w, r, http.StatusOK, map[string]int{"perSecond": l.PerSecond, "perMinute": l.PerMinute, "perDay": l.PerDay})
	case "scopes":
		for _, one := range words {
			if !slices.Contains(RaygunScopes(), one) {
				bad("scopes must be made of " + strings.Join(RaygunScopes(), ", ") + ".")
				return
			}
		}
		s.SetRaygunScopes(words...)
		s.controlDone(w, r, http.StatusOK, map[string][]string{"scopes": s.RaygunGrantedScopes()})
	case "disorder":
		var ways []Disorder
		for _, one := range words {
			if !slices.Contains(Disorders(), Disorder(one)) {
				bad("disorder must be made of shuffle, move, repeat and arrive.")
				return
			}
			ways = append(ways, Disorder(one))
		}
		s.SetDisorder(ways...)
		s.controlDone(w, r, http.StatusOK, map[string][]Disorder{"disorder": s.Disorder()})
	}
}
