package upstream

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"maps"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"sightline/internal/services/secrets"
)

const (
	// maxSays is how many characters of a vendor's words are kept.
	maxSays = 500
	// maxFirst is how many characters of an unexpected body are kept.
	maxFirst = 200
	// shortestHidden is the shortest text worth hiding: shorter ones would
	// black out ordinary words.
	shortestHidden = 4
	// maxHidden bounds the texts hidden; session keys come and go.
	maxHidden = 400
)

// redactor takes secrets out of texts. It is safe for concurrent use.
type redactor struct {
	mu     sync.RWMutex
	hidden []string // longest first, so that a part does not spoil the whole
}

func newRedactor(all []secrets.Secret) *redactor {
	r := &redactor{}
	for _, s := range all {
		r.add(s)
	}
	return r
}

// add hides a secret in each form it could come back in.
func (r *redactor) add(s secrets.Secret) {
	text := s.Reveal()
	if len(text) < shortestHidden {
		return
	}
	quoted, _ := json.Marshal(text)
	forms := []string{
		text, url.QueryEscape(text), url.PathEscape(text), html.EscapeString(text), strings.Trim(string(quoted), `"`),
		base64.StdEncoding.EncodeToString([]byte(text)), base64.RawStdEncoding.EncodeToString([]byte(text)),
		base64.RawURLEncoding.EncodeToString([]byte(text)),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, form := range forms {
		if !slices.Contains(r.hidden, form) && len(r.hidden) < maxHidden {
			r.hidden = append(r.hidden, form)
		}
	}
	slices.SortFunc(r.hidden, func(a, b string) int { return len(b) - len(a) })
}

// clean returns text as printable words without secrets.
func (r *redactor) clean(text string) string {
	text = printable(text)
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, form := range r.hidden {
		text = strings.ReplaceAll(text, form, "[redacted]")
	}
	return text
}

// cut cleans text and shortens it to so many characters: in this order, or half
// a secret could stand at the end.
func (r *redactor) cut(text string, characters int) string {
	text = r.clean(text)
	if utf8.RuneCountInString(text) <= characters {
		return text
	}
	return string([]rune(text)[:characters-1]) + "…"
}

// first returns the beginning of a body for showing.
func (r *redactor) first(body []byte) string {
	return r.cut(string(body[:min(len(body), 64*maxFirst)]), maxFirst)
}

// printable drops what does not print, such as control and direction
// characters, and makes one space of any run of white space.
func printable(text string) string {
	text = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c), unicode.IsControl(c):
			return ' '
		case c == utf8.RuneError, !unicode.IsPrint(c):
			return -1
		}
		return c
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

var (
	unseen = regexp.MustCompile(`(?is)<(script|style|head)\b.*?</(script|style|head)\s*>|<!--.*?-->`)
	tag    = regexp.MustCompile(`<[/!?]?[a-zA-Z][^<>]*>`)
)

// plain takes the markup out of HTML or XML.
func plain(text string) string {
	bare := tag.ReplaceAllString(unseen.ReplaceAllString(text, " "), " ")
	if strings.TrimSpace(bare) == "" { // all there is stood in the head
		bare = tag.ReplaceAllString(text, " ")
	}
	return html.UnescapeString(bare)
}

// says finds a vendor's words in the body of an error: in the JSON forms that
// LogRocket, Raygun and problem details use, else the text itself. coded tells
// which it was.
func says(body []byte) (words string, coded bool) {
	object, ok := ParseObject(body)
	if !ok {
		var text string
		if json.Unmarshal(body, &text) == nil {
			return plain(text), true
		}
		return plain(string(body)), false
	}
	var found []string
	add := func(text string) {
		if text = strings.TrimSpace(plain(text)); text != "" && !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	add(message(object["error"]))
	for _, key := range []string{"error_description", "title", "message", "detail"} {
		add(message(object[key]))
	}
	for _, one := range List(object["errors"]) {
		add(message(one))
	}
	var fields map[string]json.RawMessage // problem details by field
	if json.Unmarshal(object["errors"], &fields) == nil {
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			for _, one := range append(List(fields[field]), fields[field]) {
				if text := message(one); text != "" {
					add(field + ": " + text)
				}
			}
		}
	}
	if len(found) == 0 {
		return plain(string(body)), true
	}
	return strings.Join(found, ". "), true
}

// message reads a text, or the text an error object holds.
func message(raw json.RawMessage) string {
	if object, ok := ParseObject(raw); ok {
		for _, key := range []string{"message", "detail", "title", "error", "code"} {
			if text := object.Text(key); text != "" {
				return text
			}
		}
		return ""
	}
	if !strings.HasPrefix(strings.TrimSpace(string(raw)), `"`) { // {"error":true}
		return ""
	}
	return Text(raw)
}

var keyWords = regexp.MustCompile(`(?i)\b(token|key|signature|credentials?)\b.*\b(invalid|expired|malformed|revoked|not valid|unknown|not found)\b|\b(invalid|expired|malformed|revoked|unknown|bad)\b.*\b(token|key|signature|credentials?)\b`)

// aboutTheKey says whether a 403 means the key itself. LogRocket has been seen
// to answer so: {"detail":"token signature is invalid"}.
func aboutTheKey(words string) bool { return keyWords.MatchString(words) }

var (
	challenge = regexp.MustCompile(`(?i)\bscope="?([^",]+)`)
	scopeWord = regexp.MustCompile(`\b[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*:(?:read|write|delete|admin|pages|sessions)\b`)
)

// scope finds the permission that a 403 says is missing.
func scope(header, words string) string {
	if found := challenge.FindStringSubmatch(header); found != nil {
		return strings.TrimSpace(found[1])
	}
	return scopeWord.FindString(words)
}

// retryAfter reads the header, as seconds or as a date. The zero time means it
// said nothing that can be read. A date is the vendor's, whose clock may be
// another than ours: what counts is how far it is from the answer's own.
func retryAfter(header http.Header, now time.Time) time.Time {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return time.Time{}
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		const year = 366 * 24 * 3600
		if math.IsNaN(seconds) || seconds < 0 || seconds > year {
			return time.Time{}
		}
		return now.Add(time.Duration(seconds * float64(time.Second)))
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return time.Time{}
	}
	if theirs, err := http.ParseTime(header.Get("Date")); err == nil {
		date = now.Add(date.Sub(theirs))
	}
	if date.Before(now) {
		return now
	}
	return date
}
