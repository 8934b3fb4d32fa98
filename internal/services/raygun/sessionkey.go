package raygun

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
)

// keyLife is how long a session key is used. Raygun says it is good for 15
// minutes; the last one is left for calls under way.
const keyLife = 14 * time.Minute

// keyKeeper keeps the session key that all calls share.
type keyKeeper struct {
	// lock is held while reading or renewing: a channel, so that waiting for it
	// ends with the caller's context.
	lock      chan struct{}
	now       func() time.Time
	key       secrets.Secret
	until     time.Time
	dialect   Dialect
	onDialect func(Dialect)
	// lastErr is how the latest renewal failed, nil if it did not.
	lastErr error
}

// authenticated is what one successful authenticate brought.
type authenticated struct {
	method string
	status int
	took   time.Duration
}

// sessionKey returns the key to call with. stale is a key that Raygun has just
// refused, zero if there is none: it is renewed unless another caller has done
// so meanwhile. Of many callers one asks, and the others share what it gets.
func (v *V1) sessionKey(ctx context.Context, stale secrets.Secret) (secrets.Secret, error) {
	k := &v.keys
	waited := false
	select {
	case k.lock <- struct{}{}:
	default:
		waited = true
		select {
		case k.lock <- struct{}{}:
		case <-ctx.Done():
			kind := upstream.Canceled
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				kind = upstream.TimedOut
			}
			return secrets.Secret{}, &upstream.Error{Kind: kind, Vendor: v.up.Vendor(), Operation: "authenticate", Err: ctx.Err()}
		}
	}
	defer func() { <-k.lock }()
	if !k.key.IsZero() && k.now().Before(k.until) && (stale.IsZero() || !k.key.Equal(stale)) {
		return k.key, nil
	}
	// Who waited for a renewal that failed would only hear the same again.
	var failed *upstream.Error
	if waited && errors.As(k.lastErr, &failed) && sharedFailure(failed.Kind) {
		own := *failed
		return secrets.Secret{}, &own
	}
	k.key = secrets.Secret{} // not to be used again, even if the renewal fails
	if _, err := v.renew(ctx); err != nil {
		return secrets.Secret{}, err
	}
	return k.key, nil
}

// sharedFailure says whether a failed renewal is the vendor's word and not one
// caller's own trouble.
func sharedFailure(kind upstream.Kind) bool {
	switch kind {
	case upstream.Canceled, upstream.Refused, upstream.TimedOut:
		return false
	}
	return true
}

// authenticate renews the session key now.
func (v *V1) authenticate(ctx context.Context) (authenticated, error) {
	select {
	case v.keys.lock <- struct{}{}:
	case <-ctx.Done():
		return authenticated{}, &upstream.Error{Kind: upstream.Canceled, Vendor: v.up.Vendor(), Operation: "authenticate", Err: ctx.Err()}
	}
	defer func() { <-v.keys.lock }()
	return v.renew(ctx)
}

// renew asks for a session key, with the method that worked last. The
// documentation says GET in its table and POST in its example: where there is no
// such address for one, the other is tried once, and remembered if it works. The
// lock is held.
func (v *V1) renew(ctx context.Context) (authenticated, error) {
	k := &v.keys
	first, second := http.MethodPost, http.MethodGet
	if k.dialect.Authenticate == http.MethodGet {
		first, second = second, first
	}
	got, err := v.ask(ctx, first, 0)
	if wrongMethod(err) {
		var again error
		if got, again = v.ask(ctx, second, 1); again == nil || !wrongMethod(again) {
			err = again
		}
	}
	k.lastErr = err
	if err != nil {
		return authenticated{}, err
	}
	if k.dialect.Authenticate != got.method {
		k.dialect.Authenticate = got.method
		if k.onDialect != nil {
			k.onDialect(k.dialect)
		}
	}
	return got, nil
}

// wrongMethod says whether a server answered that it does not take the method
// here. Some say 501 for one that they do not know at all.
func wrongMethod(err error) bool {
	var failed *upstream.Error
	if !errors.As(err, &failed) {
		return false
	}
	switch failed.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}

// ask makes one authenticate call and keeps the key it brings.
func (v *V1) ask(ctx context.Context, method string, before int) (authenticated, error) {
	basic := base64.StdEncoding.EncodeToString([]byte(v.creds.ClientID.Reveal() + ":" + v.creds.ClientSecret.Reveal()))
	var key secrets.Secret
	request := upstream.Request{
		Operation: "authenticate", Method: method, Path: pulse + "/authenticate",
		Header: http.Header{"X-Apikey": {v.creds.APIKey.Reveal()}, "Authorization": {"Basic " + basic}},
		Retry:  upstream.IfSafe, Before: before,
		Read: func(body []byte) error {
			answer, ok := upstream.ParseObject(body)
			if key = secrets.New(answer.Text("sessionkey")); !ok || key.IsZero() {
				return errors.New("the answer holds no session key")
			}
			v.up.Hide(key)
			return nil
		},
	}
	answer, err := v.up.Do(ctx, request)
	if err != nil {
		return authenticated{}, err
	}
	v.keys.key = key
	v.keys.until = v.keys.now().Add(keyLife)
	return authenticated{method: method, status: answer.Status, took: answer.Duration}, nil
}
