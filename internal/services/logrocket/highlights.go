package logrocket

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"sightline/internal/services/upstream"
)

// How the path of the highlights may end: the contract has it with the slash,
// LogRocket's own pages show the GET without.
const (
	slash = "slash"
	bare  = "bare"
)

// CreateHighlights starts a highlights job, which is billed. The POST is never
// repeated once it may have started a job: when the error says Sent, it may
// have. Only an answer that proves that no job was started, by saying that
// there is no such address, is followed by one POST to the other form of it.
func (c *Client) CreateHighlights(ctx context.Context, r HighlightsRequest) (HighlightsAnswer, error) {
	const operation = "createHighlights"
	body, err := r.body()
	if err != nil {
		return HighlightsAnswer{}, c.up.Refuse(operation, err.Error())
	}
	return c.highlights(ctx, highlightsCall{
		request:    upstream.Request{Operation: operation, Method: http.MethodPost, Body: body, Retry: upstream.Never},
		remembered: func(d *Dialect) *string { return &d.HighlightsPost },
		otherForm:  neverStarted,
	})
}

// body checks the request and writes it.
func (r HighlightsRequest) body() ([]byte, error) {
	request := map[string]any{}
	switch {
	case r.UserEmail == "" && r.UserID == "":
		return nil, errors.New("highlights need the email or the id of a user")
	case r.UserEmail != "" && r.UserID != "":
		return nil, errors.New("highlights are asked for by email or by id, not by both")
	case r.UserEmail != "":
		request["userEmail"] = r.UserEmail
	default:
		request["userID"] = r.UserID
	}
	if r.Question != "" {
		request["question"] = r.Question
	}
	if r.WebhookURL != "" {
		request["webhookURL"] = r.WebhookURL
	}
	if !r.Start.IsZero() || !r.End.IsZero() {
		if r.Start.IsZero() || r.End.IsZero() || !r.Start.Before(r.End) {
			return nil, errors.New("a time range needs a start and, after it, an end")
		}
		request["timeRange"] = map[string]int64{"startMs": r.Start.UnixMilli(), "endMs": r.End.UnixMilli()}
	}
	return encode(request)
}

// GetHighlights reads the state of a highlights job. An unknown id is an error
// of kind NotFound. The answer's RequestID may be another than asked for: then
// it is about something else.
func (c *Client) GetHighlights(ctx context.Context, requestID string) (HighlightsAnswer, error) {
	const operation = "getHighlights"
	if requestID == "" {
		return HighlightsAnswer{}, c.up.Refuse(operation, "no highlights request named")
	}
	return c.highlights(ctx, highlightsCall{
		request: upstream.Request{
			Operation: operation, Method: http.MethodGet, Query: url.Values{"id": {requestID}}, Retry: upstream.IfSafe,
		},
		requestID:  requestID,
		remembered: func(d *Dialect) *string { return &d.HighlightsGet },
		otherForm:  noSuchAddress,
	})
}

// highlightsCall is a call to the one address that LogRocket writes in two ways.
type highlightsCall struct {
	request    upstream.Request
	requestID  string
	remembered func(*Dialect) *string
	// otherForm says whether a failure is a reason to try the other form.
	otherForm func(failed *upstream.Error, otherPath string) bool
}

// highlights makes the call in the form that worked last, at first the
// contract's, and where that fails for the address's sake once in the other.
// What works is remembered. Where both fail, the answer that explains more is
// the error: a server says "unknown request", a router only "not found".
func (c *Client) highlights(ctx context.Context, call highlightsCall) (HighlightsAnswer, error) {
	first, second := slash, bare
	if c.known(call.remembered) == bare {
		first, second = bare, slash
	}
	answer, attempts, err := c.highlightsOnce(ctx, call, first, 0)
	var failed *upstream.Error
	if err == nil {
		c.remember(call.remembered, first)
	} else if errors.As(err, &failed) && call.otherForm(failed, c.highlightsPath(second)) {
		other, _, otherErr := c.highlightsOnce(ctx, call, second, attempts)
		var otherFailed *upstream.Error
		switch {
		case otherErr == nil:
			c.remember(call.remembered, second)
			return other, nil
		case !errors.As(otherErr, &otherFailed) || !noSuchAddress(otherFailed, ""),
			failed.Status != http.StatusNotFound, !failed.Coded && otherFailed.Coded:
			return HighlightsAnswer{}, otherErr
		}
	}
	return answer, err
}

func (c *Client) highlightsPath(form string) string {
	path := c.path("highlights")
	if form == slash {
		path += "/"
	}
	return path
}

