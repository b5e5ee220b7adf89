package faasjwt

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/inproc/faas/internal/bounded"
)

// maxSet bounds a key set, in bytes.
const maxSet = 1 << 20

// keySet has the keys of the issuer's last fetched set. It has no goroutine: the request that
// finds the keys too old fetches them.
type keySet struct {
	config Config

	mu      sync.Mutex // guards the fields below; never held during a fetch
	keys    []key      // its elements are never written: a fetch replaces the slice, so readers need no lock once current has returned it
	fetched time.Time  // when keys were fetched; zero if never
	version int        // how many fetches have succeeded
	tried   time.Time  // when the last fetch began; zero if never
	flight  *flight    // the fetch that is under way, or nil
}

// flight is a fetch that is under way. Other requests may wait for it.
type flight struct {
	done chan struct{}
	err  error // read only after done is closed; the last write comes before the close
}

func newKeySet(c Config) *keySet { return &keySet{config: c} }

// find returns the keys that may have signed a token, and the version of their set. Its error
// is errNoKey or wraps errKeys.
//
// It fetches the set at most twice. The first time is when the set is older than Refresh; if
// that fetch fails, the present keys are used while they are not older than MaxAge. The second
// time is when no key matches, because the issuer may have a new one. The cooldown applies to
// both.
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
	if found = match(keys, kid, alg); found == nil && s.newer(ctx, version) {
		keys, version, _ = s.current()
		found = match(keys, kid, alg)
	}
	if found == nil {
		return nil, 0, errNoKey
	}
	return found, version, nil
}

// newer reports whether there are keys of another version than the given one, which is then
// older. If another request has not fetched them already, newer fetches them, or waits for the
// fetch that is under way.
func (s *keySet) newer(ctx context.Context, than int) bool {
	if _, version, _ := s.current(); version != than {
		return true
	}
	_ = s.refresh(ctx, false) // if it fails, the version is the same as before
	_, version, _ := s.current()
	return version != than
}

// never is the age of keys that were never fetched.
const never = time.Duration(1<<63 - 1)

// current returns the keys, their version and their age. s.mu must not be held.
func (s *keySet) current() (keys []key, version int, age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetched.IsZero() {
		return nil, 0, never
	}
	return s.keys, s.version, time.Since(s.fetched)
}

// refresh fetches the set, unless the last fetch began less than the cooldown ago. If another
// request is fetching it, refresh waits for that fetch, or returns at once if keysWillDo: the
// present keys can be used. One fetch at a time is enough for all requests, so a burst of
// tokens does not make a burst of fetches.
func (s *keySet) refresh(ctx context.Context, keysWillDo bool) error {
	s.mu.Lock()
	if f := s.flight; f != nil {
		s.mu.Unlock()
		if keysWillDo {
			return nil
		}
		return f.wait(ctx)
	}
	if !s.tried.IsZero() && time.Since(s.tried) < s.config.Cooldown {
		s.mu.Unlock()
		return fmt.Errorf("%w: tried a moment ago", errKeys)
	}
	f := &flight{done: make(chan struct{}), err: errKeys}
	s.flight, s.tried = f, time.Now()
	s.mu.Unlock()
	s.fetch(ctx, f)
	return f.err
}

// wait waits for the fetch, or for the end of ctx.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errKeys, ctx.Err())
	}
}

// fetch fetches the keys, stores them and ends the flight. It goes on after the request that
// makes it has ended, because other requests wait for it; its own timeout bounds it. If the
// client's RoundTripper panics, the deferred function ends the flight with errKeys, so that the
// waiting requests return, and the panic goes on.
func (s *keySet) fetch(ctx context.Context, f *flight) {
	var keys []key
	defer func() {
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
	keys, f.err = get(ctx, s.config.Client, s.config.JWKS)
}

// get fetches the key set from its URL.
func get(ctx context.Context, client *http.Client, url string) ([]key, error) {
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
	data, more, err := bounded.Read(resp.Body, maxSet)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errKeys, err)
	case more:
		return nil, fmt.Errorf("%w: the set is larger than %d bytes", errKeys, maxSet)
	}
	return parseSet(data)
}
