// Package secrets holds credentials without showing them: Secret is a text that
// prints, logs and marshals as [redacted], and Box seals such texts with Tink,
// each bound to the one place it belongs to.
package secrets

import (
	"crypto/subtle"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted stands wherever a Secret would have been printed.
const redacted = "[redacted]"

// Secret is a text nobody may see by accident. Only Reveal gives it out. The
// zero value is the absent secret.
//
// The text hangs on a pointer because fmt does not call methods on unexported
// fields: a struct holding a Secret there prints an address, not the text.
type Secret struct {
	text *string
}

// New keeps text as a Secret. An empty text gives the zero Secret.
func New(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text. Call it only where the secret is used: in a request
// header, or to seal it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero says whether there is no secret.
func (s Secret) IsZero() bool { return s.text == nil }

// Equal compares two secrets in a time that does not depend on where they differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String returns [redacted].
func (s Secret) String() string { return redacted }

// GoString returns [redacted].
func (s Secret) GoString() string { return redacted }

// Format writes [redacted] for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON returns "[redacted]".
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns [redacted].
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue logs [redacted].
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Value always fails: a secret goes into a database sealed, or not at all.
func (s Secret) Value() (driver.Value, error) {
	return nil, errors.New("secrets: a secret must be sealed before it is stored")
}
