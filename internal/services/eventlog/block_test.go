package eventlog_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sightline/internal/services/eventlog"
)

func TestWhatIsPackedIsReadTheSame(t *testing.T) {
	entries := []eventlog.Entry{
		{Number: 7, At: 1763812800123, Lane: eventlog.Error, Failed: true, Raw: []byte(`{"type":"exception","message":"x"}`)},
		{Number: 3, At: 1763812800123, Lane: eventlog.Other, Raw: []byte(`{"type":"acme"}`)},
		{Number: 9_000_000_000, At: 5, Lane: eventlog.Custom, Raw: []byte(`{"type":"customEvent","name":"` + strings.Repeat("long ", 20_000) + `"}`)},
	}
	p, err := eventlog.NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	u, err := eventlog.NewUnpacker()
	if err != nil {
		t.Fatal(err)
	}
	var span eventlog.Span
	for _, e := range entries {
		span.Add(e)
	}
	for range 2 { // the packer's buffers are used again
		block := p.Pack(entries)
		got, err := u.Unpack(block)
		if d := cmp.Diff(entries, got); err != nil || d != "" {
			t.Fatalf("%v %s", err, d)
		}
		for _, broken := range [][]byte{nil, {9}, block[:len(block)/2], append([]byte{1}, "nonsense"...)} {
			if _, err := u.Unpack(broken); err == nil {
				t.Errorf("%d bytes of nonsense are a block", len(broken))
			}
		}
	}
	if e := entries[0].Event(); e.Message != "x" || e.Lane != eventlog.Error {
		t.Errorf("event %+v", e)
	}
	spans := []eventlog.Span{span, {First: 2, Last: 9, Failed: 1, Lanes: [eventlog.Lanes]int{1, 2, 3}}}
	if got, err := eventlog.UnpackMap(eventlog.PackMap(spans)); err != nil || cmp.Diff(spans, got) != "" || span.Events() != 3 || span.First != 5 || span.Failed != 1 {
		t.Errorf("%v %s", err, cmp.Diff(spans, got))
	}
	calls := []eventlog.Call{{Asked: 4, Answered: -1, At: 9, Took: -1, Size: -1, Text: -1}, {Asked: -1, Answered: 3, At: 1763812800123, Took: 81, Size: 1 << 40, Status: 502, Text: 7}}
	packed := eventlog.PackCalls(calls)
	if got, err := eventlog.UnpackCalls(packed); err != nil || cmp.Diff(calls, got) != "" {
		t.Errorf("%v %s", err, cmp.Diff(calls, got))
	}
	if _, err := eventlog.UnpackCalls(packed[:len(packed)-1]); err == nil {
		t.Error("half of a call is one")
	}
}
