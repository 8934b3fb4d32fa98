package handlers

import (
	"fmt"
	"net/http"

	"sightline/internal/services"
	"sightline/web/templates"
)

// highlightChanges handles GET /highlights/{id}/changes: a result beside
// another one of the same customer, ?with=, which is the one before it if none
// is chosen.
func (a *app) highlightChanges(w http.ResponseWriter, r *http.Request) error {
	h, err := a.Highlights.Get(r.Context(), orgOf(r), services.HighlightID(idParam(r, "id")))
	if err != nil {
		return err
	}
	others, err := a.Highlights.Comparable(r.Context(), orgOf(r), h)
	if err != nil {
		return err
	}
	with := services.HighlightID(idOf(r.URL.Query().Get("with")))
	here := highlightPath(r, h.ID)
	v := templates.HighlightChangesView{
		Subject: h.Subject(), BackURL: here, Action: here + "/changes",
		With: templates.FieldView{ID: "with", Name: "with", Label: "Compare with", Required: true},
	}
	for _, o := range others { // newest first
		v.Others = append(v.Others, templates.OptionView{
			Value: fmt.Sprint(o.ID), Label: templates.FormatTime(o.CreatedAt) + ": " + orText(o.Question, "no question"),
		})
	}
	if with == 0 && len(others) > 0 {
		for _, o := range others { // the one before it, or where it is the first, the next
			if with = o.ID; o.ID < h.ID {
				break
			}
		}
	}
	if with == 0 {
		return a.page(w, r, http.StatusOK, "What changed", "highlights", templates.HighlightChanges(v))
	}
	c, err := a.Highlights.Compare(r.Context(), orgOf(r), a.Markdown, h.ID, with)
	if err != nil {
		return err
	}
	v.With.Value, v.Compared = fmt.Sprint(with), true
	v.Before, v.After = changedHighlight(r, c.Before), changedHighlight(r, c.After)
	v.Overall = textChange(c.Overall)
	for _, p := range c.Parts {
		v.Parts = append(v.Parts, a.changedPart(p))
	}
	return a.page(w, r, http.StatusOK, "What changed", "highlights", templates.HighlightChanges(v))
}

func changedHighlight(r *http.Request, h services.Highlight) templates.ChangedHighlightView {
	return templates.ChangedHighlightView{
		Href: highlightPath(r, h.ID), CreatedAt: h.CreatedAt, Question: orText(h.Question, "no question"), Range: rangeText(h.Start, h.End),
	}
}

func (a *app) changedPart(p services.PartChange) templates.PartChangeView {
	s := p.After
	v := templates.PartChangeView{State: templates.PartNew}
	switch {
	case p.After == nil:
		s, v.State = p.Before, templates.PartGone
	case p.Before != nil:
		v.State, v.Text = templates.PartBoth, textChange(p.Text)
	}
	if v.State != templates.PartBoth {
		v.HTML = a.markdownHTML(s.Markdown)
	}
	v.URL, v.StartedAt = s.URL, s.StartedAt
	v.Name = orText(s.RecordingID+" "+s.SessionID, "A session without an id")
	return v
}

func textChange(c services.TextComparison) templates.TextChangeView {
	v := templates.TextChangeView{Changed: c.Changed(), Cut: c.Cut}
	for _, p := range c.Parts {
		v.Parts = append(v.Parts, templates.TextPartView{Added: p.Change == services.TextAdded, Gone: p.Change == services.TextGone, Text: p.Text})
	}
	return v
}
