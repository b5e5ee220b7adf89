package admission_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/semaphore"

	"github.com/inproc/faas/internal/admission"
)

// BenchmarkAcquireRelease compares a free slot with the semaphore of x/sync. A slot is of one
// class and its group, so there are two limits: the semaphore is acquired once and twice. One
// goroutine calls, or one on each processor, all on one class or on two. The allocation is
// the Hold, which in the router is a part of the call.
func BenchmarkAcquireRelease(b *testing.B) {
	g := admission.NewGroup(1000)
	one, two := g.NewClass(1000, 0), g.NewClass(1000, 0)
	b.Run("slots", func(b *testing.B) {
		b.ReportAllocs()
		ctx := b.Context()
		for b.Loop() {
			if !take(ctx, one) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("slots/parallel", func(b *testing.B) { parallel(b, one, one) })
	b.Run("slots/parallel/2-classes", func(b *testing.B) { parallel(b, one, two) })

	first, second := semaphore.NewWeighted(1000), semaphore.NewWeighted(1000)
	for _, sems := range [][]*semaphore.Weighted{{first}, {first, second}} {
		name := fmt.Sprint("semaphore*", len(sems))
		b.Run(name, func(b *testing.B) {
			ctx := b.Context()
			for b.Loop() {
				if !pass(ctx, sems) {
					b.Fatal("refused")
				}
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			ctx := b.Context()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if !pass(ctx, sems) {
						b.Error("refused")
					}
				}
			})
		})
	}
}

func take(ctx context.Context, c *admission.Class) bool {
	var h admission.Hold
	if c.Acquire(ctx, &h, admission.Request{}) != nil {
		return false
	}
	h.Release()
	return true
}

func parallel(b *testing.B, classes ...*admission.Class) {
	b.Helper()
	b.ReportAllocs()
	ctx := b.Context()
	var n atomic.Uint32
	b.RunParallel(func(p *testing.PB) {
		c := classes[int(n.Add(1))%len(classes)]
		for p.Next() {
			if !take(ctx, c) {
				b.Error("refused")
			}
		}
	})
}

func pass(ctx context.Context, sems []*semaphore.Weighted) bool {
	for _, s := range sems {
		if s.Acquire(ctx, 1) != nil {
			return false
		}
	}
	for _, s := range sems {
		s.Release(1)
	}
	return true
}

// BenchmarkLine serves or cancels the waiters of a queue. The cost of one waiter must not
// grow with the length of the queue.
func BenchmarkLine(b *testing.B) {
	for _, n := range []int{10, 1000, 5000} {
		b.Run(fmt.Sprint("roots/", n), func(b *testing.B) { line(b, n, false, nil) })
		b.Run(fmt.Sprint("siblings/", n), func(b *testing.B) { line(b, n, true, nil) })
		b.Run(fmt.Sprint("canceled/", n), func(b *testing.B) { line(b, n, true, context.Canceled) })
	}
}

// line makes n calls wait behind a running one, and then serves or cancels them all.
func line(b *testing.B, n int, nested bool, want error) {
	b.Helper()
	for b.Loop() {
		g := admission.NewGroup(2)
		c, other := g.NewClass(1, n), g.NewClass(1, 0)
		var first, root admission.Hold
		if !c.TryAcquire(&first) || !other.TryAcquire(&root) {
			b.Fatal("refused")
		}
		var parent *admission.Hold
		if nested {
			parent = &root
		}
		ctx, cancel := context.WithCancel(b.Context())
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				var h admission.Hold
				if err := c.Acquire(ctx, &h, admission.Request{Parent: parent, Wait: patience}); !errors.Is(err, want) {
					b.Error(err)
				} else if err == nil {
					h.Release()
				}
			})
		}
		for c.Queued() < n {
			runtime.Gosched()
		}
		if want != nil {
			cancel()
			all.Wait()
		}
		first.Release()
		all.Wait()
		cancel()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/call")
}

// BenchmarkSearch is the cost of deadlock detection for a nested call that has to wait. All
// other calls of its class wait for one call that runs, so the search visits the whole queue.
func BenchmarkSearch(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint("line/", n), func(b *testing.B) { search(b, n) })
	}
}

func search(b *testing.B, n int) {
	b.Helper()
	g := admission.NewGroup(2*n + 100)
	last, full, callers := g.NewClass(1, n), g.NewClass(10, n+1), g.NewClass(admission.Unlimited, 0)
	ctx, cancel := context.WithCancel(b.Context())
	var all sync.WaitGroup
	wait := func(c *admission.Class, parent *admission.Hold) {
		all.Go(func() {
			if c.Acquire(ctx, new(admission.Hold), admission.Request{Parent: parent, Wait: patience}) == nil {
				b.Error("let in")
			}
		})
	}
	root := func(c *admission.Class) *admission.Hold {
		h := new(admission.Hold)
		if !c.TryAcquire(h) {
			b.Fatal("refused")
		}
		return h
	}
	root(last)
	for range 10 {
		wait(last, root(full))
	}
	for range n {
		wait(full, root(callers))
	}
	for last.Queued() < 10 || full.Queued() < n {
		runtime.Gosched()
	}
	caller := root(callers)
	for b.Loop() {
		if !errors.Is(full.Acquire(ctx, new(admission.Hold), admission.Request{Parent: caller}), admission.ErrTimeout) {
			b.Fatal("no wait")
		}
	}
	cancel()
	all.Wait()
}

// BenchmarkDispatch gives a free slot to the first of n classes that wait for one.
func BenchmarkDispatch(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint("classes/", n), func(b *testing.B) { dispatch(b, n) })
	}
}

// dispatch ends a call, and then adds a waiter to the class that was served, so that every
// class always has one waiting call.
func dispatch(b *testing.B, n int) {
	b.Helper()
	b.ReportAllocs()
	g := admission.NewGroup(1)
	running := new(admission.Hold)
	next, answers := make([]*admission.Hold, n), make([]<-chan admission.Answer, n)
	classes := make([]*admission.Class, n)
	first := g.NewClass(admission.Unlimited, 0)
	if !first.TryAcquire(running) {
		b.Fatal("refused")
	}
	join := func(i int) {
		next[i] = new(admission.Hold)
		answers[i] = classes[i].Join(next[i], admission.Request{})
	}
	for i := range classes {
		classes[i] = g.NewClass(admission.Unlimited, 1)
		classes[i].SetWeight(1 + i%10)
		join(i)
	}
	i := 0 // the index of the running call's class: with one slot the classes take turns
	for b.Loop() {
		running.Release()
		if len(answers[i]) == 0 {
			b.Fatal("another was served")
		}
		running = next[i]
		join(i)
		i = (i + 1) % n
	}
}

// BenchmarkResize is the cost of a change of the limit while no call waits.
func BenchmarkResize(b *testing.B) {
	c := admission.NewGroup(1000).NewClass(1000, 0)
	for i := 0; b.Loop(); i++ {
		c.Resize(100 + i%2)
	}
}
