package templates

import (
	"context"
	"io"
	"strconv"
	"time"

	"github.com/a-h/templ"
)

// callRows are the rows of the ledger, made by hand with little around their
// values. A call that was simply answered says so in two lines; all else opens.
type callRows struct {
	rows []CallRow
	now  time.Time
}

// Render writes the rows.
func (t callRows) Render(ctx context.Context, w io.Writer) error {
	for i := range t.rows {
		r := &t.rows[i]
		who := templ.EscapeString(r.Actor)
		if r.Call.Background {
			who += `<small>` + r.Call.backgroundHint() + `</small>`
		}
		what := templ.EscapeString(r.Words) + `<code>` + templ.EscapeString(r.Call.Operation) + `</code>`
		if !r.Call.Counts {
			what += `<small>not counted</small>`
		}
		if err := write(w, `<tr><td>`+string(second(r.At, t.now))+`<td>`+who+`<td>`+what+`<td>`); err != nil {
			return err
		}
		if err := r.Call.result().Render(ctx, w); err != nil {
			return err
		}
		about := `<td>`
		if r.Customer.Label != "" {
			about += link(r.Customer.Href, templ.EscapeString(r.Customer.Label))
		}
		if err := write(w, about+`<small>`+link(r.Connection.Href, templ.EscapeString(r.Connection.Label))+`</small>`); err != nil {
			return err
		}
	}
	return nil
}

// result says how a call ended.
func (c CallView) result() templ.Component {
	if c.plain() {
		return markup(`Answered<small>HTTP ` + strconv.Itoa(c.Status) + ` · ` + FormatBytes(c.Bytes) + ` · ` + FormatDuration(c.Duration) + `</small>`)
	}
	return callResult(c)
}

// second shows a moment in UTC to the second, with the year if it is not the
// present one; the tooltip adds the reader's own time.
func second(t, now time.Time) markup {
	layout := "2 Jan, 15:04:05"
	if t.UTC().Year() != now.UTC().Year() {
		layout = "2 Jan 2006, 15:04:05"
	}
	return moment(t, machineTime, t.UTC().Format(layout))
}
