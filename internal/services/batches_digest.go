package services

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"sightline/internal/db"
)

// digestPage is how many answers are read at a time.
const digestPage = 100

// digestStates are those that a digest tells of: what stands twice in the list
// has its answer once.
func digestStates() []string {
	return []string{"fault", "waiting", "stranger", "dropped", "queued", "sending", "pending", "ready", "failed", "unknown", "expired", "cancelled"}
}

// Digest gives fn every customer of a batch with the answer over all sessions,
// in the order of the list, until fn fails.
func (s *Batches) Digest(ctx context.Context, org OrgID, id BatchID, fn func(BatchItem) error) error {
	return s.each(ctx, org, id, digestStates(), fn)
}

func (s *Batches) each(ctx context.Context, org OrgID, id BatchID, states []string, fn func(BatchItem) error) error {
	for after := 0; ; {
		items, err := s.db.Org(org).BatchAnswers(ctx, id, states, after, digestPage)
		if err != nil {
			return err
		}
		for _, it := range items {
			if err := fn(it); err != nil {
				return err
			}
			after = it.Position
		}
		if len(items) < digestPage {
			return nil
		}
	}
}

// BatchResult is an item's state in words: what came of it.
func BatchResult(state string) string {
	switch state {
	case "fault":
		return "not asked: fault in the list"
	case "double":
		return "not asked: in the list already"
	case "dropped":
		return "not asked: cancelled before"
	case "waiting", "stranger":
		return "not asked yet"
	case "queued", "sending", "pending":
		return "no answer yet"
	case "ready":
		return "answered"
	case "unknown":
		return "perhaps asked"
	case "expired":
		return "took too long"
	}
	return state
}

// DigestCSV writes every entry of a batch with its answer as plain text. link is
// where a highlight can be read. Cells that a spreadsheet would take for a
// formula begin with an apostrophe, as in every file of ours.
func (s *Batches) DigestCSV(ctx context.Context, org OrgID, b Batch, w io.Writer, link func(HighlightID) string) error {
	out, err := newCSVFile(w, []string{"line", "given", "customer", "asked_about", "result", "reason", "answer", "answered_at" + csvUTC, "highlights"})
	if err != nil {
		return err
	}
	n := 0
	err = s.each(ctx, org, b.ID, nil, func(it BatchItem) error {
		cells := []string{lineText(it.Line), it.Typed, it.Name, it.Subject, BatchResult(it.State), it.Message, s.plain(it.Markdown), csvTime(it.FinishedAt.Truncate(time.Second)), ""}
		if it.Highlight != 0 {
			cells[8] = link(it.Highlight)
		}
		for i, c := range cells {
			cells[i] = EscapeCell(c)
		}
		if n++; n%digestPage == 0 {
			if err := out.flush(); err != nil {
				return err
			}
		}
		return out.row(cells)
	})
	if err != nil {
		return err
	}
	return out.flush()
}

// plain is an answer as plain text.
func (s *Batches) plain(markdown string) string {
	if strings.TrimSpace(markdown) == "" {
		return ""
	}
	return s.markdown.Plain(s.markdown.HTML(markdown))
}

