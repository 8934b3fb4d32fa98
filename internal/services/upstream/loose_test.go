package upstream_test

import (
	"encoding/json"
	"testing"
	"time"

	"sightline/internal/services/upstream"
)

func TestIDsKeepTheirDigits(t *testing.T) {
	for raw, want := range map[string]string{
		`9007199254740993`: "9007199254740993", `"0042"`: "0042", `-1`: "-1", `1e3`: "1000", `1.50e2`: "150", `1.5`: "1.5", `" a "`: "a",
		`null`: "", `true`: "", `{}`: "", `[1]`: "", ``: "", `1e999999999`: "1e999999999", `"x\u0000y"`: "xy", `0`: "0",
	} {
		if got := upstream.ID(json.RawMessage(raw)); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}

func TestNumbersAreReadFromWhateverHoldsThem(t *testing.T) {
	for raw, want := range map[string]int64{`12`: 12, `"12"`: 12, `12.9`: 12, `-3.9`: -3, `1e3`: 1000, `9223372036854775807`: 9223372036854775807, `" 7 "`: 7} {
		if got, ok := upstream.Int(json.RawMessage(raw)); !ok || got != want {
			t.Errorf("%s: %d, %v", raw, got, ok)
		}
	}
	for _, raw := range []string{``, `null`, `"x"`, `{}`, `true`, `1e30`, `"NaN"`, `"Inf"`, `9223372036854775808`} {
		if got, ok := upstream.Int(json.RawMessage(raw)); ok {
			t.Errorf("%s: %d", raw, got)
		}
	}
}

func TestTimesAreReadInEveryFormSeen(t *testing.T) {
	want := time.Date(2017, 1, 25, 1, 18, 25, 0, time.UTC)
	for raw, extra := range map[string]time.Duration{
		`"2017-01-25T01:18:25Z"`: 0, `"2017-01-25T01:18:25"`: 0, `"2017-01-25 01:18:25"`: 0, `"2017-01-25T14:18:25+13:00"`: 0,
		`"2017-01-25T14:18:25+1300"`: 0, `"2017-01-25 14:18:25.000+1300"`: 0, `"Wed, 25 Jan 2017 14:18:25 +1300"`: 0,
		`"2017-01-25T01:18:25.854Z"`: 854e6, `"2017-01-25T01:18:25.8541234"`: 854123400, `1485307105854`: 854e6, `"1485307105854"`: 854e6, `1485307105`: 0,
	} {
		if got := upstream.Time(json.RawMessage(raw)); !got.Equal(want.Add(extra)) || got.Location() != time.UTC {
			t.Errorf("%s: %v", raw, got)
		}
	}
	for _, raw := range []string{``, `null`, `""`, `"soon"`, `"0001-01-01T00:00:00"`, `0`, `-5`, `1e300`, `{}`, `"9999999-01-01"`} {
		if got := upstream.Time(json.RawMessage(raw)); !got.IsZero() {
			t.Errorf("%s: %v", raw, got)
		}
	}
}

func TestKeysAreFoundInAnyCase(t *testing.T) {
	o, ok := upstream.ParseObject([]byte(` {"UserID":"a","userId":"b","userid":"c","N":{"X":1}}`))
	if n, _ := o.Object("n").Int("x"); !ok || o.Text("userid") != "c" || n != 1 || !o.Has("n") || o.Has("y") {
		t.Errorf("got %s", o)
	}
}

func FuzzLoose(f *testing.F) {
	for _, seed := range []string{`{"a":[1,{"b":null}]}`, `"2017-01-25T01:18:25Z"`, `1e400`, `[[[`, `"\ud800"`, `-0.0e-0`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, ok := upstream.ParseObject(raw)
		if ok != (o != nil) {
			t.Error("an object that is none")
		}
		for _, one := range append(upstream.List(raw), raw) {
			upstream.Text(one)
			upstream.ID(one)
			upstream.Int(one)
			if at := upstream.Time(one); !at.IsZero() && (at.Year() < 1970 || at.Year() > 9999) {
				t.Errorf("%s is %v", one, at)
			}
		}
	})
}
