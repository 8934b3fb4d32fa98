package services

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"sightline/internal/db"
)

// The encodings that a file may be in.
const (
	EncodingUTF8    = "utf-8"
	EncodingUTF8BOM = "utf-8-bom"
	EncodingUTF16LE = "utf-16le"
	EncodingUTF16BE = "utf-16be"
	Encoding1252    = "windows-1252"
)

const (
	// MaxBulkFile is the most bytes of a file.
	MaxBulkFile = 64 << 20
	// MaxBulkLines is the most lines of a file.
	MaxBulkLines = 250_000
	// MaxBulkColumns is the most columns of a file.
	MaxBulkColumns = 100

	bulkPart      = 256 << 10 // bytes of a file that are stored at once
	bulkSample    = 256 << 10 // bytes of text that a file is judged by
	bulkSampleRow = 6
	maxBulkRecord = 1 << 20 // bytes of one line with all that its quotes hold
)

// BulkFormat is how a file is written, as found or as somebody said.
type BulkFormat struct {
	Encoding string
	// Guessed says that the encoding fits no rule: Windows-1252 is what such
	// files mostly are.
	Guessed   bool
	Separator string // , ; tab |
	LineEnds  string // LF, CRLF, CR or "mixed"
	// Header says that the first line names the columns.
	Header bool
	// Valid says that the bytes are UTF-8.
	Valid bool
	// Sample are the first lines, at most six, with long cells cut.
	Sample [][]string
	// Widest is how many columns the first line has.
	Columns int
}

// byteFacts are learned of a file while it comes in.
type byteFacts struct {
	n     int64
	nul   bool
	wrong bool // not UTF-8
	carry []byte
	first []byte
}

// Write looks at the next bytes.
func (f *byteFacts) Write(p []byte) (int, error) {
	if len(f.first) < 8 {
		f.first = append(f.first, p[:min(len(p), 8-len(f.first))]...)
	}
	f.n += int64(len(p))
	f.nul = f.nul || bytes.IndexByte(p, 0) >= 0
	text := append(f.carry, p...)
	// The last character may go on in the next part.
	cut := len(text)
	for back := 1; back <= min(utf8.UTFMax-1, len(text)); back++ {
		if b := text[len(text)-back]; utf8.RuneStart(b) {
			if b >= utf8.RuneSelf && !utf8.FullRune(text[len(text)-back:]) {
				cut = len(text) - back
			}
			break
		}
	}
	f.wrong = f.wrong || !utf8.Valid(text[:cut])
	f.carry = bytes.Clone(text[cut:])
	return len(p), nil
}

// encoding is what the bytes are most likely in.
func (f *byteFacts) encoding() (name string, guessed bool, err error) {
	valid := !f.wrong && len(f.carry) == 0
	switch {
	case f.n == 0:
		return "", false, invalid("The file is empty. Nothing was stored.")
	case bytes.HasPrefix(f.first, []byte("PK\x03\x04")):
		return "", false, invalid("That is a workbook (.xlsx) or another zip file, not CSV. In the spreadsheet, choose “Save as” and “CSV UTF-8”, and upload that. Nothing was stored.")
	case bytes.HasPrefix(f.first, []byte{0xff, 0xfe}):
		return EncodingUTF16LE, false, nil
	case bytes.HasPrefix(f.first, []byte{0xfe, 0xff}):
		return EncodingUTF16BE, false, nil
	case f.nul:
		return "", false, invalid("That is no text: it holds zero bytes. If it is UTF-16, save it with a byte order mark, or as “CSV UTF-8”. Nothing was stored.")
	case bytes.HasPrefix(f.first, []byte("\xef\xbb\xbf")):
		return EncodingUTF8BOM, false, nil
	case valid:
		return EncodingUTF8, false, nil
	}
	return Encoding1252, true, nil
}

// bulkReader reads a stored file part by part.
type bulkReader struct {
	ctx  context.Context
	org  db.Org
	id   BulkID
	next int
	left []byte
}

// Read reads from the part at hand.
func (r *bulkReader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		part, err := r.org.BulkPart(r.ctx, r.id, r.next)
		if errors.Is(err, db.ErrNotFound) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		r.next++
		r.left = part
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// decoded reads a file as UTF-8 without a byte order mark.
func decoded(r io.Reader, encoding string) io.Reader {
	switch encoding {
	case EncodingUTF16LE:
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Reader(r)
	case EncodingUTF16BE:
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder().Reader(r)
	case Encoding1252:
		return charmap.Windows1252.NewDecoder().Reader(r)
	}
	return &unmarked{r: r}
}

// unmarked takes a byte order mark off.
type unmarked struct {
	r     io.Reader
	begun bool
	left  []byte
}

// Read reads on.
func (u *unmarked) Read(p []byte) (int, error) {
	if !u.begun {
		u.begun = true
		head := make([]byte, 3)
		n, err := io.ReadFull(u.r, head)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return 0, err
		}
		u.left = bytes.TrimPrefix(head[:n], []byte("\xef\xbb\xbf"))
	}
	if len(u.left) > 0 {
		n := copy(p, u.left)
		u.left = u.left[n:]
		return n, nil
	}
	return u.r.Read(p)
}

// errRecordTooLong ends a file whose quotes do not close.
var errRecordTooLong = errors.New("a line is longer than what is read of one")

// bulkRecords reads the lines of a file, whatever their ends, and never holds
// more than maxBulkRecord of it.
type bulkRecords struct {
	csv    *csv.Reader
	r      io.Reader
	oldMac bool
	read   int // bytes since the last line
}

