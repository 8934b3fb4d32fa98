package db

import (
	"context"
	"strings"
)

// Page is a page of a site, as page views name it.
type Page struct {
	ID         PageID
	Connection ConnectionID
	Path       string
}

// NormalizePage is the page that an address belongs to: scheme, host and path,
// without query and fragment, credentials and the scheme's own port. Parts of
// the path that are numbers, UUIDs or long hexadecimal ids become "*", so that
// all orders are one page. It is "" for an address that names nothing.
func NormalizePage(address string) string {
	address = CleanText(address)
	path := address
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	site := ""
	if scheme, rest, ok := strings.Cut(path, "://"); ok && isScheme(scheme) {
		host, tail, _ := strings.Cut(rest, "/")
		host = strings.ToLower(host[strings.LastIndexByte(host, '@')+1:])
		scheme = strings.ToLower(scheme)
		switch scheme {
		case "http":
			host = strings.TrimSuffix(host, ":80")
		case "https":
			host = strings.TrimSuffix(host, ":443")
		}
		site, path = scheme+"://"+host, "/"+tail
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		p, _, _ = strings.Cut(p, ";") // a session id that a server put into the path
		if isID(p) {
			p = "*"
		}
		parts[i] = p
	}
	path = strings.Join(parts, "/")
	if trimmed := strings.TrimRight(path, "/"); trimmed != "" || site == "" && path == "" {
		path = trimmed
	} else {
		path = "/"
	}
	return CutIdentity(site + path)
}

func isScheme(s string) bool {
	for i, r := range s {
		if (r|0x20 < 'a' || r|0x20 > 'z') && (i == 0 || (r < '0' || r > '9') && r != '+' && r != '-' && r != '.') {
			return false
		}
	}
	return s != ""
}

// isID says whether a part of a path names one thing of many: a number, a
// UUID, or at least 16 hexadecimal digits of which one is a figure.
func isID(s string) bool {
	figures, letters, dashes := 0, 0, 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			figures++
		case r|0x20 >= 'a' && r|0x20 <= 'f':
			letters++
		case r == '-':
			dashes++
		default:
			return false
		}
	}
	switch {
	case figures == 0:
		return false
	case dashes == 4:
		return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
	case dashes > 0:
		return false
	}
	return letters == 0 || len(s) >= 16
}

// errorKey says which errors are one: those of the vendor's group, and without
// one those whose titles differ in numbers and ids only.
func errorKey(e SessionError) string {
	if e.GroupID != "" {
		return "id:" + CutIdentity(CleanText(e.GroupID))
	}
	words := strings.Fields(Normalize(e.Title))
	for i, w := range words {
		var b strings.Builder
		figure := false
		for _, r := range w {
			if r >= '0' && r <= '9' {
				if !figure {
					b.WriteByte('*')
				}
				figure = true
				continue
			}
			figure = false
			b.WriteRune(r)
		}
		if words[i] = b.String(); isID(strings.Trim(w, `'"()[]{}<>.,:;`)) {
			words[i] = "*"
		}
	}
	return "title:" + CutIdentity(strings.Join(words, " "))
}

// NormalizeMessage is a message without what differs from one time to the next:
// UUIDs, long hexadecimal ids and numbers of four figures and more become "*".
// Shorter numbers stay: they are status codes and sizes of things as often as ids.
func NormalizeMessage(s string) string {
	var b strings.Builder
	part := func(r byte) bool {
		return r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' || r == '-'
	}
	for i := 0; i < len(s); {
		if !part(s[i]) {
			b.WriteByte(s[i])
			i++
			continue
		}
		end := i
		for end < len(s) && part(s[end]) {
			end++
		}
		if word := s[i:end]; len(word) >= 4 && isID(word) {
			b.WriteByte('*')
		} else {
			maskFigures(&b, word)
		}
		i = end
	}
	return b.String()
}

// maskFigures writes a word with its numbers of four figures and more masked.
func maskFigures(b *strings.Builder, word string) {
	for i := 0; i < len(word); {
		end := i
		for end < len(word) && word[end] >= '0' && word[end] <= '9' {
			end++
		}
		switch {
		case end == i:
			b.WriteByte(word[i])
			i++
			continue
		case end-i >= 4:
			b.WriteByte('*')
		default:
			b.WriteString(word[i:end])
		}
		i = end
	}
}

// Page reads one page.
func (o Org) Page(ctx context.Context, id PageID) (Page, error) {
	return one(ctx, o.db.r, "page", scanPage, `
		SELECT id, connection_id, path FROM pages WHERE id = ? AND org_id = ?`, id, o.id)
}

func scanPage(s scanner) (Page, error) {
	var p Page
	err := s.Scan(&p.ID, &p.Connection, &p.Path)
	return p, err
}

// MaxPages is how many pages are read at once.
const MaxPages = 500

// Pages reads pages by their ids, in no order; at most MaxPages are looked at, and
// those that are not there are left out.
func (o Org) Pages(ctx context.Context, ids []PageID) ([]Page, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	ids = ids[:min(len(ids), MaxPages)]
	return list(ctx, o.db.r, "pages", scanPage, `
		SELECT id, connection_id, path FROM pages WHERE org_id = ? AND id IN (`+marks(len(ids))+`)`,
		append([]any{o.id}, anys(ids)...)...)
}

// ErrorGroup is an error that occurs again and again.
type ErrorGroup struct {
	ID         ErrorGroupID
	Connection ConnectionID
	VendorID   string // the vendor's group; empty if it named none
	Name       string // the title as last seen
}

// ErrorGroup reads one group of errors.
func (o Org) ErrorGroup(ctx context.Context, id ErrorGroupID) (ErrorGroup, error) {
	return one(ctx, o.db.r, "error group", scanErrorGroup, `
		SELECT id, connection_id, vendor_id, name FROM error_groups WHERE id = ? AND org_id = ?`, id, o.id)
}

func scanErrorGroup(s scanner) (ErrorGroup, error) {
	var g ErrorGroup
	err := s.Scan(&g.ID, &g.Connection, &g.VendorID, &g.Name)
	return g, err
}

// ErrorGroups reads groups of errors by their ids, in no order; at most 500 are
// looked at, and those that are not there are left out.
func (o Org) ErrorGroups(ctx context.Context, ids []ErrorGroupID) ([]ErrorGroup, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	ids = ids[:min(len(ids), 500)]
	return list(ctx, o.db.r, "error groups", scanErrorGroup, `
		SELECT id, connection_id, vendor_id, name FROM error_groups WHERE org_id = ? AND id IN (`+marks(len(ids))+`)`,
		append([]any{o.id}, anys(ids)...)...)
}
