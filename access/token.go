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

// Digest is the SHA-256 of a bearer token, and is stored in its place. A digest need not be
// kept secret if the token is random, as those of [Tokens.Issue] are. A word or a short number
// could be found from its digest by trying.
type Digest [sha256.Size]byte //nolint:recvcheck // UnmarshalText writes to it

const digestPrefix = "sha256:"

// DigestOf returns the digest of a token.
func DigestOf(token Secret) Digest { return sha256.Sum256([]byte(token.Reveal())) }

// String returns "sha256:" and the digest in hexadecimal.
func (d Digest) String() string { return digestPrefix + hex.EncodeToString(d[:]) }

// MarshalText returns the text of String.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText decodes the text of String. Its error does not repeat the text, which may be a
// token that was put there by mistake.
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

// Token is the stored form of a bearer token: its digest, its principal and its expiry, without
// the token itself. It can be stored as JSON.
type Token struct {
	Digest    Digest    `json:"digest"`
	Principal Principal `json:"principal"`
	Expires   time.Time `json:"expires,omitzero"` // the first moment at which the token is not valid; zero if it never expires
}

// check returns an error if a stored token can't be used. The error says how to correct it.
func (t Token) check() error {
	switch {
	case t.Digest == Digest{}:
		return setupMistake("a token for %v has no digest; make it with DigestOf", t.Principal)
	case t.Principal.Kind == Anonymous:
		return setupMistake("a token needs a principal, and this one has no kind; set its Kind, for example to User")
	case t.Principal.Kind == Function:
		return setupMistake("a token for %v: only a function of the router has the kind Function; use another kind", t.Principal)
	}
	return nil
}

// Tokens authenticates bearer tokens by their digests. A principal may have several
// tokens. To rotate one, [Tokens.Issue] a new one, give it to the client, and then
// [Tokens.Revoke] the old one, or let it expire. All methods may be called
// concurrently.
//
// The time of a look-up does not show how much of a wrong token is right. The token is hashed,
// its digest is found by another hash with a random seed of this process, and digests are
// compared in constant time.
type Tokens struct {
	seed maphash.Seed
	mu   sync.RWMutex        // guards the map by
	by   map[uint64][]*Token // by the seeded hash of the digest; its slices and Tokens are replaced and never written, so that Principal reads them after it has unlocked mu
}

// NewTokens returns Tokens with these stored tokens, or an error that Is [ErrSetup].
func NewTokens(stored ...Token) (*Tokens, error) {
	t := &Tokens{seed: maphash.MakeSeed(), by: map[uint64][]*Token{}}
	for _, token := range stored {
		if err := t.Add(token); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Add makes a stored token valid. If a token with its digest exists, the new principal and
// expiry replace the old ones. It returns an error that Is [ErrSetup] if the token has no
// digest, or if its principal is anonymous or a function.
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

// Issue makes a random token of 256 bits for p. It returns the token as a Secret, and the Token
// to store. The token is valid at once, for lasts, or for ever if lasts is 0. The Secret can't
// be recovered later. Issue returns an error that Is [ErrSetup] if p is anonymous or a
// function, or if lasts is negative.
func (t *Tokens) Issue(p Principal, lasts time.Duration) (Secret, Token, error) {
	if lasts < 0 {
		return Secret{}, Token{}, setupMistake("Issue for %v: the time that a token lasts can't be negative", p)
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails, as its documentation says
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

// Revoke makes a token invalid at once, and reports whether it existed. Calls that were
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

// Prune removes the tokens that have expired, and returns their number. Expired tokens are
// invalid without Prune too; Prune frees their memory.
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

// without returns a copy of tokens without the token of that digest.
func without(tokens []*Token, d Digest) []*Token {
	return slices.DeleteFunc(slices.Clone(tokens), func(t *Token) bool { return t.Digest == d })
}

func (t Token) expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// Principal returns the principal of a token, or an error that Is [ErrCredentials].
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

// Authenticate makes Tokens an [Authenticator] for the Authorization header.
func (t *Tokens) Authenticate(r *http.Request) (Principal, error) {
	token, err := BearerToken(r.Header)
	if err != nil {
		return Principal{}, err
	}
	return t.Principal(token)
}

// Bearer is the middleware [Authenticate] with t as its only authenticator.
func Bearer(t *Tokens) func(http.Handler) http.Handler { return Authenticate(t) }
