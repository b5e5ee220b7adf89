package faastest

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// TestIdempotencyStore checks, in subtests of t, that a [faas.IdempotencyStore] keeps its
// contract. Call it from the tests of the package that implements one:
//
//	func TestStoreConforms(t *testing.T) {
//		faastest.TestIdempotencyStore(t, func(t *testing.T) faas.IdempotencyStore {
//			return store.Open(t.TempDir())
//		})
//	}
//
// Each subtest calls newStore with its own t, for an empty store with room for at least
// 1,000 entries. The subtests run in bubbles of [testing/synctest]: goroutines that
// newStore starts must end in t.Cleanup, and share nothing with code outside the bubble.
//
// It checks that
//
//   - an entry is created once for each function, tenant and key, even if many calls create
//     it at the same time, and that it can be created again when its Until has passed;
//   - an entry is read as it was written, with another Revision after each write;
//   - Swap replaces only the revision that was read, even if many calls swap at the same
//     time;
//   - an entry that was freed is free or gone;
//   - Watch returns when the entry changes or goes away (at once if it already has), and
//     when its context ends.
//
// It does not check bounds, since they differ between stores.
func TestIdempotencyStore(t *testing.T, newStore func(t *testing.T) faas.IdempotencyStore) {
	t.Helper()
	for _, c := range []struct {
		name  string
		check func(storeCheck)
	}{
		{"creates an entry once", storeCheck.creates},
		{"forgets an entry after its window", storeCheck.windows},
		{"swaps what was read", storeCheck.swaps},
		{"watches for changes", storeCheck.watches},
		{"lets one of many win", storeCheck.races},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.check(storeCheck{t, newStore(t)}) })
		})
	}
}

// storeCheck is one subtest of TestIdempotencyStore.
type storeCheck struct {
	*testing.T

	store faas.IdempotencyStore
}

// fresh returns the entry of a call that has just begun.
func (storeCheck) fresh(key string) faas.IdempotencyEntry {
	now := time.Now().Round(0).UTC()
	return faas.IdempotencyEntry{
		ID: uuid.New(), Function: "f", Tenant: "acme", Key: key, Input: []byte{1, 2}, Created: now, Until: now.Add(time.Hour),
		Call: uuid.New(), Lease: now.Add(time.Minute),
	}
}

// create creates an entry, and checks that there was none.
func (c storeCheck) create(e faas.IdempotencyEntry) faas.IdempotencyEntry {
	c.Helper()
	got, created, err := c.store.Create(c.Context(), e)
	if err != nil || !created {
		c.Fatalf("Create of %q: created %t, %v", e.Key, created, err)
	}
	c.same(e, got)
	return got
}

// there checks that there is an entry with the key of e, and returns it.
func (c storeCheck) there(e faas.IdempotencyEntry) faas.IdempotencyEntry {
	c.Helper()
	e.ID, e.Call = uuid.New(), uuid.New()
	got, created, err := c.store.Create(c.Context(), e)
	if err != nil || created {
		c.Fatalf("a second Create of %q: created %t, %v", e.Key, created, err)
	}
	return got
}

// same compares what was written with what was read.
func (c storeCheck) same(want, got faas.IdempotencyEntry) {
	c.Helper()
	if got.Revision == 0 {
		c.Errorf("the entry of %q has Revision 0", got.Key)
	}
	if !bytes.Equal(want.Input, got.Input) || !bytes.Equal(want.Answer, got.Answer) || !want.Created.Equal(got.Created) ||
		!want.Until.Equal(got.Until) || !want.Lease.Equal(got.Lease) || want.ID != got.ID || want.Call != got.Call {
		c.Errorf("read %+v, want %+v", got, want)
	}
	if want.Function != got.Function || want.Tenant != got.Tenant || want.Key != got.Key || want.Answered != got.Answered ||
		want.Failure != got.Failure || want.Permanent != got.Permanent {
		c.Errorf("read %+v, want %+v", got, want)
	}
}

func (c storeCheck) creates() {
	first := c.create(c.fresh("a"))
	c.same(first, c.there(first))
	if got := c.there(first); got.Revision != first.Revision {
		c.Errorf("Revision %d, want %d: nothing was written", got.Revision, first.Revision)
	}
	for _, change := range []func(*faas.IdempotencyEntry){
		func(e *faas.IdempotencyEntry) { e.Key = "b" },
		func(e *faas.IdempotencyEntry) { e.Tenant = "" },
		func(e *faas.IdempotencyEntry) { e.Function = "g" },
		func(e *faas.IdempotencyEntry) { e.Function, e.Key = "", "f/a" },
	} {
		other := c.fresh("a")
		change(&other)
		c.create(other)
	}
}

