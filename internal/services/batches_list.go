package services

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"sightline/internal/db"
)

// BatchFormat says how a file of customers is written, and which of its columns
// holds the emails.
type BatchFormat struct {
	BulkFormat
	FileName string
	// Column counts from 0; Guessed says that no column looks like it.
	Column  int
	Unclear bool
}

// The states of an entry of a list.
const (
	entryWaiting = "waiting"
	entryFault   = "fault"
	entryDouble  = "double"
)

// entry is one entry of a list as it was given.
type entry struct {
	line  int
	typed string
	email string
	fault string // why it is none
}

// readPasted reads a pasted list: emails, with whatever stands between them.
func readPasted(text string) []entry {
	var out []entry
	for i, line := range strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n").Replace(text), "\n") {
		out = append(out, readEntries(i+1, line)...)
	}
	return out
}

// readEntries reads the emails of one line or cell. Names beside them are left;
// one with no email at all is a fault.
func readEntries(line int, text string) []entry {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) { // marks and joiners that nobody sees
			return -1
		}
		return r
	}, text))
	if text == "" {
		return nil
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) {
		return []entry{{line: line, typed: shortTo(strings.ToValidUTF8(text, "\ufffd"), 80), fault: "This holds bytes that are no letters in the encoding of the list."}}
	}
	var out []entry
	for _, word := range wordsOf(text) {
		if !strings.Contains(word, "@") {
			continue
		}
		e := entry{line: line, typed: shortTo(word, 254), email: word}
		if !checkEmail(word) {
			e.fault = fmt.Sprintf("“%s” is no email address.", short(word))
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return []entry{{line: line, typed: shortTo(text, 80), fault: "There is no email address in this."}}
	}
	return out
}

// wordsOf cuts a line at what stands between emails: blanks, commas, brackets
// and the like. What stands in angle brackets is one word.
func wordsOf(text string) []string {
	var out []string
	outside := func(part string) {
		for _, w := range strings.FieldsFunc(part, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(",;|<>()[]{}\"“”„«»", r)
		}) {
			out = append(out, bareWord(w))
		}
	}
	for {
		open := strings.IndexByte(text, '<')
		if open < 0 {
			break
		}
		length := strings.IndexByte(text[open:], '>')
		if length < 0 {
			break
		}
		outside(text[:open])
		out = append(out, bareWord(text[open+1:open+length]))
		text = text[open+length+1:]
	}
	outside(text)
	return out
}

// bareWord takes off what people and programs put around an email.
func bareWord(w string) string {
	w = strings.Trim(strings.TrimSpace(w), "'`:.")
	if len(w) > 7 && strings.EqualFold(w[:7], "mailto:") {
		w = w[7:]
	}
	return w
}

// readFileFormat finds out how a file is written and which column has the
// emails.
func readFileFormat(name string, data []byte) (BatchFormat, error) {
	var facts byteFacts
	_, _ = facts.Write(data) // cannot fail
	f := BatchFormat{FileName: name}
	f.Valid = !facts.wrong && len(facts.carry) == 0
	var err error
	if f.Encoding, f.Guessed, err = facts.encoding(); err != nil {
		return f, err
	}
	if f.BulkFormat, err = sniff(bytes.NewReader(data), f.BulkFormat); err != nil {
		return f, err
	}
	f.Header = looksLikeHeader(f.Sample)
	f.guessColumn()
	return f, nil
}

// guessColumn chooses the column whose heading or cells are of emails.
func (f *BatchFormat) guessColumn() {
	f.Column, f.Unclear = 0, false
	if f.Header && len(f.Sample) > 0 {
		for i, h := range f.Sample[0] {
			word := strings.NewReplacer(" ", "", "_", "", "-", "", ".", "").Replace(strings.ToLower(strings.TrimSpace(h)))
			if i < f.Columns && (word == "email" || word == "mail" || word == "emailaddress" || word == "useremail" || word == "customeremail") {
				f.Column = i
				return
			}
		}
	}
	for _, row := range f.Sample {
		for i, cell := range row {
			if i < f.Columns && strings.Contains(cell, "@") {
				f.Column = i
				return
			}
		}
	}
	f.Unclear = f.Columns > 1
}

// read reads the chosen column of a file.
func (f BatchFormat) read(data []byte) ([]entry, error) {
	r := newBulkRecords(bytes.NewReader(data), f.BulkFormat)
	var out []entry
	for first := true; ; first = false {
		cells, line, wrong, err := r.next()
		switch {
		case errors.Is(err, errRecordTooLong):
			return append(out, entry{line: line, fault: "A quote opens here or above that is not closed, so nothing after it was read."}), nil
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		case wrong != "":
			out = append(out, entry{line: line, fault: wrong})
		case first && f.Header:
		case f.Column >= len(cells):
			out = append(out, entry{line: line, typed: shortTo(strings.ToValidUTF8(strings.Join(cells, f.Separator), "\ufffd"), 80),
				fault: fmt.Sprintf("The line has %s, so none is number %d. A separator or a quote is missing.", plural(len(cells), "cell"), f.Column+1)})
		case strings.TrimSpace(cells[f.Column]) == "":
			if strings.TrimSpace(strings.Join(cells, "")) != "" {
				out = append(out, entry{line: line, fault: "The cell is empty."})
			}
		default:
			out = append(out, readEntries(line, cells[f.Column])...)
		}
		if len(out) > MaxBatch+MaxBatchLeftOut {
			return out, nil
		}
	}
}

// itemsOf makes entries what a batch keeps of them: whom they mean, and which
// name somebody again. known are customers by email.
func itemsOf(list []entry, known map[string]CustomerID) []db.NewBatchItem {
	out := make([]db.NewBatchItem, len(list))
	emails, people := map[string]entry{}, map[CustomerID]entry{}
	for i, e := range list {
		it := db.NewBatchItem{Line: e.line, Typed: e.typed, SubjectKind: "email", Subject: e.email, State: entryWaiting}
		norm := NormalizeEmail(e.email)
		if e.fault != "" {
			it.State, it.Message, it.Subject = entryFault, e.fault, ""
		} else if before, again := emails[norm]; again {
			it.State, it.Message = entryDouble, fmt.Sprintf("Line %d names it already.", before.line)
		} else if it.Customer = known[norm]; it.Customer != 0 {
			if before, again := people[it.Customer]; again {
				it.State, it.Message = entryDouble, fmt.Sprintf("Line %d names the same customer already, as %s.", before.line, short(before.email))
			} else {
				people[it.Customer] = e
			}
		}
		if e.fault == "" && emails[norm].email == "" {
			emails[norm] = e
		}
		out[i] = it
	}
	return out
}

// tooMany says what is wrong with the size of a list, "" if nothing is.
func tooMany(items []db.NewBatchItem) string {
	asked, leftOut := 0, 0
	for _, it := range items {
		if it.State == entryWaiting {
			asked++
		} else {
			leftOut++
		}
	}
	switch {
	case asked > MaxBatch:
		return fmt.Sprintf("The list names more than %s customers, and that is the most of one batch. Cut it into several.", thousands(MaxBatch))
	case leftOut > MaxBatchLeftOut:
		return fmt.Sprintf("More than %s entries of the list are no email address or stand there twice. Tidy it up first.", thousands(MaxBatchLeftOut))
	case asked+leftOut == 0:
		return "There is nobody in the list."
	}
	return ""
}
