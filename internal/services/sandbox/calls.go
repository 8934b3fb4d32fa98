package sandbox

import (
	"slices"
	"sync"
	"time"
)

// Vendor names one of the two stand-ins.
type Vendor string

const (
	// Raygun is the server at RaygunURL.
	Raygun Vendor = "raygun"
	// LogRocket is the server at LogRocketURL.
	LogRocket Vendor = "logrocket"
)

// Operations as Call and Fault name them.
const (
	OpAuthenticate        = "authenticate"
	OpSessions            = "sessions"
	OpSession             = "session"
	OpUpdateUser          = "updateUser"
	OpListDataExports     = "listDataExports"
	OpCreateHighlights    = "createHighlights"
	OpGetHighlights       = "getHighlights"
	OpExecuteGraphQLQuery = "executeGraphQLQuery"
	OpListAuditLogs       = "listAuditLogs"
	OpExportFile          = "exportFile"
)

// Operations are all operations, Raygun's v1 and LogRocket's first.
func Operations() []string {
	out := []string{OpAuthenticate, OpSessions, OpSession, OpUpdateUser, OpListDataExports, OpExportFile, OpCreateHighlights, OpGetHighlights, OpExecuteGraphQLQuery, OpListAuditLogs}
	for _, r := range v3Routes() {
		out = append(out, r.operation)
	}
	return out
}

// Call is one request that a stand-in received. It holds no key, header or body.
type Call struct {
	Vendor    Vendor
	Operation string // empty for a request that is no operation, such as a wrong path
	Method    string
	Path      string // escaped as received, without the query
	Status    int    // 0 while it is being answered or when it was cut before an answer
	Time      time.Time
}

// keptCalls bounds what a stand-in that runs for weeks remembers.
const keptCalls = 10_000

type calls struct {
	mu     sync.Mutex
	list   []*Call
	counts map[string]int
}

// add notes a request before it is answered; the returned func notes the status.
func (c *calls) add(call Call) (answered func(status int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	if len(c.list) >= keptCalls {
		c.list = slices.Delete(c.list, 0, keptCalls/2)
	}
	c.list = append(c.list, &call)
	c.counts[call.Operation]++
	return func(status int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		call.Status = status
	}
}

// Calls are the requests received, oldest first: all of them up to ten thousand,
// then the latest. Those to the control and to the made-up pages are not among them.
func (s *Sandbox) Calls() []Call {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	out := make([]Call, len(s.calls.list))
	for i, c := range s.calls.list {
		out[i] = *c
	}
	return out
}

// CountCalls is how many requests for the operation were ever received,
// refused ones too.
func (s *Sandbox) CountCalls(operation string) int {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return s.calls.counts[operation]
}
