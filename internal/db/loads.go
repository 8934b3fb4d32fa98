package db

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"time"
)

// Day is a day in UTC, counted from 1970-01-01.
type Day int64

// DayOf is the day of a moment.
func DayOf(t time.Time) Day { return dayOfMS(t.UnixMilli()) }

func dayOfMS(ms int64) Day {
	const day = 24 * 60 * 60 * 1000
	if ms < 0 {
		ms -= day - 1
	}
	return Day(ms / day)
}

// Time is the moment at which the day begins.
func (d Day) Time() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }

// loadBuckets is how many steps a histogram of load times has; the last one
// holds all from 58 minutes on.
const loadBuckets = 160

// loadBounds are the lower bounds of the steps in milliseconds, each 10 % above
// the one before. The first also holds what is below it.
type loadBounds [loadBuckets]float64

func newLoadBounds() *loadBounds {
	var b loadBounds
	for i, at := 0, 1.0; i < loadBuckets; i, at = i+1, at*1.1 {
		b[i] = at
	}
	return &b
}

func (b *loadBounds) bucket(ms int64) int {
	i, exact := slices.BinarySearch(b[:], float64(ms))
	if exact {
		return i
	}
	return max(i-1, 0)
}

// Loads is a histogram of load times in steps of 10 %. The zero Loads is empty.
type Loads struct {
	counts []int64 // by bucket, as many as are needed
}

// add changes a bucket's count, which never falls below nothing.
func (l *Loads) add(bucket int, n int64) {
	for len(l.counts) <= bucket {
		l.counts = append(l.counts, 0)
	}
	l.counts[bucket] = max(l.counts[bucket]+n, 0)
}

// Add adds another histogram's counts.
func (l *Loads) Add(other Loads) {
	for i, n := range other.counts {
		if n != 0 {
			l.add(i, n)
		}
	}
}

// Count is how many load times there are.
func (l Loads) Count() int64 {
	var sum int64
	for _, n := range l.counts {
		sum += n
	}
	return sum
}

// Quantile is the load time in milliseconds below which a share q (0 to 1) of
// all lie, at most 10 % off and mostly much less: those in one step are taken
// as evenly spread. It is -1 if there are none.
func (l Loads) Quantile(q float64) int64 {
	total := l.Count()
	if total == 0 {
		return -1
	}
	rank := max(int64(math.Ceil(q*float64(total))), 1)
	bounds := newLoadBounds()
	for i, n := range l.counts {
		if rank <= n {
			return int64(math.Round(bounds[i] * math.Pow(1.1, (float64(rank)-0.5)/float64(n))))
		}
		rank -= n
	}
	return -1
}

// pack writes a histogram down: for each step that is not empty, how many empty
// ones are before it, and its count.
func (l Loads) pack() []byte {
	out := []byte{}
	gap := uint64(0)
	for _, n := range l.counts {
		if n <= 0 {
			gap++
			continue
		}
		out = binary.AppendUvarint(binary.AppendUvarint(out, gap), uint64(n))
		gap = 0
	}
	return out
}

// addPacked adds a packed histogram. What cannot be read ends it.
func (l *Loads) addPacked(b []byte) {
	for at := 0; len(b) > 0; at++ {
		gap, n := binary.Uvarint(b)
		if n <= 0 || gap >= loadBuckets {
			return
		}
		b = b[n:]
		count, n := binary.Uvarint(b)
		if at += int(gap); n <= 0 || at >= loadBuckets || count > math.MaxInt32 {
			return
		}
		b = b[n:]
		l.add(at, int64(count))
	}
}

// SlowClass is the class of a load time by which an index finds sessions with
// slow pages: the number of its bits. All of a class are below twice its least,
// 1<<(class-1).
func SlowClass(ms int64) int { return bits.Len64(uint64(max(ms, 0))) }

// ScaleLoads is a packed histogram with every count times n: what makes large
// databases to measure needs it.
func ScaleLoads(packed []byte, n int64) []byte {
	var l Loads
	l.addPacked(packed)
	for i := range l.counts {
		l.counts[i] *= n
	}
	return l.pack()
}

// LoadScale adds load times to histograms.
type LoadScale struct{ bounds *loadBounds }

// NewLoadScale makes a scale.
func NewLoadScale() LoadScale { return LoadScale{newLoadBounds()} }

// Add adds one load time in milliseconds.
func (s LoadScale) Add(l *Loads, ms int64) { l.add(s.bounds.bucket(ms), 1) }
