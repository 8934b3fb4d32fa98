package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	// keptJobs bounds the highlight jobs remembered; the oldest are forgotten, as
	// the vendor forgets them too.
	keptJobs = 5000
	// highlightSessions and highlightDays are how much a job looks at.
	highlightSessions = 10
	highlightDays     = 30
)

// job is one highlights request. It never changes after it is made.
type job struct {
	id       string
	ready    time.Time
	asked    time.Time
	rows     []int // newest first
	who      string
	question string
	fails    bool
	webhook  string
}

type highlightsRequest struct {
	UserEmail string `json:"userEmail"`
	UserID    string `json:"userID"`
	Question  string `json:"question"`
	TimeRange *struct {
		StartMs *int64 `json:"startMs"`
		EndMs   *int64 `json:"endMs"`
	} `json:"timeRange"`
	WebhookURL string `json:"webhookURL"`
}

func (q *highlightsRequest) problem() string {
	if q.UserEmail == "" && q.UserID == "" {
		return "One of userEmail or userID is required"
	}
	if t := q.TimeRange; t != nil {
		if t.StartMs == nil || t.EndMs == nil {
			return "timeRange needs both startMs and endMs"
		}
		if *t.StartMs >= *t.EndMs {
			return "timeRange.startMs must be before timeRange.endMs"
		}
	}
	if q.WebhookURL != "" {
		u, err := url.Parse(q.WebhookURL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return "webhookURL must be a valid URL"
		}
	}
	return ""
}

// failingQuestion makes a job that ends as FAILED. A plain "fail" would catch
// what people really ask ("why did the payment fail?").
const failingQuestion = "please fail"

// createHighlights starts a new job each time it is asked, the same request
// twice too.
func (k *rocket) createHighlights(w http.ResponseWriter, r *http.Request) {
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	var q highlightsRequest
	if len(bytes.TrimSpace(body)) == 0 {
		badRequest(w, "Missing request body")
		return
	}
	if json.Unmarshal(body, &q) != nil {
		badRequest(w, "Malformed request")
		return
	}
	if msg := q.problem(); msg != "" {
		badRequest(w, msg)
		return
	}
	j := k.newJob(q)
	if j.webhook != "" {
		k.s.wg.Go(func() { k.deliver(j) })
	}
	if k.s.live() {
		writeJSON(w, http.StatusOK, map[string]string{"id": j.id})
		return
	}
	writeJSON(w, http.StatusOK, k.envelope(j))
}

func (k *rocket) newJob(q highlightsRequest) *job {
	now := k.s.opts.Now()
	from, to := now.AddDate(0, 0, -highlightDays).UnixMilli(), now.UnixMilli()
	if q.TimeRange != nil {
		from, to = *q.TimeRange.StartMs, *q.TimeRange.EndMs
	}
	j := &job{asked: now, ready: now.Add(max(0, k.s.opts.HighlightDelay)), question: q.Question, webhook: q.WebhookURL, fails: strings.Contains(strings.ToLower(q.Question), failingQuestion)}
	c := k.s.company
	people := c.byEmail[strings.ToLower(q.UserEmail)]
	j.who = q.UserEmail
	if q.UserID != "" {
		people, j.who = nil, q.UserID
		if i, ok := c.byUserID[q.UserID]; ok {
			people = []int32{i}
		}
	}
	j.rows = c.recordedOf(people, from, to, highlightSessions)

	k.mu.Lock()
	defer k.mu.Unlock()
	k.made++
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %d", k.s.opts.Seed, now.UnixNano(), k.made))
	j.id = hex.EncodeToString(sum[:])
	k.jobs[j.id] = j
	k.order = append(k.order, j.id)
	if len(k.order) > keptJobs {
		delete(k.jobs, k.order[0])
		k.order = k.order[1:]
	}
	return j
}

// HighlightJobs is how many highlight jobs were ever started: what LogRocket
// would bill.
func (s *Sandbox) HighlightJobs() int {
	s.rocket.mu.Lock()
	defer s.rocket.mu.Unlock()
	return s.rocket.made
}

func (k *rocket) getHighlights(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	j, ok := k.jobs[r.URL.Query().Get("id")]
	k.mu.Unlock()
	if !ok {
		writeJSON(w, http.StatusNotFound, map[string]string{"error": "Highlights request not found."})
		return
	}
	writeJSON(w, http.StatusOK, k.envelope(j))
}

// envelope is a job's state as of now, as GET answers it and webhooks carry it.
func (k *rocket) envelope(j *job) map[string]any {
	out := map[string]any{"requestID": j.id, "appID": k.s.creds.LogRocketOrg + "/" + k.s.creds.LogRocketApp, "status": "PENDING", "result": nil}
	switch {
	case k.s.opts.Now().Before(j.ready):
	case j.fails:
		out["status"] = "FAILED"
	default:
		out["status"] = "COMPLETE"
		if k.s.live() {
			out["status"] = "READY"
		}
		out["result"] = k.result(j)
	}
	return out
}

func (k *rocket) result(j *job) map[string]any {
	sessions := make([]map[string]any, 0, len(j.rows))
	for _, row := range j.rows {
		s := k.s.company.detail(row)
		one := map[string]any{"highlights": k.sessionStory(&s)}
		if k.s.live() {
			one["recordingID"], one["sessionID"] = s.Recording.RecordingID, s.Recording.SessionID
		} else {
			one["sessionId"] = s.Recording.String()
		}
		sessions = append(sessions, one)
	}
	return map[string]any{"highlights": k.story(j), "sessions": sessions}
}

// deliver posts the envelope to the job's webhook when the job is done by the
// sandbox's clock, up to three times until a 2xx comes back.
func (k *rocket) deliver(j *job) {
	for left := time.Duration(1); left > 0; {
		if left = j.ready.Sub(k.s.opts.Now()); left > 0 && !k.sleep(min(left, 50*time.Millisecond)) {
			return
		}
	}
	for range 3 {
		if k.post(j) == nil || !k.sleep(500*time.Millisecond) {
			return
		}
	}
}

// sleep waits, or gives false because the sandbox is closed.
func (k *rocket) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-k.s.ctx.Done():
		return false
	}
}

func (k *rocket) post(j *job) error {
	body, err := json.Marshal(k.envelope(j))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(k.s.ctx, http.MethodPost, j.webhook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := k.s.hook.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("webhook answered %d", resp.StatusCode)
	}
	return nil
}

// webhookClient reaches this machine and private networks only: what people
// type into a try-out must not make it send anything out into the world.
func webhookClient() *http.Client {
	d := net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() && !ip.IsPrivate() {
			return errors.New("the sandbox delivers webhooks to this machine and private networks only")
		}
		return nil
	}}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return d.DialContext(ctx, network, addr)
		},
		MaxIdleConns:    4,
		IdleConnTimeout: 30 * time.Second,
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
