package services

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sightline/internal/db/dbtest"
)

// Many at the sign-in page at once take turns: each hash takes 19 MiB.
func TestPasswordsAreHashedInTurn(t *testing.T) {
	p := NewPeople(dbtest.New(t), time.Now, 0)
	long := strings.Repeat("é", maxPassword/2) // as long as a password may be
	if _, err := p.FirstOwner(t.Context(), NewOwner{Email: "a@example.com", Password: long, OrgName: "Acme"}); err != nil {
		t.Fatal(err)
	}
	for range cap(p.hashing) {
		p.hashing <- struct{}{}
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	for _, email := range []string{"a@example.com", "nobody@example.com"} {
		if _, err := p.SignIn(gone, email, long); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, while others have all the turns: %v", email, err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := p.SignIn(t.Context(), "a@example.com", long)
		done <- err
	}()
	for range cap(p.hashing) {
		<-p.hashing
	}
	if err := <-done; err != nil {
		t.Errorf("once it is their turn: %v", err)
	}
	var e *Error
	if _, err := p.SignIn(t.Context(), "a@example.com", long+"x"); !errors.As(err, &e) || e.Kind != Denied {
		t.Errorf("with more behind the password: %v", err)
	}
}

// Tests hash cheaply; who asks for nothing gets what OWASP names.
func TestAPasswordCostsWhatItShould(t *testing.T) {
	hash, err := NewPeople(nil, time.Now, 0).hash(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash = %s, %v", hash, err)
	}
}
