package services

import "testing"

func TestVariablesAreSpoken(t *testing.T) {
	for name, want := range map[string]string{"from": "From", "createdAfter": "Created after", "user_id": "User id", "userID": "User ID", "_x": "X", "_": "_", "p95Ms": "P95 ms"} {
		if got := spoken(name); got != want {
			t.Errorf("%q is spoken %q, want %q", name, got, want)
		}
	}
}
