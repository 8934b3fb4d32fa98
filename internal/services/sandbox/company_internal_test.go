package sandbox

import (
	"testing"
	"time"
)

// Two recordings complete in one millisecond would share a cursor, and a page
// that ends between them would lose the second.
func TestNoTwoExportsShareACursor(t *testing.T) {
	o := Options{Sessions: 20_000, Days: 1}
	if err := o.fill(); err != nil {
		t.Fatal(err)
	}
	o.Now = func() time.Time { return time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC) }
	c := newCompany(o)
	for i := 1; i < len(c.exports); i++ {
		if c.exports[i].done <= c.exports[i-1].done {
			t.Fatalf("exports %d and %d of %d are done at %d", i-1, i, len(c.exports), c.exports[i].done)
		}
	}
}
