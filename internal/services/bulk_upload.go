package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"sightline/internal/db"
)

// Upload takes a file in, part by part, and finds out how it is written. A form
// that was sent already returns what it made. Nothing is kept of a file that
// cannot be read, or does not come in whole.
func (s *Bulks) Upload(ctx context.Context, actor Actor, conn ConnectionID, formToken, fileName string, file io.Reader) (Bulk, error) {
	if err := mayBulk(actor); err != nil {
		return Bulk{}, err
	}
	org := s.db.Org(actor.Org)
	c, err := s.conns.Get(ctx, actor.Org, conn)
	if err != nil {
		return Bulk{}, err
	}
	if c.Vendor != LogRocket || c.Removed() {
		return Bulk{}, &Error{Kind: Conflict, Msg: fmt.Sprintf("Traits cannot be edited through “%s”: it is not a LogRocket connection in use.", c.Name)}
	}
	row, added, err := org.AddBulk(ctx, db.NewBulk{
		Connection: conn, Author: actor.User, FileName: shortTo(db.CleanText(fileName), 200), FormToken: formKey(formToken, "bulk"), At: s.now(),
	}, nil)
	if err != nil {
		return Bulk{}, notFound(err, noConnection)
	}
	if !added {
		return s.bulkOf(row)
	}
	f, n, err := s.store(ctx, org, row.ID, file)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(f); err == nil {
			err = org.EndBulkUpload(ctx, row.ID, n, string(text), s.now())
		}
	}
	if err != nil {
		return Bulk{}, errors.Join(err, org.DropUpload(context.WithoutCancel(ctx), row.ID))
	}
	return s.Get(ctx, actor.Org, row.ID)
}

// store keeps the parts of a file.
func (s *Bulks) store(ctx context.Context, org db.Org, id BulkID, file io.Reader) (BulkFormat, int64, error) {
	var facts byteFacts
	buf := make([]byte, bulkPart)
	for part := 0; ; part++ {
		n, err := io.ReadFull(file, buf)
		if n > 0 {
			_, _ = facts.Write(buf[:n]) // cannot fail
			if facts.n > MaxBulkFile {
				return BulkFormat{}, 0, invalid("The file has more than %d MB. Cut it into several. Nothing was stored.", MaxBulkFile>>20)
			}
			if err := org.AddBulkPart(ctx, id, part, buf[:n]); err != nil {
				return BulkFormat{}, 0, err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return BulkFormat{}, 0, err
		}
	}
	f := BulkFormat{Valid: !facts.wrong && len(facts.carry) == 0}
	var err error
	if f.Encoding, f.Guessed, err = facts.encoding(); err != nil {
		return f, 0, err
	}
	if f, err = sniff(&bulkReader{ctx: ctx, org: org, id: id}, f); err != nil {
		return f, 0, err
	}
	f.Header = looksLikeHeader(f.Sample)
	return f, facts.n, nil
}

// Reread takes a file as written otherwise than it was found to be.
func (s *Bulks) Reread(ctx context.Context, actor Actor, id BulkID, encoding, separator string, header bool) (Bulk, error) {
	if err := mayBulk(actor); err != nil {
		return Bulk{}, err
	}
	b, err := s.Get(ctx, actor.Org, id)
	if err != nil {
		return b, err
	}
	if !readable(encoding, separator) {
		return b, invalid("That is no encoding or separator that can be read.")
	}
	org := s.db.Org(actor.Org)
	f, err := sniff(&bulkReader{ctx: ctx, org: org, id: id}, BulkFormat{Encoding: encoding, Separator: separator, Valid: b.Format.Valid})
	if err != nil {
		return b, err
	}
	f.Header = header
	text, err := json.Marshal(f)
	if err != nil {
		return b, err
	}
	if err := org.SetBulkFormat(ctx, id, string(text), s.now()); err != nil {
		return b, s.moved(ctx, actor.Org, id, err)
	}
	return s.Get(ctx, actor.Org, id)
}

// readable says whether files of this kind can be read.
func readable(encoding, separator string) bool {
	return slices.Contains([]string{EncodingUTF8, EncodingUTF8BOM, EncodingUTF16LE, EncodingUTF16BE, Encoding1252}, encoding) &&
		slices.Contains([]string{",", ";", "\t", "|"}, separator)
}
