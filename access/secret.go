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

// Secret is a text that must not be seen: a key, a token, a password. It prints as
// "[redacted]": by fmt with any verb, by log/slog, as text, JSON, XML and gob, in a
// panic, and inside of structs, in exported and unexported fields. Only
// [Secret.Reveal] returns the value.
//
// The zero value is no secret, and prints like one. Secrets can't be compared by ==
// and can't be keys of maps; use [Secret.Equal]. A Secret is as safe for concurrent
// use as a string.
//
// It decodes from text, so that configuration can be read into it. The text
// "[redacted]" is an error, since it comes from an encoder and the value is lost. For
// this reason a secret in an input is lost with faas.WithCopy: hand it over with
// [Give].
//
// Secret protects against showing a value by mistake. Code of the same process can
// find it, and so can a reader of a core dump.
type Secret struct { //nolint:recvcheck // the two methods that decode write to it
	// The value is in a closure, out of reach of reflection. A string field would be
	// printed: fmt does not call the methods of an unexported field, and prints what
	// is in it.
	reveal func() string
}

// NewSecret returns a Secret with the value s; "" makes the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{func() string { return s }}
}

// Reveal returns the value, or "" if there is none. Call it only where the value is
// needed.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// IsZero reports whether there is no secret, or an empty one.
func (s Secret) IsZero() bool { return s.reveal == nil }

// Equal compares the values in a time that does not depend on where they differ. Two
// zero Secrets are equal: before you compare credentials, check with IsZero that there
// are some.
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

// givenKey is the key of a given secret on the context of a call.
type givenKey struct{ name string }

// Give gives a secret to the function that is registered with this option, and to no
// other one: [Given] finds it in the context of the function's calls. The functions
// that it calls, and those that call it, do not have it. Middlewares and meters see
// that context too; they are code of the host.
func Give(name string, s Secret) faas.FunctionOption {
	return faas.WithContext(func(_, fresh context.Context) context.Context {
		return context.WithValue(fresh, givenKey{name}, s)
	})
}

// Given returns the secret of that name that the function was registered with, and
// false if there is none.
func Given(ctx context.Context, name string) (Secret, bool) {
	s, ok := ctx.Value(givenKey{name}).(Secret)
	return s, ok
}
