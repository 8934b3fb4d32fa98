package services

import (
	"encoding/json"
	"regexp"
	"strconv"
	"time"

	"sightline/internal/services/graphql"
)

var timeWord = regexp.MustCompile(`^\{\{ ?(now|date|ms)(?: ?- ?(\d{1,4})([hdw]))? ?\}\}$`)

// fillTimes replaces texts that stand for a time: {{now}} is the moment at which
// the schedule asks, {{date}} its day and {{ms}} its milliseconds since 1970;
// {{now-7d}} is seven days before, and h are hours, w weeks.
func fillTimes(v any, at time.Time) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = fillTimes(inner, at)
		}
	case []any:
		for i, inner := range v {
			v[i] = fillTimes(inner, at)
		}
	case string:
		m := timeWord.FindStringSubmatch(v)
		if m == nil {
			return v
		}
		n, _ := strconv.Atoi(m[2])
		back := map[string]time.Duration{"h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[3]]
		at = at.UTC().Add(-time.Duration(n) * back)
		switch m[1] {
		case "date":
			return at.Format(time.DateOnly)
		case "ms":
			return json.Number(strconv.FormatInt(at.UnixMilli(), 10))
		}
		return at.Format(time.RFC3339)
	}
	return v
}

func filledVariables(text string, at time.Time) (map[string]any, *graphql.Problem) {
	values, problem := graphql.ReadVariables(text)
	if problem != nil {
		return nil, problem
	}
	fillTimes(values, at)
	return values, nil
}
