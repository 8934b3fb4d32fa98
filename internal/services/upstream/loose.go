package upstream

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// Object is a JSON object read without trust in its types: what is missing or
// of another kind reads as absent. Keys are in lower case, because the vendors
// disagree with their own contracts about "userID" and "userId".
type Object map[string]json.RawMessage

// ParseObject reads an object. ok is false if raw is anything else.
func ParseObject(raw []byte) (o Object, ok bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' {
		return nil, false
	}
	var exact map[string]json.RawMessage
	if json.Unmarshal(raw, &exact) != nil {
		return nil, false
	}
	o = make(Object, len(exact))
	for key, value := range exact {
		lower := strings.ToLower(key)
		// Of two keys that differ in case only, the one already in lower case wins.
		if _, taken := o[lower]; !taken || key == lower {
			o[lower] = value
		}
	}
	return o, true
}

// Has says whether the key is there, be it as null.
func (o Object) Has(key string) bool {
	_, ok := o[key]
	return ok
}

// Object returns the object under key, nil if there is none.
func (o Object) Object(key string) Object {
	child, _ := ParseObject(o[key])
	return child
}

// Text returns the first text under one of the keys, see Text.
func (o Object) Text(keys ...string) string {
	for _, key := range keys {
		if text := Text(o[key]); text != "" {
			return text
		}
	}
	return ""
}

// Int returns the number under key.
func (o Object) Int(key string) (int64, bool) { return Int(o[key]) }

// Time returns the time under key, zero if there is none.
func (o Object) Time(key string) time.Time { return Time(o[key]) }

// Bool returns whether the value under key is true, "true" or a number but 0.
func (o Object) Bool(key string) bool {
	switch strings.ToLower(Text(o[key])) {
	case "", "false", "0", "no":
		return false
	}
	return true
}

// List returns the array under key, nil if there is none.
func (o Object) List(key string) []json.RawMessage { return List(o[key]) }

// List returns the elements of an array, nil if raw is anything else.
func List(raw json.RawMessage) []json.RawMessage {
	var list []json.RawMessage
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return list
}

// Text returns a string's content, and numbers and booleans to the letter;
// anything else is "". NUL characters are dropped: they end a text for half of
// the tools it may pass through.
func Text(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '"':
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return ""
		}
		return strings.ReplaceAll(text, "\x00", "")
	case '{', '[', 'n':
		return ""
	}
	return string(raw)
}

// Int returns a number, also from a string, and drops a fraction. ok is false
// if there is none or it does not fit.
func Int(raw json.RawMessage) (value int64, ok bool) {
	text := strings.TrimSpace(Text(raw))
	if value, err := strconv.ParseInt(text, 10, 64); err == nil {
		return value, true
	}
	float, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(float) || float >= math.MaxInt64 || float <= math.MinInt64 {
		return 0, false
	}
	return int64(float), true
}

// ID returns an identifier as text: digits to the letter, and a whole number in
// exponent form written out. An object, null or nothing is "".
func ID(raw json.RawMessage) string {
	text := strings.TrimSpace(Text(raw))
	trimmed := bytes.TrimSpace(raw)
	if len(trimmed) > 0 && (trimmed[0] == 't' || trimmed[0] == 'f') {
		return ""
	}
	if len(trimmed) == 0 || trimmed[0] == '"' || !strings.ContainsAny(text, ".eE") || len(text) > 40 {
		return text
	}
	number, ok := new(big.Rat).SetString(boundExponent(text))
	if !ok || !number.IsInt() {
		return text
	}
	return number.Num().String()
}

// boundExponent spoils numbers whose exponent would take memory to write out.
func boundExponent(text string) string {
	if _, exponent, found := strings.Cut(strings.ToLower(text), "e"); found {
		if n, err := strconv.Atoi(exponent); err != nil || n > 40 || n < -40 {
			return ""
		}
	}
	return text
}

// timeForms are the ways a vendor may write a time. Without a zone it is UTC:
// "All datetimes are in ISO 8601 UTC format" (Raygun). Fractions are read by all.
var timeForms = []string{
	time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02", time.RFC1123,
	"2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z0700", time.RFC1123Z, // ISO 8601 has zones without the colon, too
}

// Time returns a time in UTC: ISO 8601 with or without zone and fraction, or a
// number of milliseconds (or, below the year 1973 in those, seconds) since 1970.
// Zero means there is none that can be read.
func Time(raw json.RawMessage) time.Time {
	text := strings.TrimSpace(Text(raw))
	if text == "" {
		return time.Time{}
	}
	if number, ok := Int(raw); ok {
		const firstMillisecond = 100_000_000_000
		switch {
		case number <= 0 || number > 1<<53:
			return time.Time{}
		case number < firstMillisecond:
			return sane(time.Unix(number, 0))
		}
		return sane(time.UnixMilli(number))
	}
	for _, form := range timeForms {
		if t, err := time.Parse(form, text); err == nil {
			return sane(t)
		}
	}
	return time.Time{}
}

// sane drops times that no session can have, .NET's year 1 among them, so that
// everything left fits in milliseconds and four digits.
func sane(t time.Time) time.Time {
	t = t.UTC()
	if t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}