func newBulkRecords(r io.Reader, f BulkFormat) *bulkRecords {
	b := &bulkRecords{r: decoded(r, f.Encoding), oldMac: f.LineEnds == "CR"}
	b.csv = csv.NewReader(b)
	b.csv.Comma = ','
	if f.Separator != "" {
		b.csv.Comma, _ = utf8.DecodeRuneInString(f.Separator)
	}
	b.csv.FieldsPerRecord = -1
	b.csv.ReuseRecord = true
	return b
}

// Read reads what the CSV reader asks for.
func (b *bulkRecords) Read(p []byte) (int, error) {
	if b.read > maxBulkRecord {
		return 0, errRecordTooLong
	}
	n, err := b.r.Read(p)
	b.read += n
	if b.oldMac {
		for i, c := range p[:n] {
			if c == '\r' {
				p[i] = '\n'
			}
		}
	}
	return n, err
}

// next is the next line with the number that it begins at. A line that is no
// CSV is wrong, and reading goes on behind it; err ends the file.
func (b *bulkRecords) next() (cells []string, line int, wrong string, err error) {
	b.read = 0
	cells, err = b.csv.Read()
	var parse *csv.ParseError
	switch {
	case err == nil:
		line, _ = b.csv.FieldPos(0)
		return cells, line, "", nil
	case errors.As(err, &parse):
		switch {
		case errors.Is(parse.Err, csv.ErrBareQuote):
			wrong = "A quote stands inside a cell that does not begin with one. Put the whole cell into quotes and double the quotes inside."
		case parse.Line > parse.StartLine:
			wrong = fmt.Sprintf("A quote that opens here is not closed properly (seen on line %d). The lines up to there were not read.", parse.Line)
		default:
			wrong = "A quote is not closed properly. Quotes inside of a quoted cell must be doubled."
		}
		return nil, parse.StartLine, wrong, nil
	}
	return nil, 0, "", err
}

// sniff judges a file by its beginning. What want says of it holds; empty
// fields are found out.
func sniff(text io.Reader, want BulkFormat) (BulkFormat, error) {
	f := want
	head, err := io.ReadAll(io.LimitReader(decoded(text, f.Encoding), bulkSample))
	if err != nil {
		return f, err
	}
	if len(head) == bulkSample { // an unfinished last line says nothing
		if i := bytes.LastIndexAny(head, "\r\n"); i > 0 {
			head = head[:i+1]
		}
	}
	f.LineEnds = lineEnds(head)
	if f.Separator == "" {
		f.Separator = separator(head, f.LineEnds)
	}
	rows := sampleRows(head, f, bulkSampleRow)
	if len(rows) == 0 {
		return f, invalid("The file holds no line that can be read. Nothing was stored.")
	}
	f.Columns = len(rows[0])
	if f.Columns > MaxBulkColumns {
		return f, invalid("The first line has %s; at most %d are taken. Remove those that are not needed. Nothing was stored.", plural(f.Columns, "column"), MaxBulkColumns)
	}
	f.Sample = rows
	return f, nil
}

func lineEnds(head []byte) string {
	crlf := bytes.Count(head, []byte("\r\n"))
	lf, cr := bytes.Count(head, []byte("\n"))-crlf, bytes.Count(head, []byte("\r"))-crlf
	switch {
	case lf == 0 && crlf == 0 && cr > 0:
		return "CR"
	case crlf > 0 && lf > 0:
		return "mixed"
	case crlf > 0:
		return "CRLF"
	}
	return "LF"
}

// separator is what cuts the first lines into the most cells, alike in each.
func separator(head []byte, ends string) string {
	best, most := ",", 0
	for _, s := range []string{",", ";", "\t", "|"} {
		rows := sampleRows(head, BulkFormat{Encoding: EncodingUTF8, Separator: s, LineEnds: ends}, 20)
		if len(rows) == 0 {
			continue
		}
		score := 0
		for _, r := range rows {
			if len(r) == len(rows[0]) && len(r) > 1 {
				score += 100 + len(r)
			}
		}
		if score > most {
			best, most = s, score
		}
	}
	return best
}

func sampleRows(head []byte, f BulkFormat, most int) [][]string {
	f.Encoding = EncodingUTF8
	r := newBulkRecords(bytes.NewReader(head), f)
	var rows [][]string
	for tries := 0; len(rows) < most && tries < 100; tries++ {
		cells, _, wrong, err := r.next()
		if err != nil {
			break
		}
		if wrong != "" {
			continue
		}
		row := make([]string, min(len(cells), MaxBulkColumns+1))
		for i := range row {
			row[i] = strings.ToValidUTF8(shortTo(cells[i], 80), "\ufffd")
		}
		rows = append(rows, row)
	}
	return rows
}

// looksLikeHeader says whether the first line names columns.
func looksLikeHeader(rows [][]string) bool {
	if len(rows) == 0 {
		return false
	}
	seen := map[string]bool{}
	for _, c := range rows[0] {
		c = strings.TrimSpace(c)
		_, err := strconv.ParseFloat(c, 64)
		if err == nil || strings.Contains(c, "@") || c != "" && seen[strings.ToLower(c)] {
			return false
		}
		seen[strings.ToLower(c)] = true
	}
	return true
}

func shortTo(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// looksLikeFormula says whether a spreadsheet would compute a cell. A negative
// number is none.
func looksLikeFormula(cell string) bool {
	if EscapeCell(cell) == cell {
		return false
	}
	_, err := strconv.ParseFloat(cell, 64)
	return cell[0] != '-' || err != nil
}
