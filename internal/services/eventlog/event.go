package eventlog

import "time"

// Lane is what kind of thing an event is, as timelines show it.
type Lane uint8

// The lanes, in the order in which they are shown.
const (
	Other      Lane = iota // unknown types, too
	Navigation             // a page was opened
	Input                  // clicks and typing
	Network                // requests and what was answered
	Console
	Error
	Custom // what the site itself reports
	Lanes  // how many there are
)

var laneNames = [...]string{"other", "navigation", "input", "network", "console", "error", "custom"}

// String is the lane's name, as addresses carry it.
func (l Lane) String() string {
	if int(l) < len(laneNames) {
		return laneNames[l]
	}
	return ""
}

// ParseLane is the reverse of String.
func ParseLane(s string) (Lane, bool) {
	for i, n := range laneNames {
		if n == s {
			return Lane(i), true
		}
	}
	return Other, false
}

// Part says which part of a network call an event is.
type Part uint8

// The parts of a network call.
const (
	NoCall   Part = iota // not a call at all
	Request              // it was asked; the answer has the same ReqID
	Response             // it was answered
	Whole                // both in one event
)

// Event is what a line says. Fields that it does not tell are empty, and so are
// those of other lanes.
type Event struct {
	// At is when it happened, zero if the line tells no time; Offset is set instead
	// where it tells the time since the beginning of the session.
	At     time.Time
	Offset time.Duration
	Type   string // as it is written
	Lane   Lane
	// Text is what lists show: the title of a page, what was clicked on, the words
	// of the console, type and message of an error, the name of a custom event. At
	// most 1000 characters.
	Text     string
	Selector string
	URL      string

	Part   Part
	Method string
	ReqID  string
	// Status is 0 if it is not told, as with a call that failed before an answer.
	Status int
	// Took is how long a call took, where one event tells it, else -1; Size how
	// many bytes were answered, else -1.
	Took time.Duration
	Size int64

	Level string // debug, log, info, warn or error, where they are known

	ErrorType, Message string
	Stack              string // at most 20,000 characters

	// Who is what the event tells of the session itself; nil for most.
	Who *Who
}

// Who is what is told of a session: who it is, and with what.
type Who struct {
	RecordingID, SessionID string
	UserID, Email, Name    string
	Browser, OS, Device    string // with their versions
	Release                string
	Country, City          string
}

// Failed says whether the event is something that went wrong: an error, an
// error on the console, an answer of 400 or above.
func (e Event) Failed() bool {
	return e.Lane == Error || e.Lane == Console && e.Level == "error" || e.Part >= Response && e.Status >= 400
}
