package services

import (
	"cmp"
	"context"
	"slices"
)

// comparableRows is how many results of a customer are offered to compare with.
const comparableRows = 50

// Comparable lists the other results of the same customer, newest first, at
// most 50. Of somebody whom nothing names there are none.
func (h *Highlights) Comparable(ctx context.Context, org OrgID, of Highlight) ([]Highlight, error) {
	if of.Customer == 0 || of.State != HighlightReady {
		return nil, nil
	}
	list, err := h.List(ctx, org, HighlightFilter{Customer: of.Customer, State: HighlightReady, Limit: comparableRows + 1})
	return slices.DeleteFunc(list, func(o Highlight) bool { return o.ID == of.ID }), err
}

// HighlightChanges is what of one result became what of a later one.
type HighlightChanges struct {
	Before, After Highlight // the older and the newer one
	// Overall is over all sessions. Parts are those about single recording
	// sessions, in the order of the newer result, those that are gone last.
	Overall TextComparison
	Parts   []PartChange
}

// PartChange is a part that both results have, or one of them.
type PartChange struct {
	// Before and After are nil where the result has no such part.
	Before, After *HighlightSession
	// Text compares the two; it is empty where one is missing.
	Text TextComparison
}

// TextComparison is a text beside its older form.
type TextComparison struct {
	Parts []TextPart
	Cut   bool // only the beginnings were compared
}

// Changed says whether the texts differ, as far as they were compared.
func (c TextComparison) Changed() bool {
	return slices.ContainsFunc(c.Parts, func(p TextPart) bool { return p.Change != TextSame })
}

// Compare compares two results of one customer: what each says over all, and of
// which recording sessions. md reads them.
func (h *Highlights) Compare(ctx context.Context, org OrgID, md *Markdown, one, other HighlightID) (HighlightChanges, error) {
	var c HighlightChanges
	var err error
	if c.Before, err = h.Get(ctx, org, one); err != nil {
		return c, err
	}
	if c.After, err = h.Get(ctx, org, other); err != nil {
		return c, err
	}
	if cmp.Or(c.Before.CreatedAt.Compare(c.After.CreatedAt), cmp.Compare(c.Before.ID, c.After.ID)) > 0 {
		c.Before, c.After = c.After, c.Before
	}
	if one == other || c.Before.Customer == 0 || c.Before.Customer != c.After.Customer || c.Before.State != HighlightReady || c.After.State != HighlightReady {
		return c, invalid("Two results of the same customer can be compared, and these are not.")
	}
	compare := func(before, after string) TextComparison {
		parts, cut := CompareTexts(md.Words(md.HTML(before)), md.Words(md.HTML(after)))
		return TextComparison{parts, cut}
	}
	c.Overall = compare(c.Before.Markdown, c.After.Markdown)
	old, err := h.Sessions(ctx, org, c.Before)
	if err != nil {
		return c, err
	}
	now, err := h.Sessions(ctx, org, c.After)
	if err != nil {
		return c, err
	}
	c.Parts = pairParts(old, now, compare)
	return c, nil
}

// pairParts puts the parts about one recording session beside each other, in
// order where a result has several about it.
func pairParts(old, now []HighlightSession, compare func(before, after string) TextComparison) []PartChange {
	left := map[string][]int{} // those of old that are not paired
	for i, s := range old {
		if key := partKey(s); key != "" {
			left[key] = append(left[key], i)
		}
	}
	paired := make([]bool, len(old))
	var out []PartChange
	for i, s := range now {
		p := PartChange{After: &now[i]}
		if key := partKey(s); len(left[key]) > 0 {
			before := left[key][0]
			left[key], paired[before] = left[key][1:], true
			p.Before, p.Text = &old[before], compare(old[before].Markdown, s.Markdown)
		}
		out = append(out, p)
	}
	for i := range old {
		if !paired[i] {
			out = append(out, PartChange{Before: &old[i]})
		}
	}
	return out
}

// partKey tells which recording session a part is about. One that names none,
// "", is like no other.
func partKey(s HighlightSession) string {
	if s.RecordingID == "" && s.SessionID == "" {
		return ""
	}
	return s.RecordingID + "/" + s.SessionID
}