func (c storeCheck) windows() {
	first := c.create(c.fresh("a"))
	done := first
	done.Answered, done.Answer, done.Lease = true, []byte("1"), time.Time{}
	if _, err := c.store.Swap(c.Context(), first, done); err != nil {
		c.Fatalf("Swap: %v", err)
	}
	time.Sleep(time.Until(first.Until) - 1)
	c.same(done, c.there(first))
	time.Sleep(time.Nanosecond)
	c.create(c.fresh("a"))
}

func (c storeCheck) swaps() {
	first := c.create(c.fresh("a"))
	done := first
	done.Answered, done.Failure, done.Permanent, done.Lease = true, "no", true, time.Time{}
	second, err := c.store.Swap(c.Context(), first, done)
	if err != nil {
		c.Fatalf("Swap: %v", err)
	}
	c.same(done, second)
	c.same(done, c.there(first))
	if second.Revision == first.Revision {
		c.Errorf("the Revision is still %d", first.Revision)
	}
	if _, err := c.store.Swap(c.Context(), first, first); !errors.Is(err, faas.ErrRevision) {
		c.Errorf("Swap of an entry that was changed: %v", err)
	}
	c.same(done, c.there(first))
	if _, err := c.store.Swap(c.Context(), c.fresh("b"), c.fresh("b")); !errors.Is(err, faas.ErrRevision) {
		c.Errorf("Swap of an entry that is not there: %v", err)
	}
	freed := second
	freed.Answered, freed.Failure, freed.Permanent, freed.Call = false, "", false, uuid.Nil
	if _, err := c.store.Swap(c.Context(), second, freed); err != nil {
		c.Fatalf("Swap: %v", err)
	}
	got, _, err := c.store.Create(c.Context(), c.fresh("a"))
	if err != nil || got.Answered {
		c.Errorf("an entry that was freed: %+v, %v", got, err)
	}
}

func (c storeCheck) watches() {
	e := c.create(c.fresh("a"))
	watch := func(ctx context.Context, e faas.IdempotencyEntry) chan error {
		over := make(chan error, 1)
		go func() { over <- c.store.Watch(ctx, e) }()
		synctest.Wait()
		return over
	}
	ctx, cancel := context.WithCancel(c.Context())
	left, changed := watch(ctx, e), watch(c.Context(), e)
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		c.Errorf("Watch whose context has ended: %v", err)
	}
	if len(changed) != 0 {
		c.Errorf("Watch of an entry that has not changed: %v", <-changed)
	}
	done := e
	done.Answered, done.Lease = true, time.Time{}
	second, err := c.store.Swap(c.Context(), e, done)
	if err != nil {
		c.Fatalf("Swap: %v", err)
	}
	for _, over := range []chan error{changed, watch(c.Context(), e)} {
		if err := <-over; err != nil {
			c.Errorf("Watch of an entry that has changed: %v", err)
		}
	}
	gone := watch(c.Context(), second)
	freed := second
	freed.Answered, freed.Call = false, uuid.Nil
	if _, err := c.store.Swap(c.Context(), second, freed); err != nil {
		c.Fatalf("Swap: %v", err)
	}
	if err := <-gone; err != nil {
		c.Errorf("Watch of an entry that was freed: %v", err)
	}
}

func (c storeCheck) races() {
	const many = 16
	for round := range 20 {
		var created atomic.Int64
		var mu sync.Mutex
		swaps := map[uint64]int{} // by the revision that was replaced
		var wg sync.WaitGroup
		for range many {
			wg.Go(func() {
				e, ok, err := c.store.Create(c.Context(), c.fresh(strconv.Itoa(round)))
				if err != nil {
					c.Errorf("Create: %v", err)
				}
				if ok {
					created.Add(1)
				}
				next := e
				next.Call = uuid.New()
				switch _, err := c.store.Swap(c.Context(), e, next); {
				case err == nil:
					mu.Lock()
					swaps[e.Revision]++
					mu.Unlock()
				case !errors.Is(err, faas.ErrRevision):
					c.Errorf("Swap: %v", err)
				}
			})
		}
		wg.Wait()
		if n := created.Load(); n != 1 {
			c.Errorf("%d of %d have created the entry", n, many)
		}
		if len(swaps) == 0 {
			c.Errorf("none of %d has changed the entry", many)
		}
		for revision, n := range swaps {
			if n != 1 {
				c.Errorf("%d of %d have replaced revision %d", n, many, revision)
			}
		}
	}
}