func (c *Client) highlightsOnce(ctx context.Context, call highlightsCall, form string, before int) (answer HighlightsAnswer, attempts int, err error) {
	request := call.request
	request.Path, request.Header, request.Before = c.highlightsPath(form), c.auth(), before
	request.Read = func(body []byte) (err error) {
		answer, err = readHighlights(body, call.requestID)
		return err
	}
	if _, err = c.up.Do(ctx, request); err != nil {
		return HighlightsAnswer{}, before + 1, err
	}
	return answer, before + 1, nil
}

// noSuchAddress says that a GET found nothing at this form of the address.
func noSuchAddress(failed *upstream.Error, _ string) bool {
	return failed.Status == http.StatusNotFound || failed.Status == http.StatusMethodNotAllowed
}

// neverStarted says that a POST certainly started nothing: the address does not
// exist or takes no POST, or leads to its own other form. A 404 in the vendor's
// own words is about the organization or the app, and final.
func neverStarted(failed *upstream.Error, otherPath string) bool {
	switch failed.Status {
	case http.StatusNotFound:
		return !failed.Coded
	case http.StatusMethodNotAllowed:
		return true
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		// Not 302 and 303: they may stand for "done, now look there".
		var redirect *upstream.Redirect
		return errors.As(failed.Err, &redirect) && strings.HasSuffix(redirect.Path, otherPath)
	}
	return false
}

func (c *Client) known(remembered func(*Dialect) *string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *remembered(&c.dialect)
}

func (c *Client) remember(remembered func(*Dialect) *string, form string) {
	c.mu.Lock()
	place := remembered(&c.dialect)
	changed := *place != form
	*place = form
	now := c.dialect
	c.mu.Unlock()
	if changed && c.onDialect != nil {
		c.onDialect(now)
	}
}

// ParseHighlights reads a highlights answer, as a webhook delivers it.
func ParseHighlights(body []byte) (HighlightsAnswer, error) { return readHighlights(body, "") }

// readHighlights reads an answer: {"id"} from a live POST, the contract's
// envelope from everything else. requestID is the one asked for, if any.
func readHighlights(body []byte, requestID string) (HighlightsAnswer, error) {
	answer, ok := upstream.ParseObject(body)
	if !ok {
		return HighlightsAnswer{}, errors.New("the answer is not about highlights")
	}
	h := HighlightsAnswer{
		RequestID:    answer.Text("requestid", "id"),
		AppID:        answer.Text("appid"),
		VendorStatus: answer.Text("status"),
		Raw:          json.RawMessage(body),
	}
	if h.RequestID == "" {
		h.RequestID = requestID
	}
	if h.RequestID == "" {
		return HighlightsAnswer{}, errors.New("the answer names no highlights request")
	}
	if requestID != "" && !answer.Has("status") && !answer.Has("result") {
		return HighlightsAnswer{}, errors.New("the answer tells neither status nor result of the highlights")
	}
	h.Result = readResult(answer["result"])
	h.Status = statusOf(h.VendorStatus, h.Result != nil)
	return h, nil
}

// statusOf maps the vendor's word: READY live, COMPLETE in the contract.
func statusOf(word string, hasResult bool) HighlightsStatus {
	switch strings.ToUpper(strings.TrimSpace(word)) {
	case "PENDING":
		return Pending
	case "READY", "COMPLETE", "COMPLETED":
		return Done
	case "FAILED":
		return Failed
	case "":
		if hasResult {
			return Done
		}
		return Pending
	}
	return Unknown
}

func readResult(raw json.RawMessage) *HighlightsResult {
	result, ok := upstream.ParseObject(raw)
	if !ok {
		if text := upstream.Text(raw); text != "" {
			return &HighlightsResult{Highlights: text}
		}
		return nil
	}
	r := &HighlightsResult{Highlights: result.Text("highlights")}
	for _, raw := range result.List("sessions") {
		one, ok := upstream.ParseObject(raw)
		if !ok {
			continue
		}
		s := SessionHighlights{RecordingID: one.Text("recordingid"), SessionID: upstream.ID(one["sessionid"]), Highlights: one.Text("highlights")}
		if s.RecordingID == "" {
			s.RecordingID, s.SessionID = splitSessionID(s.SessionID)
		}
		r.Sessions = append(r.Sessions, s)
	}
	return r
}

// splitSessionID takes the contract's one id apart: "recordingID/sessionID", an
// address of the app, or a recording id alone. Anything else is a session id
// whose recording is not known.
func splitSessionID(id string) (recordingID, sessionID string) {
	if recordingID, sessionID, _, ok := ParseSessionURL(id); ok {
		return recordingID, sessionID
	}
	if recordingID, sessionID, ok := strings.Cut(id, "/"); ok && recordingID != "" && sessionID != "" {
		return recordingID, sessionID
	}
	if recordingForm.MatchString(id) {
		return id, ""
	}
	return "", id
}
