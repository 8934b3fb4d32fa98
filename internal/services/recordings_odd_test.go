package services

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
)

// TestOddFilesEndInAReport reads what is no export file, or a hostile one: each
// ends in a sentence, and nothing else is harmed.
func TestOddFilesEndInAReport(t *testing.T) {
	t.Parallel()
	whole := zip(busyFile(300))
	var many, texts bytes.Buffer
	for i := range 150 {
		fmt.Fprintf(&many, `{"type":"lr.Metadata","time":1763812800000,"recordingID":"5-%d","sessionID":0}`+"\n", i)
	}
	for i := range maxRecordingTexts + 50 {
		fmt.Fprintf(&texts, `{"type":"customEvent","time":1763812800000,"name":"event number %d"}`+"\n", i)
	}
	tests := []struct {
		name, want       string
		file             []byte
		recordings       int
		bad, events, gon int64 // gon is texts that are left out
	}{
		{"empty", "The file is empty.", nil, 0, 0, 0, 0},
		{"a picture", "No line of it is an event", []byte("\x89PNG\r\n\x1a\n\x00\x00"), 0, 3, 0, 0},
		{"truncated", "The file breaks off", whole[:len(whole)/2], 1, -1, -1, 0},
		{"many recordings", "", many.Bytes(), maxFileRecordings, 150 - maxFileRecordings, maxFileRecordings, 0},
		{"many texts", "", texts.Bytes(), 1, 0, maxRecordingTexts + 50, 50},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newRecordingSite(t)
			report, list := s.ingest("x", tt.file)
			if !strings.HasPrefix(report.Message, tt.want) || (report.Message == "") != (tt.want == "") || report.Recordings != tt.recordings || len(list) != tt.recordings {
				t.Errorf("report %+v, %d recordings", report, len(list))
			}
			if tt.bad >= 0 && (report.BadLines != tt.bad || report.Events != tt.events) {
				t.Errorf("report %+v", report)
			}
			if tt.gon > 0 && list[0].TextsLeft != tt.gon {
				t.Errorf("%d texts were left out, want %d", list[0].TextsLeft, tt.gon)
			}
			if bad, err := s.r.BadLines(t.Context(), 1, 1); err != nil || tt.bad > 0 && int64(len(bad)) != min(tt.bad, keptBadLines) {
				t.Errorf("%d bad lines are kept (%v)", len(bad), err)
			}
		})
	}
}

// TestTimesThatAreMissingOrWrongAreMended reads events that tell no time, a time
// since the beginning, and one that cannot be.
func TestTimesThatAreMissingOrWrongAreMended(t *testing.T) {
	t.Parallel()
	s := newRecordingSite(t)
	begin := startOf(firstPair)
	var b strings.Builder
	for _, when := range []string{
		fmt.Sprintf(`"time":%d`, begin.UnixMilli()), `"session_time":1500`, `"none":1`, `"time":"1999-01-01T00:00:00Z"`,
		`"time":"2150-01-01T00:00:00Z"`, fmt.Sprintf(`"timestamp":"%s"`, begin.Add(2*time.Second).Format(time.RFC3339Nano)),
	} {
		fmt.Fprintf(&b, `{"type":"x",%s}`+"\n", when)
	}
	report, list := s.ingest("https://exports.example.com/"+firstPair+"/4.jsonl.gz", []byte(b.String()))
	if report.Recordings != 1 || list[0].VendorRecording != firstPair || list[0].VendorSession != "4" || !list[0].StartedAt.Equal(begin) || list[0].Length() != 2*time.Second {
		t.Fatalf("report %+v, recordings %+v", report, list)
	}
	page, err := s.r.Events(t.Context(), 1, list[0].ID, EventFilter{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []time.Duration
	for _, e := range page.Events {
		got = append(got, e.At.Sub(begin))
	}
	if fmt.Sprint(got) != "[0s 1.5s 1.5s 1.5s 1.5s 2s]" {
		t.Errorf("times %v", got)
	}
}

// A recording that goes on slowly among others does not keep what was read
// between its lines in memory.
func TestReadingHoldsNoMoreThanIsOpen(t *testing.T) {
	t.Parallel()
	s := newRecordingSite(t)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	filler, n := strings.Repeat("x", 130<<10), 0
	var before, grown int64
	var left []byte
	in := readerFunc(func(p []byte) (int, error) {
		if len(left) == 0 {
			switch n++; n {
			case 20:
				before = heap()
			case blockEvents: // fewer than are stored at once
				grown = heap() - before
				return 0, io.EOF
			}
			left = fmt.Appendf(nil, `{"type":"a","time":%d,"recordingID":"busy","p":"%s"}`+"\n"+`{"type":"b","time":%[1]d,"recordingID":"slow"}`+"\n", 1_763_812_800_000+n, filler)
		}
		k := copy(p, left)
		left = left[k:]
		return k, nil
	})
	report, err := s.r.Read(t.Context(), s.add("a.jsonl"), func() (io.ReadCloser, error) { return io.NopCloser(in), nil })
	if err != nil || report.Events != 2*(blockEvents-1) {
		t.Fatalf("%+v, %v", report, err)
	}
	if grown > 30<<20 {
		t.Errorf("%d MB more are held after %d lines than after 20", grown>>20, blockEvents)
	}
}

// Addresses that differ in their ids are one text, and however many and long they
// are, few of them are remembered as they are written.
func TestWrittenTextsAreForgotten(t *testing.T) {
	i := &ingest{made: map[recordingKey]*recorder{}}
	for n := range 20 {
		r := i.add(recordingKey{fmt.Sprint("5-", n), "0"}, true)
		for k := range maxSeen {
			r.text(db.TextPage, "", fmt.Sprintf("https://shop.example.com/orders/%d", 100_000+k))
		}
		r.text(db.TextPage, "", "https://shop.example.com/"+strings.Repeat("long/", 500))
	}
	texts, bytes := 0, 0
	for _, r := range i.order {
		for w := range r.seen {
			texts++
			bytes += len(w.text)
		}
	}
	if i.texts != 2*20 || texts > maxSeen || bytes > maxSeen*maxSeenText {
		t.Errorf("%d texts; %d of %d bytes are remembered as they are written", i.texts, texts, bytes)
	}
}
