package handlers

import (
	"fmt"
	"testing"
)

// However many browsers come, so many cookies are kept opened, and each leads to
// its own token.
func TestOpenedCookiesAreBounded(t *testing.T) {
	var o openedCookies
	for i := range 3 * maxOpened {
		cookie, token := fmt.Sprint("cookie ", i), fmt.Sprint("token ", i)
		o.put(cookie, token)
		if got, ok := o.get(cookie); !ok || got != token || len(o.tokens) > maxOpened {
			t.Fatalf("%q leads to %q; %d are kept", cookie, got, len(o.tokens))
		}
	}
	if got, ok := o.get("forged"); ok {
		t.Errorf("a cookie that nobody opened leads to %q", got)
	}
}
