package faas

import (
	"slices"
	"sync"
	"time"
	"weak"
)

// ticker is what the scale loop asks at each of its ticks: the scaling of a function, or the
// controller of the capacity.
type ticker interface {
	// tick asks the policy. With atRest the loop drops the ticker: the policy need not be
	// asked again before add or watch brings the ticker back. It runs on the timer's goroutine.
	tick() (atRest bool)
}

// scaleLoop asks, every scaleTick, the policies of all functions that are not at rest.
// It has one timer for all of them, and none is set while the list is empty, so that an
// idle router has no timer. l.mu is never held while a policy runs. It is a leaf: while it
// is held no other lock is taken.
type scaleLoop struct {
	mu    sync.Mutex // guards what follows
	awake []ticker   // of functions
	steer ticker     // of the router's capacity; nil: there is none, or the router is idle
	timer *time.Timer
	set   bool // the timer is set, or run is at work and will set it
	over  bool // the router is closed
}

// add puts a function that is not at rest on the list. s.mu must not be held.
//
// The caller has set s.awake under s.mu, so a function is on the list at most once. If the
// router is closed in between, the entry stays on a list that no run reads.
func (l *scaleLoop) add(s ticker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awake = append(l.awake, s)
	l.arm()
}

// drop takes a removed function off the list. A function that run has just taken from
// the list is not found here; its tick then reports it at rest, and run drops it.
func (l *scaleLoop) drop(s ticker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awake = slices.DeleteFunc(l.awake, func(a ticker) bool { return a == s })
}

// watch makes the loop ask the policy of the router's capacity, as add does for that of a
// function. It is called before each worker starts. If run is at work then, it may have found
// the router idle just before. That does no harm: run drops only the l.steer that it took at
// its start, and the one that watch sets stays.
func (l *scaleLoop) watch(c ticker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steer = c
	l.arm()
}

// arm sets the timer. l.mu must be held. The timer's func refers to the loop weakly:
// else a timer that is set would keep a forgotten router from the garbage collector.
// The timer is made once and Reset from then on. That is safe without draining a channel:
// a timer of AfterFunc has none, and set says that it is not running.
func (l *scaleLoop) arm() {
	switch {
	case l.set || l.over:
		return
	case l.timer == nil:
		weakly := weak.Make(l)
		l.timer = time.AfterFunc(scaleTick, func() {
			if l := weakly.Value(); l != nil {
				l.run()
			}
		})
	default:
		l.timer.Reset(scaleTick)
	}
	l.set = true
}

// run asks each policy once, on the timer's goroutine. It takes the list first and works
// without l.mu, so that calls can add functions to a new list meanwhile. At the end it
// appends to that list the functions that are not at rest. Since set stays true until then,
// no second run starts at the same time.
func (l *scaleLoop) run() {
	l.mu.Lock()
	awake, steer := l.awake, l.steer
	l.awake, l.steer = nil, nil
	l.mu.Unlock()
	awake = slices.DeleteFunc(awake, ticker.tick)
	if steer != nil && steer.tick() {
		steer = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set = false
	l.awake = append(l.awake, awake...)
	if steer != nil {
		l.steer = steer
	}
	if len(l.awake) > 0 || l.steer != nil {
		l.arm()
	}
}

// close ends the loop. A run that is at work finishes; arm then sets no timer. close does
// not wait for it: a policy may be the one that closes the router, on run's goroutine.
func (l *scaleLoop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.awake, l.steer = nil, nil
	if l.timer != nil {
		l.timer.Stop()
	}
}
