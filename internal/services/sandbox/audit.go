package sandbox

import (
	"net/http"
	"sort"
	"strconv"
	"time"
)

const (
	// auditDays is how far back the audit log goes.
	auditDays = 30
	// watchedOf is of how many recordings one is watched by somebody at the
	// company; those of the customers that are easy to remember all are, lately.
	watchedOf, demoWatchedDays = 9, 7
)

// auditEntry is one thing that somebody who works at the made-up company did in
// LogRocket.
type auditEntry struct {
	at          int64 // ms; no two entries share one, so that it can serve as cursor
	user        string
	action      string
	description string
}

// staff work at the made-up company, the most curious ones first. One is known
// to LogRocket by an id of its own.
func staff() []string {
	return []string{"noor@acme.example", "tomás@acme.example", "priya@acme.example", "li.wei@acme.example", "5f0c2b7e9d", "anneke@acme.example"}
}

// auditLog is everything that the staff did and will do in the days that the
// company lives, oldest first. It is made when it is first asked for.
func (c *Company) auditLog() []auditEntry {
	c.auditOnce.Do(func() {
		people := staff()
		first := c.today - auditDays*dayMS
		add := func(at int64, user, action, description string) {
			c.audit = append(c.audit, auditEntry{at, user, action, description})
		}
		for _, e := range c.exports {
			if e.done < first {
				continue
			}
			n := mix(c.seed^0xa0d17, uint64(e.row))
			known := int(c.rows[e.row].person) < len(demoPeople()) && e.done > c.today-demoWatchedDays*dayMS
			if n%watchedOf != 0 && !known {
				continue
			}
			for i := range 1 + n>>8%3 { // who watches one often sends the next one to it
				at := e.done + int64(n>>16%uint64(6*time.Hour/time.Millisecond)) + int64(i)*int64(23*time.Minute/time.Millisecond)
				add(at, people[min(n>>24%7, n>>32%7+i, uint64(len(people)-1))], "Viewed session", c.recording(int(e.row)).String())
			}
		}
		for day := first; day < c.today+aheadDays*dayMS; day += dayMS {
			n := mix(c.seed^0x5e771e, uint64(day))
			morning := day + 8*int64(time.Hour/time.Millisecond) + int64(n>>8%uint64(time.Hour/time.Millisecond))
			switch who := people[n%uint64(len(people))]; n >> 40 % 4 {
			case 0:
				add(morning, who, "Created segment", "Checkout, failed payments")
			case 1:
				add(morning, who, "Updated privacy settings", "Sanitise inputs: on")
			case 2:
				add(morning, who, "Invited user", "trainee@acme.example")
			default:
				add(morning, who, "Logged in", "")
			}
		}
		sort.SliceStable(c.audit, func(i, j int) bool { return c.audit[i].at < c.audit[j].at })
		for i := 1; i < len(c.audit); i++ {
			c.audit[i].at = max(c.audit[i].at, c.audit[i-1].at+1)
		}
	})
	return c.audit
}

// auditAfter are the entries of by now from a time (ms) on, oldest first, at
// most limit; more says that there are others behind them.
func (c *Company) auditAfter(from int64, limit int) (page []auditEntry, more bool) {
	all, now := c.auditLog(), c.nowMS()
	i := sort.Search(len(all), func(k int) bool { return all[k].at >= from })
	j := sort.Search(len(all), func(k int) bool { return all[k].at > now })
	if i >= j {
		return nil, false
	}
	return all[i:min(j, i+limit)], i+limit < j
}

// Audited counts the entries that the audit log has by now.
func (c *Company) Audited() int {
	page, _ := c.auditAfter(0, len(c.auditLog()))
	return len(page)
}

// listAuditLogs gives entries of the audit log, oldest first, as LogRocket's
// page about it shows them. The cursor is a time (ms) with which the next page
// begins; a page without entries repeats the one it was asked with.
func (k *rocket) listAuditLogs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, from := 10, int64(0)
	var err error
	if v := q.Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > 100 {
			badRequest(w, "limit must be an integer between 1 and 100")
			return
		}
	}
	if v := q.Get("cursor"); v != "" {
		if from, err = strconv.ParseInt(v, 10, 64); err != nil {
			badRequest(w, "Invalid cursor")
			return
		}
	}
	page, more := k.s.company.auditAfter(from, limit)
	logs := make([]map[string]string, 0, len(page))
	for _, e := range page {
		at := time.UnixMilli(e.at).UTC()
		logs = append(logs, map[string]string{
			"time": at.Format("01/02/06 03:04PM"), "created_date": at.Format("2006-01-02T15:04:05.000000Z"),
			"user": e.user, "action": e.action, "description": e.description,
		})
		from = e.at + 1
	}
	writeJSON(w, http.StatusOK, map[string]any{"has_next": more, "cursor": from, "logs": logs})
}
