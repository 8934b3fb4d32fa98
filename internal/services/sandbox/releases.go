package sandbox

// release is a version of the company's site and when it went out.
type release struct {
	version string
	daysAgo int // before today
}

// Days before today of the releases that changed how the site behaves.
const (
	fasterProductDay = 21 // product pages got faster
	jumpyBoardDay    = 13 // the dashboard began to move while it loads,
	badReleaseDay    = 6  // and stopped with the next one, which made the checkout slow and failing
	hotfixDay        = 3  // after which the checkout was quick again
)

// releases are oldest first; errors of the catalog come and go with them.
func releases() []release {
	return []release{
		{"4.8.0", 4000}, {"4.9.0", 48}, {"4.10.0", 34}, {"4.10.1", 30}, {"4.11.0", fasterProductDay},
		{"4.12.0", jumpyBoardDay}, {"5.0.0", badReleaseDay}, {"5.0.1", hotfixDay},
	}
}

// daysAgo counts whole UTC days back from today: 0 is today.
func (c *Company) daysAgo(ms int64) int { return int((c.today + dayMS - 1 - ms) / dayMS) }

// version is what was out that many days ago.
func version(daysAgo int) string {
	out := ""
	for _, r := range releases() {
		if r.daysAgo >= daysAgo {
			out = r.version
		}
	}
	return out
}

// loadFactor is how much slower than its median a page loaded that many days
// ago: reports get slower as data piles up, product pages were made faster, and
// one release made the whole checkout slow until it was mended.
func loadFactor(page, daysAgo int) float64 {
	switch page {
	case pgReport:
		return 1.35 - 0.55*float64(max(0, min(60, daysAgo)))/60
	case pgProduct:
		if daysAgo > fasterProductDay {
			return 1.3
		}
		return 0.85
	case pgCart, pgAddress, pgPayment:
		if daysAgo <= badReleaseDay && daysAgo > hotfixDay {
			return 2.3
		}
	}
	return 1
}