func lineText(line int) string {
	if line == 0 {
		return ""
	}
	return strconv.Itoa(line)
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// digestItem is an entry of a batch in JSON. Answer is Markdown as LogRocket
// wrote it: text that nobody has checked.
type digestItem struct {
	Line       int    `json:"line,omitempty"`
	Given      string `json:"given"`
	Customer   string `json:"customer,omitempty"`
	CustomerID int64  `json:"customer_id,omitempty"`
	Email      string `json:"email,omitempty"`
	UserID     string `json:"user_id,omitempty"`
	State      string `json:"state"`
	Result     string `json:"result"`
	Reason     string `json:"reason,omitempty"`
	Reused     bool   `json:"reused,omitempty"`
	Answer     string `json:"answer_markdown,omitempty"`
	AnsweredAt string `json:"answered_at,omitempty"`
	Highlights string `json:"highlights,omitempty"`
}

// DigestJSON writes a batch with every entry and its answer.
func (s *Batches) DigestJSON(ctx context.Context, org OrgID, b Batch, w io.Writer, link func(HighlightID) string) error {
	head, err := json.Marshal(map[string]any{
		"id": b.ID, "source": b.Source, "question": b.Question, "state": b.State, "author": b.AuthorName, "from": rfc3339(b.Start), "to": rfc3339(b.End),
		"created_at": rfc3339(b.CreatedAt), "started_at": rfc3339(b.StartedAt), "finished_at": rfc3339(b.FinishedAt),
	})
	if err != nil {
		return fmt.Errorf("write batch %d: %w", b.ID, err)
	}
	if _, err := fmt.Fprintf(w, "{\"batch\":%s,\"items\":[", head); err != nil {
		return err
	}
	comma := "\n"
	err = s.each(ctx, org, b.ID, nil, func(it BatchItem) error {
		row := digestItem{
			Line: it.Line, Given: it.Typed, Customer: it.Name, CustomerID: int64(it.Customer), State: stateWord(it), Result: BatchResult(it.State), Reason: it.Message,
			Reused: it.Reused, Answer: it.Markdown, AnsweredAt: rfc3339(it.FinishedAt),
		}
		if it.SubjectKind == "email" {
			row.Email = it.Subject
		} else {
			row.UserID = it.Subject
		}
		if it.Highlight != 0 {
			row.Highlights = link(it.Highlight)
		}
		text, err := json.Marshal(row)
		if err != nil {
			return fmt.Errorf("write item %d of batch %d: %w", it.Position, b.ID, err)
		}
		_, err = fmt.Fprintf(w, "%s%s", comma, text)
		comma = ",\n"
		return err
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, "\n]}\n")
	return err
}

// stateWord is an item's state without what only the page tells apart.
func stateWord(it db.BatchItem) string {
	if it.State == "stranger" {
		return entryWaiting
	}
	return it.State
}

// DigestMarkdown writes a batch to paste elsewhere: every answer in full, then
// those without one. Times are in UTC: nobody knows where it is read.
func (s *Batches) DigestMarkdown(ctx context.Context, org OrgID, b Batch, w io.Writer, link func(HighlightID) string) error {
	m := s.markdown
	head := fmt.Sprintf("# Highlights of %s\n\n- Question: %s\n- From: %s\n- Begun: %s%s\n", plural(b.Total(), "customer"),
		m.Escape(orElse(oneLine(b.Question), "none: what happened in general")), m.Escape(b.Source), b.StartedAt.UTC().Format("2006-01-02 15:04 UTC"), m.Escape(byName(b.AuthorName)))
	if _, err := io.WriteString(w, head); err != nil {
		return err
	}
	var without strings.Builder
	err := s.Digest(ctx, org, b.ID, func(it BatchItem) error {
		who := m.Escape(orElse(it.Name, orElse(it.Subject, it.Typed)))
		if it.Name != "" && it.Subject != "" {
			who += " (" + m.Escape(it.Subject) + ")"
		}
		if it.State != string(HighlightReady) {
			fmt.Fprintf(&without, "- %s: %s. %s\n", who, BatchResult(it.State), m.Escape(it.Message))
			return nil
		}
		answer := "LogRocket wrote no summary over all sessions."
		if strings.TrimSpace(it.Markdown) != "" {
			answer = m.Portable(m.HTML(it.Markdown))
		}
		_, err := fmt.Fprintf(w, "\n## %s\n\n%s\n\nAnswered %s: <%s>\n", who, answer, it.FinishedAt.UTC().Format("2006-01-02 15:04 UTC"), link(it.Highlight))
		return err
	})
	if err != nil || without.Len() == 0 {
		return err
	}
	_, err = fmt.Fprintf(w, "\n## Without a result\n\n%s", without.String())
	return err
}

func byName(name string) string {
	if name == "" {
		return ""
	}
	return " by " + name
}
