package db

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// BatchItem is a customer of a batch.
type BatchItem struct {
	Position int
	Line     int // where it stands in what was given, 0 if nowhere
	// Typed is what was given, Subject what LogRocket is asked about.
	Typed, SubjectKind, Subject string
	// Customer is who that is, 0 if nobody here knows; Name is theirs.
	Customer CustomerID
	Name     string
	// State is fault, double, waiting, stranger (waiting, and nobody here knows
	// them), dropped, or that of its highlight.
	State string
	// Message says why it is not asked about, or what the highlight says.
	Message string
	Tries   int
	Reused  bool // the highlight was there before
	// Highlight is what was made of it, or 0; ErrorKind is of its failure.
	Highlight             HighlightID
	ErrorKind, RequestID  string
	Markdown              string // over all sessions; only where asked for
	CreatedAt, FinishedAt time.Time
}

// batchItemState is how an item stands, for a reader.
const batchItemState = `CASE WHEN i.state IN ('asked', 'ended') THEN coalesce(h.state, 'unknown')
	WHEN i.state = 'waiting' AND i.customer_id IS NULL THEN 'stranger' ELSE i.state END`

const (
	batchItemHead = `i.position, i.line, i.typed, i.subject_kind, i.subject, coalesce(h.customer_id, i.customer_id, 0),
		coalesce((SELECT c.name FROM customers c WHERE c.id = coalesce(h.customer_id, i.customer_id)), ''),
		` + batchItemState + `, CASE WHEN i.message = '' THEN coalesce(h.message, '') ELSE i.message END, i.tries, i.reused,
		coalesce(i.highlight_id, 0), coalesce(h.error_kind, ''), coalesce(h.request_id, ''), `
	batchItemTail = `, h.created_at, h.finished_at
	FROM batch_items i LEFT JOIN highlights h ON h.id = i.highlight_id`

	batchItemsQuery   = `SELECT ` + batchItemHead + `''` + batchItemTail + batchItemsWhere
	batchAnswersQuery = `SELECT ` + batchItemHead + `coalesce(h.result_markdown, '')` + batchItemTail + batchItemsWhere
	batchItemsWhere   = `
	WHERE i.batch_id = ?1 AND i.org_id = ?2 AND i.position > ?3 AND (?4 = '' OR instr(?4, ' ' || ` + batchItemState + ` || ' ') > 0)
	ORDER BY i.position LIMIT ?5`
	batchItemQuery  = `SELECT ` + batchItemHead + `''` + batchItemTail + ` WHERE i.batch_id = ? AND i.org_id = ? AND i.state = 'waiting' ORDER BY i.position LIMIT 1`
	askedItemsQuery = `SELECT ` + batchItemHead + `''` + batchItemTail + ` WHERE i.batch_id = ? AND i.org_id = ? AND i.state = 'asked' ORDER BY i.position LIMIT 1000`
)

func scanBatchItem(s scanner) (BatchItem, error) {
	var i BatchItem
	var created, finished sql.NullInt64
	err := s.Scan(&i.Position, &i.Line, &i.Typed, &i.SubjectKind, &i.Subject, &i.Customer, &i.Name, &i.State, &i.Message, &i.Tries, &i.Reused,
		&i.Highlight, &i.ErrorKind, &i.RequestID, &i.Markdown, &created, &finished)
	i.CreatedAt, i.FinishedAt = timeOf(created), timeOf(finished)
	return i, err
}

// batchStates is an argument that selects states, or all if there are none.
func batchStates(states []string) string {
	if len(states) == 0 {
		return ""
	}
	return " " + strings.Join(states, " ") + " "
}

// BatchItems lists the items behind after, in order, at most limit: all, or
// those in some states. They come without results.
func (o Org) BatchItems(ctx context.Context, id BatchID, states []string, after, limit int) ([]BatchItem, error) {
	return list(ctx, o.db.r, "batch items", scanBatchItem, batchItemsQuery, id, o.id, after, batchStates(states), min(max(limit, 1), 1000))
}

// BatchAnswers is BatchItems with the results over all sessions.
func (o Org) BatchAnswers(ctx context.Context, id BatchID, states []string, after, limit int) ([]BatchItem, error) {
	return list(ctx, o.db.r, "batch items", scanBatchItem, batchAnswersQuery, id, o.id, after, batchStates(states), min(max(limit, 1), 1000))
}

// NextBatchItem is the next item to be asked about; ErrNotFound if none is left.
func (o Org) NextBatchItem(ctx context.Context, id BatchID) (BatchItem, error) {
	return one(ctx, o.db.w, "batch item", scanBatchItem, batchItemQuery, id, o.id)
}

// AskedBatchItems lists the items that were asked about and of which the batch
// has not seen the end.
func (o Org) AskedBatchItems(ctx context.Context, id BatchID) ([]BatchItem, error) {
	return list(ctx, o.db.w, "batch items", scanBatchItem, askedItemsQuery, id, o.id)
}

// BatchCounts are the items of a batch by how they stand.
type BatchCounts struct {
	Faults, Doubles, Dropped int
	// Waiting are still to be asked about; Strangers of them nobody here knows.
	Waiting, Strangers int
	// Open are on their way, Ready have a result, Reused of them an older one.
	Open, Ready, Reused                 int
	Failed, Unknown, Expired, Cancelled int
	// Lined stand on a line of a list.
	Lined int
}

const batchCountsQuery = `
	SELECT total(s = 'fault'), total(s = 'double'), total(s = 'dropped'), total(s IN ('waiting', 'stranger')), total(s = 'stranger'),
		total(s IN ` + openHighlights + `), total(s = 'ready'), total(s = 'ready' AND reused), total(s = 'failed'), total(s = 'unknown'),
		total(s = 'expired'), total(s = 'cancelled'), total(line > 0)
	FROM (SELECT ` + batchItemState + ` AS s, i.reused AS reused, i.line AS line FROM batch_items i LEFT JOIN highlights h ON h.id = i.highlight_id
		WHERE i.batch_id = ? AND i.org_id = ?) h`

// CountBatch counts the items of a batch.
func (o Org) CountBatch(ctx context.Context, id BatchID) (BatchCounts, error) {
	return one(ctx, o.db.r, "batch items", func(s scanner) (BatchCounts, error) {
		var n [13]float64
		dest := make([]any, len(n))
		for i := range n {
			dest[i] = &n[i]
		}
		err := s.Scan(dest...)
		return BatchCounts{
			Faults: int(n[0]), Doubles: int(n[1]), Dropped: int(n[2]), Waiting: int(n[3]), Strangers: int(n[4]), Open: int(n[5]), Ready: int(n[6]),
			Reused: int(n[7]), Failed: int(n[8]), Unknown: int(n[9]), Expired: int(n[10]), Cancelled: int(n[11]), Lined: int(n[12]),
		}, err
	}, batchCountsQuery, id, o.id)
}
