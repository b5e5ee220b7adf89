package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Digest is the SHA-256 of a bearer token: what is kept of it. It is no secret
// as long as the token is random; a word or a short number would be found from
// its digest by trying.
type Digest [sha256.Size]byte //nolint:recvcheck // UnmarshalText writes to it

const digestPrefix = "sha256:"

// DigestOf returns the digest of a token.
func DigestOf(token Secret) Digest { return sha256.Sum256([]byte(token.Reveal())) }

// String is "sha256:" and the digest in hexadecimal.
func (d Digest) String() string { return digestPrefix + hex.EncodeToString(d[:]) }

// MarshalText is String.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what String writes. The error does not repeat the text,
// which may be a token that somebody has put in the wrong place.
func (d *Digest) UnmarshalText(text []byte) error {
	digits, ok := strings.CutPrefix(string(text), digestPrefix)
	if !ok || len(digits) != 2*len(d) {
		return setupMistake("a digest is %q and %d hexadecimal digits", digestPrefix, 2*len(d))
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return setupMistake("a digest is %q and %d hexadecimal digits", digestPrefix, 2*len(d))
	}
	copy(d[:], b)
	return nil
}

// Token is one bearer token as it is kept: whose it is and until when, and not
// what it is. It can be stored as JSON.
type Token struct {
	Digest    Digest    `json:"digest"`
	Principal Principal `json:"principal"`
	Expires   time.Time `json:"expires,omitzero"` // the first moment at which it is not valid; zero: never
}

func (t Token) check() error {
	switch {
	case t.Digest == Digest{}:
		return setupMistake("a token for %v has no digest; make it with DigestOf", t.Principal)
	case t.Principal.Kind == Anonymous:
		return setupMistake("a token is for somebody; its principal has no kind")
	case t.Principal.Kind == Function:
		return setupMistake("a token for %v: nobody outside is a function; use another kind", t.Principal)
	}
	return nil
}

// Tokens knows bearer tokens by their digests. A principal may have several at
// a time: to rotate, [Tokens.Issue] the new one, move its holder over, and
// [Tokens.Revoke] the old one, or let it expire. All methods may be called
// concurrently.
//
// How long a look-up takes does not depend on how much of a token is right: the
// token is hashed, found by a hash of that with a seed of this process, and
// compared in constant time.
type Tokens struct {
	seed maphash.Seed
	mu   sync.RWMutex        // guards what follows
	by   map[uint64][]*Token // by the seeded hash of the digest; each slice and Token is constant
}

// NewTokens returns tokens that were stored, or an error that Is [ErrSetup].
func NewTokens(stored ...Token) (*Tokens, error) {
	t := &Tokens{seed: maphash.MakeSeed(), by: map[uint64][]*Token{}}
	for _, token := range stored {
		if err := t.Add(token); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Add makes a stored token valid; one that is known already gets the principal
// and the expiry that are given now. It answers an error that Is [ErrSetup] if
// the token has no digest, or is nobody's or a function's.
func (t *Tokens) Add(token Token) error {
	if err := token.check(); err != nil {
		return err
	}
	key := maphash.Bytes(t.seed, token.Digest[:])
	t.mu.Lock()
	defer t.mu.Unlock()
	t.by[key] = append(without(t.by[key], token.Digest), &token)
	return nil
}

// Issue makes a random token of 256 bits for p and returns it with what is to be
// stored. It is valid at once, for lasts, or for ever if that is 0. Nothing here
// can tell the token again. It answers an error that Is [ErrSetup] if p is
// nobody or a function, or lasts is negative.
func (t *Tokens) Issue(p Principal, lasts time.Duration) (Secret, Token, error) {
	if lasts < 0 {
		return Secret{}, Token{}, setupMistake("Issue for %v: a token can't be made for the past", p)
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // it never fails, by its documentation
	secret := NewSecret(base64.RawURLEncoding.EncodeToString(random[:]))
	token := Token{Digest: DigestOf(secret), Principal: p}
	if lasts > 0 {
		token.Expires = time.Now().Add(lasts)
	}
	if err := t.Add(token); err != nil {
		return Secret{}, Token{}, err
	}
	return secret, token, nil
}

// Revoke ends a token at once, and tells whether there was one. Calls that were
// admitted with it go on.
func (t *Tokens) Revoke(d Digest) bool {
	key := maphash.Bytes(t.seed, d[:])
	t.mu.Lock()
	defer t.mu.Unlock()
	left := without(t.by[key], d)
	found := len(left) < len(t.by[key])
	if len(left) == 0 {
		delete(t.by, key)
	} else {
		t.by[key] = left
	}
	return found
}

// Prune forgets the tokens that have expired, and returns how many they were.
// They are not valid in any case; this frees their memory.
func (t *Tokens) Prune() int {
	now, n := time.Now(), 0
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, tokens := range t.by {
		left := slices.DeleteFunc(slices.Clone(tokens), func(token *Token) bool { return token.expired(now) })
		n += len(tokens) - len(left)
		t.by[key] = left
	}
	maps.DeleteFunc(t.by, func(_ uint64, tokens []*Token) bool { return len(tokens) == 0 })
	return n
}

func without(tokens []*Token, d Digest) []*Token {
	return slices.DeleteFunc(slices.Clone(tokens), func(t *Token) bool { return t.Digest == d })
}

func (t Token) expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// Principal returns whose token it is, or an error that Is [ErrCredentials].
func (t *Tokens) Principal(token Secret) (Principal, error) {
	d := DigestOf(token)
	t.mu.RLock()
	candidates := t.by[maphash.Bytes(t.seed, d[:])]
	t.mu.RUnlock()
	for _, c := range candidates {
		if subtle.ConstantTimeCompare(c.Digest[:], d[:]) != 1 {
			continue
		}
		if c.expired(time.Now()) {
			return Principal{}, fmt.Errorf("%w: the token of %v has expired", ErrCredentials, c.Principal)
		}
		return c.Principal, nil
	}
	return Principal{}, ErrCredentials
}

// Authenticate makes Tokens an [Authenticator] of the Authorization header.
func (t *Tokens) Authenticate(r *http.Request) (Principal, error) {
	token, err := BearerToken(r.Header)
	if err != nil {
		return Principal{}, err
	}
	return t.Principal(token)
}

// Bearer lets requests with a valid token pass, see [Authenticate].
func Bearer(t *Tokens) func(http.Handler) http.Handler { return Authenticate(t) }
