package templates

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestTrendSaysHowANumberChanged(t *testing.T) {
	for _, tt := range []struct {
		now, before int64
		want        string
	}{
		{0, 0, ""}, {5, 0, "new"}, {0, 5, "−100 %"}, {10, 10, "±0 %"}, {11, 10, "+10 %"}, {9, 10, "−10 %"},
		{1001, 1000, "±0 %"}, {999, 1000, "±0 %"}, {200, 100, "+100 %"}, {5000, 100, "×50"}, {-1, -1, ""},
	} {
		if got := FormatTrend(tt.now, tt.before); got != tt.want {
			t.Errorf("FormatTrend(%d, %d) = %q, want %q", tt.now, tt.before, got, tt.want)
		}
	}
}

func TestChartShowsTheSameNumbersTwice(t *testing.T) {
	c := ChartView{
		Caption: "Sessions a day by rating", Unit: "sessions", Step: "Day", Compare: "2 days before",
		Parts: []ChartPart{{Label: "Poor", Tone: "bad"}, {Label: "Good", Tone: "good"}},
		Bars: []ChartBar{
			{Label: "Mon 1 Jun 2026", Short: "1 Jun", Href: "/o/acme/sessions?from=2026-06-01", Values: []int64{30, 10}, Before: 90},
			{Label: "Tue 2 Jun 2026", Short: "2 Jun", Values: []int64{0, 0}},
		},
	}
	var b strings.Builder
	if err := Chart(c).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{
		`viewBox="0 0 20 100"`,
		`d="M5 100v-30"`, `d="M5 70v-10"`, // of 100, the next round number over 90
		`d="M0 10h10M10 100h10"`,
		`<td><a href="/o/acme/sessions?from=2026-06-01">Mon 1 Jun 2026</a></td><td>40<td>30<td>10<td>90</tr>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the chart lacks %s:\n%s", want, got)
		}
	}
	if strings.Index(got, "<td>Tue 2 Jun 2026") > strings.Index(got, "<td><a href") {
		t.Error("the table does not begin with the newest day")
	}
	for _, few := range []ChartView{{}, {Parts: c.Parts, Bars: c.Bars[:1]}} {
		if err := Chart(few).Render(t.Context(), &b); err != nil {
			t.Error(err)
		}
	}
}

// A label under the axis stands below the bar that it names, also where the
// bars are not a multiple of the labels.
func TestTheAxisNamesTheBarsAboveIt(t *testing.T) {
	for n, want := range map[int][]chartTick{
		0:  nil,
		1:  {{"1", "50%", "middle"}},
		2:  {{"1", "25%", "middle"}, {"2", "75%", "middle"}},
		7:  {{"1", "7.1%", "middle"}, {"3", "35.7%", "middle"}, {"5", "64.3%", "middle"}, {"7", "92.9%", "middle"}},
		31: {{"1", "0%", "start"}, {"9", "27.4%", "middle"}, {"17", "53.2%", "middle"}, {"25", "79%", "middle"}},
		61: {{"1", "0%", "start"}, {"16", "25.4%", "middle"}, {"31", "50%", "middle"}, {"46", "74.6%", "middle"}, {"61", "100%", "end"}},
	} {
		var c ChartView
		for i := range n {
			c.Bars = append(c.Bars, ChartBar{Short: strconv.Itoa(i + 1)})
		}
		if got := c.ticks(); !slices.Equal(got, want) {
			t.Errorf("%d bars: %v, want %v", n, got, want)
		}
	}
}
