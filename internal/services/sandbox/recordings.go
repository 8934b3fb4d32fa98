package sandbox

import (
	"encoding/hex"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Recording names one recorded session of LogRocket: both parts together are
// its identity.
type Recording struct {
	RecordingID string // "6-" and a UUID of version 7 with the recording's start
	SessionID   int
}

// String is the pair as LogRocket writes it: recordingID/sessionID.
func (r Recording) String() string { return r.RecordingID + "/" + strconv.Itoa(r.SessionID) }

// sameRecording is how soon after a session's start the next of the same person
// continues its recording.
const sameRecording = 3 * time.Hour

// recording gives a recorded row its pair. A person's next session soon after
// goes on in the same recording with the next number.
func (c *Company) recording(i int) Recording {
	n := 0
	for {
		w := &c.rows[i]
		if w.prev < 0 || !c.rows[w.prev].recorded || w.start-c.rows[w.prev].start > sameRecording.Milliseconds() {
			return Recording{RecordingID: c.recordingID(i), SessionID: n}
		}
		i, n = int(w.prev), n+1
	}
}

func (c *Company) recordingID(i int) string {
	w := &c.rows[i]
	a, b := mix(c.seed, uint64(w.start)), mix(c.seed^uint64(i)<<20, uint64(w.start)+1)
	return fmt.Sprintf("6-%08x-%04x-7%03x-%04x-%012x", w.start>>16, w.start&0xffff, a&0xfff, 0x8000|b>>48&0x3fff, b&0xffffffffffff)
}

// rowByRecording finds the row of a recording that has begun.
func (c *Company) rowByRecording(r Recording) (int, bool) {
	hexes := strings.ReplaceAll(strings.TrimPrefix(r.RecordingID, "6-"), "-", "")
	if len(hexes) != 32 || r.SessionID < 0 {
		return 0, false
	}
	head, err := hex.DecodeString(hexes[:12])
	if err != nil {
		return 0, false
	}
	var start int64
	for _, b := range head {
		start = start<<8 | int64(b)
	}
	for i := c.rowsBefore(start); i < len(c.rows) && c.rows[i].start == start; i++ {
		if !c.rows[i].recorded || c.recordingID(i) != r.RecordingID {
			continue
		}
		list := c.byPerson[c.rows[i].person]
		at := sort.Search(len(list), func(k int) bool { return int(list[k]) >= i }) + r.SessionID
		if at < len(list) && c.rows[list[at]].recorded && c.rows[list[at]].start <= c.nowMS() && c.recording(int(list[at])) == r {
			return int(list[at]), true
		}
	}
	return 0, false
}

// recordedOf are the rows of the people that were recorded in [from, to] (ms),
// newest first, at most limit.
func (c *Company) recordedOf(people []int32, from, to int64, limit int) []int {
	var out []int
	for _, p := range people {
		for _, i := range c.visible(c.byPerson[p]) {
			if w := &c.rows[i]; w.recorded && w.start+int64(w.length) >= from && w.start <= to {
				out = append(out, int(i))
			}
		}
	}
	sort.Sort(sort.Reverse(sort.IntSlice(out)))
	return out[:min(limit, len(out))]
}

// exportsAfter are the recordings complete by now whose time is after the given
// one (ms), oldest first, at most limit.
func (c *Company) exportsAfter(after int64, limit int) []export {
	now := c.nowMS()
	i := sort.Search(len(c.exports), func(k int) bool { return c.exports[k].done > after })
	j := sort.Search(len(c.exports), func(k int) bool { return c.exports[k].done > now })
	if i >= j {
		return nil
	}
	return c.exports[i:min(j, i+limit)]
}

// Recorded counts the recordings that can be exported by now.
func (c *Company) Recorded() int {
	now := c.nowMS()
	return sort.Search(len(c.exports), func(k int) bool { return c.exports[k].done > now })
}
