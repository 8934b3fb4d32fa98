package handlers

import (
	"net/http/httptest"
	"testing"
)

func TestCallersCannotMakeUpTheirAddress(t *testing.T) {
	tests := []struct {
		name, remote string
		forwarded    []string
		trust        bool
		want         string
	}{
		{"straight", "192.0.2.7:4711", nil, false, "192.0.2.7"},
		{"header without a proxy", "192.0.2.7:4711", []string{"198.51.100.1"}, false, "192.0.2.7"},
		{"behind the proxy", "127.0.0.1:4711", []string{"192.0.2.7"}, true, "192.0.2.7"},
		{"made up before the proxy", "127.0.0.1:4711", []string{"198.51.100.1, 192.0.2.7"}, true, "192.0.2.7"},
		{"made up in a header of its own", "127.0.0.1:4711", []string{"198.51.100.1", "192.0.2.7"}, true, "192.0.2.7"},
		{"no address at all", "127.0.0.1:4711", []string{"unknown"}, true, "127.0.0.1"},
		{"one subscriber's IPv6 network", "[2001:db8::1]:4711", nil, false, "2001:db8::"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/login", nil)
			r.RemoteAddr = test.remote
			for _, f := range test.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
			r.Header.Set("X-Real-IP", "198.51.100.2")
			r.Header.Set("True-Client-IP", "198.51.100.3")
			if got := newSignInLimits(test.trust).address(r); got != test.want {
				t.Errorf("counted as %s, want %s", got, test.want)
			}
		})
	}
}
