package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"

	"github.com/inproc/faas"
)

const redacted = "[redacted]"

// Secret is a text that must not be seen: a key, a token, a password. However it
// is printed, encoded or logged, "[redacted]" is what comes out: by fmt with
// any verb, by log/slog, as text, JSON, XML and gob, in a panic, and inside
// structs, exported field or not. Only [Secret.Reveal] gives the value.
//
// The zero value is no secret, and prints like one. Secrets can't be compared
// by ==, and are no keys of maps; use [Secret.Equal]. A Secret is as safe for
// concurrent use as a string.
//
// It decodes from text, so that configuration can be read into it; a text that
// is "[redacted]" is an error, for it has been through an encoder. So a secret
// does not survive faas.WithCopy: hand it over with [Give].
//
// It keeps secrets from being seen by mistake. Code of the same process that
// wants to see them can, and so can a core dump.
type Secret struct { //nolint:recvcheck // the two that decode write to it
	// The value is held by a closure, where reflection does not get at it: fmt
	// and others that dump values print the unexported fields of a struct
	// without asking for its methods.
	reveal func() string
}

// NewSecret hides s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{func() string { return s }}
}

// Reveal returns the value, for the one place that needs it.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// IsZero tells whether there is no secret, or an empty one.
func (s Secret) IsZero() bool { return s.reveal == nil }

// Equal compares in a time that does not depend on where the values differ.
// Two that are zero are equal: look whether there is a secret before you ask.
func (s Secret) Equal(other Secret) bool {
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(other.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String hides the value.
func (s Secret) String() string { return redacted }

// GoString hides the value.
func (s Secret) GoString() string { return redacted }

// Format hides the value, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue hides the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the value, in JSON and XML too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalBinary hides the value, in gob too.
func (s Secret) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText takes text as the value.
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == redacted {
		return setupMistake("a secret was encoded, and its value is lost: hand secrets over with Give, not in inputs")
	}
	*s = NewSecret(string(text))
	return nil
}

// UnmarshalBinary is UnmarshalText.
func (s *Secret) UnmarshalBinary(data []byte) error { return s.UnmarshalText(data) }

type givenKey struct{ name string }

// Give gives a secret to the function that is registered with this option, and
// to no other: [Given] finds it in the context of its calls. The functions it
// calls do not have it, nor do those that call it. The function's middlewares
// and meters, which are its host's, see that context too.
func Give(name string, s Secret) faas.FunctionOption {
	return faas.WithContext(func(_, fresh context.Context) context.Context {
		return context.WithValue(fresh, givenKey{name}, s)
	})
}

// Given returns the secret that the function was registered with.
func Given(ctx context.Context, name string) (Secret, bool) {
	s, ok := ctx.Value(givenKey{name}).(Secret)
	return s, ok
}
