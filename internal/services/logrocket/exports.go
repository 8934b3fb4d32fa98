package logrocket

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sightline/internal/services/upstream"
)

// ListDataExports reads one page of exported sessions.
func (c *Client) ListDataExports(ctx context.Context, q ExportQuery) (ExportPage, error) {
	page, _, err := c.listExports(ctx, q)
	return page, err
}

func (c *Client) listExports(ctx context.Context, q ExportQuery) (ExportPage, *upstream.Response, error) {
	if q.Limit <= 0 || q.Limit > MaxExportLimit {
		q.Limit = MaxExportLimit
	}
	query := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	if q.Cursor != "" {
		query.Set("cursor", q.Cursor)
	}
	if !q.Date.IsZero() {
		query.Set("date", strconv.FormatInt(q.Date.UnixMilli(), 10))
	}
	var page ExportPage
	answer, err := c.up.Do(ctx, upstream.Request{
		Operation: "listDataExports", Method: http.MethodGet, Path: c.path("data-export") + "/", Query: query, Header: c.auth(),
		Retry: upstream.IfSafe,
		Read: func(body []byte) (err error) {
			page, err = readExports(body, q.Cursor)
			return err
		},
	})
	if err != nil {
		return ExportPage{}, nil, err
	}
	page.ReceivedAt = answer.ReceivedAt
	return page, answer, nil
}

// readExports reads a page that was asked for with a cursor. The live cursor is
// a JSON number: its digits are kept as they stand. The contract requires no
// field of it, so an object of nothing is a page of nothing.
func readExports(body []byte, asked string) (ExportPage, error) {
	answer, ok := upstream.ParseObject(body)
	if !ok || len(answer) > 0 && !answer.Has("sessions") && !answer.Has("cursor") {
		return ExportPage{}, errors.New("the answer is not a list of exported sessions")
	}
	page := ExportPage{Cursor: answer.Text("cursor")}
	for _, raw := range answer.List("sessions") {
		entry, isObject := upstream.ParseObject(raw)
		address := strings.TrimSpace(entry.Text("url"))
		if !isObject {
			address = strings.TrimSpace(upstream.Text(raw))
		}
		if address == "" {
			page.Unreadable++
			continue
		}
		page.Sessions = append(page.Sessions, ExportedSession{URL: address})
	}
	empty := len(page.Sessions)+page.Unreadable == 0
	page.Last = empty || page.Cursor == "" || page.Cursor == asked
	return page, nil
}

// FetchExport opens an exported session's file as it is stored (JSON Lines,
// often gzipped), without our key, or its rest if its beginning is here. An
// address that has expired is an error of kind Forbidden: list again for a new
// one. Errors while reading are *upstream.Error, too.
func (c *Client) FetchExport(ctx context.Context, url string, from upstream.Resume) (*upstream.Download, error) {
	return c.up.Fetch(ctx, "fetchExport", url, from)
}
