package templates

import (
	"slices"
	"strconv"
)

// waterfallTick is one mark on the axis.
type waterfallTick struct{ x, anchor, label string }

// waterfallSpan is the length of the common axis in milliseconds, at least 1.
func waterfallSpan(rows []WaterfallRow) int64 {
	span := int64(1)
	for _, r := range rows {
		span = max(span, r.OffsetMS+max(r.ViewMS, r.LoadMS, 0))
	}
	return span
}

// waterfallTicks marks the axis at its quarters.
func waterfallTicks(rows []WaterfallRow) []waterfallTick {
	span := waterfallSpan(rows)
	return []waterfallTick{
		{"0", "start", "0"},
		{"50%", "middle", FormatMillis(span / 2)},
		{"100%", "end", FormatMillis(span)},
	}
}

// percent is part of whole for an SVG length, within 0 and 100.
func percent(part, whole int64) string {
	if whole <= 0 {
		return "0%"
	}
	p := float64(min(max(part, 0), whole)) * 100 / float64(whole)
	return strconv.FormatFloat(p, 'f', 2, 64) + "%"
}

// percentMin is percent, but never too short to be seen unless part is nothing.
func percentMin(part, whole int64) string {
	if part <= 0 || whole <= 0 {
		return "0%"
	}
	return percent(max(part, whole/250+1), whole)
}

// hasErrors says whether any row is an error.
func hasErrors(rows []WaterfallRow) bool {
	return slices.ContainsFunc(rows, func(r WaterfallRow) bool { return r.Error })
}

// moment says that a page view is known by its beginning alone.
func (r WaterfallRow) moment() bool {
	return !r.Error && r.OffsetMS >= 0 && r.LoadMS < 0 && r.ViewMS < 0
}

// hasMoments says whether any page view is known by its beginning alone.
func hasMoments(rows []WaterfallRow) bool { return slices.ContainsFunc(rows, WaterfallRow.moment) }

// hasSpans says whether it is known of any page view how long it took, or there
// is none.
func hasSpans(rows []WaterfallRow) bool {
	return !hasMoments(rows) || slices.ContainsFunc(rows, func(r WaterfallRow) bool { return !r.Error && max(r.LoadMS, r.ViewMS) >= 0 })
}
