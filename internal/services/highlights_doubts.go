package services

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
)

// Doubts are what speaks against a result being what was asked for, in
// sentences for a person.
type Doubts struct {
	Overall []string
	// Parts has the doubts about each part, in their order.
	Parts [][]string
}

// checkedParts is how many parts of a result are looked up with other
// customers.
const checkedParts = 50

// Doubts looks at which recordings a result tells of: whether they lie in the
// range that was asked for, whether other customers' results tell of them too,
// and whether its links lead to others.
func (h *Highlights) Doubts(ctx context.Context, org OrgID, row Highlight, parts []HighlightSession, links []RecordingLink) (Doubts, error) {
	d := Doubts{Parts: make([][]string, len(parts))}
	outside := 0
	known := map[string]bool{}
	for i, p := range parts {
		known[p.RecordingID] = true
		if doubt := outOfRange(row, p.StartedAt); doubt != "" {
			outside++
			d.Parts[i] = append(d.Parts[i], doubt)
		}
		if i >= checkedParts || p.RecordingID == "" || row.Customer == 0 {
			continue
		}
		others, err := h.db.Org(org).RecordingCustomers(ctx, p.RecordingID, p.SessionID)
		if err != nil {
			return d, err
		}
		var names []string
		for _, c := range others {
			if c.ID != row.Customer {
				names = append(names, cmp.Or(c.Name, c.Email, fmt.Sprintf("customer %d", c.ID)))
			}
		}
		if len(names) > 0 {
			d.Parts[i] = append(d.Parts[i], "LogRocket told of this recording for another customer too: "+strings.Join(names, ", ")+". One browser may have served both, or one of the results is about somebody else.")
		}
	}
	if outside > 0 && outside == len(parts) {
		d.Overall = append(d.Overall, "None of the recordings that LogRocket tells of lies in the range that was asked for.")
	}
	if len(parts) == 0 && strings.TrimSpace(row.Markdown) != "" {
		d.Overall = append(d.Overall, "LogRocket named no recording session with this text, so what it rests on cannot be told.")
		return d, nil
	}
	strange := map[string]bool{}
	for _, l := range links {
		if !known[l.RecordingID] {
			strange[l.RecordingID] = true
		}
	}
	if n := len(strange); n > 0 && len(parts) > 0 {
		d.Overall = append(d.Overall, fmt.Sprintf("Its links lead to %s not among the sessions that it names.", pluralOther(n)))
	}
	return d, nil
}

func pluralOther(n int) string {
	if n == 1 {
		return "a recording that is"
	}
	return fmt.Sprintf("%d recordings that are", n)
}

// defaultRange is what LogRocket looks at where no range is given.
const defaultRange = 30 * 24 * time.Hour

// outOfRange says that a recording cannot belong to the range that was asked
// for, "" if it may: one that began before may go on into it, for a day.
func outOfRange(row Highlight, began time.Time) string {
	from, to := row.Start, row.End
	if from.IsZero() {
		from, to = row.CreatedAt.Add(-defaultRange), later(row.CreatedAt, row.FinishedAt)
	}
	switch {
	case began.IsZero():
		return ""
	case began.After(to.Add(time.Minute)):
		return "This recording began after the range that was asked for."
	case began.Before(from.Add(-24 * time.Hour)):
		return "This recording began more than a day before the range that was asked for."
	}
	return ""
}
