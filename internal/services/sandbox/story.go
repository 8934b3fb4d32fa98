package sandbox

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// The Markdown that stands for Galileo's: composed from the very events of the
// recordings, with links to their moments. Like a model's it repeats what it
// finds: hostile titles and page names stand in it unescaped.

// story sums up all sessions of a job.
func (k *rocket) story(j *job) string {
	var b strings.Builder
	if j.question != "" {
		fmt.Fprintf(&b, "**%s**\n\n", j.question)
	}
	if len(j.rows) == 0 {
		b.WriteString("No sessions of this user were found in the time range.")
		return b.String()
	}
	type mark struct {
		n    int
		link string
	}
	seen, order := map[int]*mark{}, []int{}
	var slow, errs int
	var slowest PageView
	var slowestLink string
	for _, row := range j.rows {
		s := k.s.company.detail(row)
		for _, e := range s.Errors {
			errs++
			if seen[e.group] == nil {
				seen[e.group] = &mark{link: k.moment(&s, e.At)}
				order = append(order, e.group)
			}
			seen[e.group].n++
		}
		for _, v := range s.PageViews {
			if v.Loading > 4*time.Second {
				slow++
			}
			if v.Loading > slowest.Loading {
				slowest, slowestLink = v, k.moment(&s, v.At)
			}
		}
	}
	fmt.Fprintf(&b, "Over %s the user ", count(len(j.rows), "session", "sessions"))
	if errs == 0 {
		b.WriteString("met no errors. ")
	} else {
		fmt.Fprintf(&b, "met %s:\n\n", count(errs, "error", "errors"))
		for _, g := range order {
			e, m := k.s.company.cat.errors[g], seen[g]
			fmt.Fprintf(&b, "- The user [%s](%s), %s: `%s`\n", e.statement, m.link, count(m.n, "time", "times"), e.title)
		}
		b.WriteString("\n")
	}
	if slowest.Loading > 2*time.Second {
		fmt.Fprintf(&b, "The slowest page was %s, where the user [waits %.1f seconds](%s)", slowest.Name, slowest.Loading.Seconds(), slowestLink)
		if slow > 1 {
			fmt.Fprintf(&b, "; %d page views took more than 4 seconds", slow)
		}
		b.WriteString(". ")
	}
	newest := k.s.company.detail(j.rows[0])
	fmt.Fprintf(&b, "Most recently, in %s on %s, the user [%s](%s).", first(newest.Browser, "an unknown browser"), first(newest.OS, "an unknown system"), k.phrase(newest.PageViews[len(newest.PageViews)-1]), k.moment(&newest, newest.PageViews[len(newest.PageViews)-1].At))
	return b.String()
}

// sessionStory tells one session in the order it happened, at most eight moments.
func (k *rocket) sessionStory(s *Session) string {
	var said []string
	errs := s.Errors
	last := -1
	for n, v := range s.PageViews {
		if v.page != last && len(said) < 8 {
			said = append(said, fmt.Sprintf("[%s](%s)", k.phrase(v), k.moment(s, v.At)))
		}
		last = v.page
		if v.Loading > 4*time.Second && len(said) < 8 {
			said = append(said, fmt.Sprintf("[waits %.1f seconds for it](%s)", v.Loading.Seconds(), k.moment(s, v.At.Add(v.Loading))))
		}
		for len(errs) > 0 && errs[0].View <= n {
			e := k.s.company.cat.errors[errs[0].group]
			said = append(said, fmt.Sprintf("[%s](%s) (`%s`)", e.statement, k.moment(s, errs[0].At), e.title))
			errs = errs[1:]
		}
	}
	if len(said) == 1 {
		return "The user " + said[0] + " and leaves."
	}
	return "The user " + strings.Join(said[:len(said)-1], ", ") + " and " + said[len(said)-1] + "."
}

func (k *rocket) phrase(v PageView) string { return k.s.company.cat.pages[v.page].phrase }

// moment is the link to a time in a recording; t is absolute.
func (k *rocket) moment(s *Session, at time.Time) string {
	return fmt.Sprintf("%s/%s/%s/s/%s?t=%d", k.s.LogRocketAppURL(), url.PathEscape(k.s.creds.LogRocketOrg), url.PathEscape(k.s.creds.LogRocketApp), s.Recording, at.UnixMilli())
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
