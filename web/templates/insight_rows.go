package templates

import "github.com/a-h/templ"

// The rows of Insight's tables are made by hand with little around their values:
// the style sheet aligns them, draws the bars and names the figures on phones,
// each by its place. HTML lets one leave the end tags out.

// ShareRow is one value of a distribution.
type ShareRow struct {
	Label, Href string
	// Count of Whole have it; Trend is how that changed and may be empty.
	Count, Whole int64
	Trend        string
	// Note stands under the label; it may be empty.
	Note string
}

func shareRows(rows []ShareRow) markup {
	var html []byte
	for i := range rows {
		r := &rows[i]
		html = append(html, `<tr>`+linkCell(r.Href, r.Label)...)
		if r.Note != "" {
			html = append(html, `<small>`+templ.EscapeString(r.Note)+`</small>`...)
		}
		html = append(html, `<td>`+FormatCount(r.Count)+`<td><svg aria-hidden=true><rect width=`+percentMin(r.Count, r.Whole)+`></rect></svg> `+
			templ.EscapeString(FormatPercent(share(r.Count, r.Whole)))+`<td>`+trendText(r.Trend)...)
	}
	return markup(html)
}

func pageLoadRows(rows []PageLoadRow) markup {
	var html []byte
	for i := range rows {
		r := &rows[i]
		html = append(html, `<tr>`+linkCell(r.Href, r.Path)+`<td>`+millisText(r.P50)+`<td>`+millisText(r.P75)+`<td>`+millisText(r.P95)+
			`<td>`+trendText(r.LoadTrend)+`<td>`+FormatCount(r.Views)+`<td>`+trendText(r.ViewTrend)...)
	}
	return markup(html)
}

// linkCell is a row's first cell.
func linkCell(href, label string) string {
	if href == "" {
		return `<td>` + templ.EscapeString(label)
	}
	return `<td>` + link(href, templ.EscapeString(label))
}

func millisText(ms int64) string {
	if ms < 0 {
		return "–"
	}
	return FormatMillis(ms)
}

func trendText(trend string) string {
	if trend == "" {
		return "–"
	}
	return trend
}
