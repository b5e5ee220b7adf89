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

// Secret is a text that must not be shown: a key, a token, a password. It prints as
// "[redacted]": by fmt with any verb, by log/slog, as text, JSON, XML and gob, in a panic, and
// inside of structs, in exported and unexported fields. Only [Secret.Reveal] returns the value.
//
// The zero Secret has no value, and prints in the same way. Secrets can't be compared by == and
// can't be keys of maps; use [Secret.Equal]. Concurrent use is as safe as with a string.
//
// A Secret can be decoded from text, for example from configuration. Decoding the text
// "[redacted]" is an error: it was written by an encoder, and the value is lost. For this
// reason an input with faas.WithCopy loses its secrets; pass them with [Give].
//
// Secret prevents that a value is shown by mistake. Code in the same process can still find the
// value, and so can a reader of a core dump.
type Secret struct { //nolint:recvcheck // the two methods that decode write to it
	// reveal returns the value. It is a closure because reflection can't look into one. A
	// string field would be printed: fmt does not call the methods of unexported fields, and
	// prints their contents.
	reveal func() string
}

// NewSecret returns a Secret with the value s; "" makes the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{func() string { return s }}
}

// Reveal returns the value, or "" for the zero Secret. Call it only where the value is needed.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// IsZero reports whether s is the zero Secret, which has no value.
func (s Secret) IsZero() bool { return s.reveal == nil }

// Equal compares the values in a time that does not depend on where they differ. Two zero
// Secrets are equal: before you compare credentials, check with IsZero that they are not zero.
func (s Secret) Equal(other Secret) bool {
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(other.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String hides the value.
func (s Secret) String() string { return redacted }

// GoString hides the value.
func (s Secret) GoString() string { return redacted }

// Format hides the value for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue hides the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the value, also in JSON and XML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalBinary hides the value, also in gob.
func (s Secret) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText sets the value to text. It returns an error that Is [ErrSetup] for
// "[redacted]".
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == redacted {
		return setupMistake("a secret was encoded, and its value is lost: pass secrets with Give, not in inputs")
	}
	*s = NewSecret(string(text))
	return nil
}

// UnmarshalBinary is UnmarshalText.
func (s *Secret) UnmarshalBinary(data []byte) error { return s.UnmarshalText(data) }

// givenKey is the context key of a secret of Give.
type givenKey struct{ name string }

// Give makes a secret available to the function that is registered with this option: [Given]
// returns it in the context of the function's calls. The functions that it calls, and those
// that call it, can't get it. Middlewares and meters get that context too; they are code of the
// host.
func Give(name string, s Secret) faas.FunctionOption {
	return faas.WithContext(func(_, fresh context.Context) context.Context {
		return context.WithValue(fresh, givenKey{name}, s)
	})
}

// Given returns the secret of that name with which the function was registered by [Give], and
// false if there is none.
func Given(ctx context.Context, name string) (Secret, bool) {
	s, ok := ctx.Value(givenKey{name}).(Secret)
	return s, ok
}
