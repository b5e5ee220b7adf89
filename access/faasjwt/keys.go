package faasjwt

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
)

const (
	maxSet  = 1 << 20 // bytes of a key set
	maxKeys = 100     // of which this many are looked at
	minRSA  = 2048    // bits, as RFC 7518, 3.3 wants
)

// key is a public key that may sign tokens.
type key struct {
	kid    string
	alg    string // that it is for; empty: whatever fits its kind
	public crypto.PublicKey
}

// fits tells whether the key may be used with the algorithm. The algorithm is
// the token's word; what the key is decides.
func (k key) fits(alg string) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return alg == map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[p.Params().Name]
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// keySet is the issuer's keys as they were last fetched.
type keySet struct {
	config Config

	mu      sync.Mutex // guards what follows
	keys    []key      // constant: replaced as a whole
	fetched time.Time  // when keys were; zero: never
	version int        // counts how often
	tried   time.Time  // when a fetch was last begun; zero: never
	flight  *flight    // the fetch that is on its way, or nil
}

// flight is a fetch that others may wait for.
type flight struct {
	done chan struct{}
	err  error // to be read when done is closed
}

func newKeySet(c Config) *keySet { return &keySet{config: c} }

// find returns the keys that a token may have been signed with, and the version of
// the set that they are of, or an error that is errNoKey or wraps errKeys.
func (s *keySet) find(ctx context.Context, kid, alg string) (found []key, version int, err error) {
	keys, version, age := s.current()
	if age > s.config.Refresh {
		if err := s.refresh(ctx, age <= s.config.MaxAge); err != nil && age > s.config.MaxAge {
			return nil, 0, err
		}
		keys, version, age = s.current()
	}
	if age > s.config.MaxAge {
		return nil, 0, fmt.Errorf("%w: they are too old", errKeys)
	}
	found = match(keys, kid, alg)
	if found == nil && s.newer(ctx, version) { // the keys at hand stand, and the token's is not among them
		keys, version, _ = s.current()
		found = match(keys, kid, alg)
	}
	if found == nil {
		return nil, 0, errNoKey
	}
	return found, version, nil
}

// newer tells whether there are keys of a later version: others may have fetched
// them meanwhile, or it fetches them itself if it may.
func (s *keySet) newer(ctx context.Context, than int) bool {
	if _, version, _ := s.current(); version != than {
		return true
	}
	_ = s.refresh(ctx, false) // whether it was this or another request's: what counts is what is there
	_, version, _ := s.current()
	return version != than
}

// match returns the keys of an ID that fit the algorithm. Without an ID there
// must be no choice: else each token would be tried with every key.
func match(keys []key, kid, alg string) []key {
	var found []key
	for _, k := range keys {
		if (kid == "" || k.kid == kid) && k.fits(alg) {
			found = append(found, k)
		}
	}
	if kid == "" && len(found) != 1 {
		return nil
	}
	return found
}

const never = time.Duration(1<<63 - 1)

func (s *keySet) current() (keys []key, version int, age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetched.IsZero() {
		return nil, 0, never
	}
	return s.keys, s.version, time.Since(s.fetched)
}

// refresh fetches the set, or waits for who does, unless it was tried within
// the cooldown. Whoever can do without does not wait.
func (s *keySet) refresh(ctx context.Context, canDoWithout bool) error {
	s.mu.Lock()
	f := s.flight
	switch {
	case f != nil && canDoWithout:
		s.mu.Unlock()
		return nil
	case f != nil:
		s.mu.Unlock()
		select {
		case <-f.done:
			return f.err
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errKeys, ctx.Err())
		}
	case !s.tried.IsZero() && time.Since(s.tried) < s.config.Cooldown:
		s.mu.Unlock()
		return fmt.Errorf("%w: tried a moment ago", errKeys)
	}
	f = &flight{done: make(chan struct{}), err: errKeys}
	s.flight, s.tried = f, time.Now()
	s.mu.Unlock()
	s.fly(ctx, f)
	return f.err
}

// fly fetches for all who wait, so that one who leaves does not end it; it ends
// by its own timeout.
func (s *keySet) fly(ctx context.Context, f *flight) {
	var keys []key
	defer func() { // also if somebody's http.RoundTripper panics
		s.mu.Lock()
		defer s.mu.Unlock()
		if f.err == nil {
			s.keys, s.fetched = keys, time.Now()
			s.version++
		}
		s.flight = nil
		close(f.done)
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Timeout)
	defer cancel()
	keys, f.err = fetch(ctx, s.config.Client, s.config.JWKS)
}

func fetch(ctx context.Context, client *http.Client, url string) ([]key, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errKeys, err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errKeys, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: answered %d", errKeys, resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxSet+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errKeys, err)
	}
	return parseSet(data)
}

// parseSet reads a JWK set (RFC 7517). Keys that are not for us are passed over:
// a set may hold what we do not know yet. A set without any that is for us is an
// error, since it would lock everybody out.
func parseSet(data []byte) ([]key, error) {
	if len(data) > maxSet {
		return nil, fmt.Errorf("%w: the set is larger than %d bytes", errKeys, maxSet)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("%w: not a JWK set", errKeys)
	}
	var keys []key
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		if k, ok := parseKey(raw); ok {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: the set has no key for signatures", errKeys)
	}
	return keys, nil
}

// parseKey reads a key that may verify signatures. Without Private the library
// makes no secret key of what it reads, whatever the set holds.
func parseKey(raw json.RawMessage) (key, bool) {
	jwk, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{Private: false}, jwkset.JWKValidateOptions{})
	if err != nil {
		return key{}, false
	}
	m := jwk.Marshal()
	if m.USE != "" && m.USE != jwkset.UseSig {
		return key{}, false
	}
	if len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return key{}, false
	}
	k := key{kid: m.KID, alg: algorithm(m.ALG.String())}
	switch p := jwk.Key().(type) {
	case *rsa.PublicKey:
		if p.N.BitLen() < minRSA {
			return key{}, false
		}
		k.public = p
	case *ecdsa.PublicKey:
		if _, err := p.ECDH(); err != nil { // not a point of its curve
			return key{}, false
		}
		k.public = p
	case ed25519.PublicKey:
		k.public = p
	default:
		return key{}, false
	}
	return k, true
}
