package faas

import (
	"slices"
	"sync"
	"time"
	"weak"
)

// ticker is what the scale loop calls at each of its ticks: the scaling of a function, or the
// controller of the router's capacity.
type ticker interface {
	// tick asks the policy. If atRest is true, the loop drops the ticker: the policy need not be
	// asked again until add or watch brings the ticker back. tick runs on the timer's goroutine.
	tick() (atRest bool)
}

// scaleLoop asks the policies of all functions that are not at rest, once every scaleTick.
// It has one timer for all of them. The timer is not set while the list is empty, so that an
// idle router has no timer. l.mu is never held while a policy runs, and no other lock is taken
// while l.mu is held.
type scaleLoop struct {
	mu    sync.Mutex // guards the fields below
	awake []ticker   // of functions that are not at rest
	steer ticker     // the controller of the router's capacity; nil: there is none, or the router is idle
	timer *time.Timer
	set   bool // the timer is set, or run is running and will set it
	over  bool // the router is closed
}

// add adds a function that is not at rest to the list. s.mu must not be held.
//
// The caller has set s.awake with s.mu held, so a function is on the list at most once. If the
// router is closed in between, the entry stays on a list that no run reads.
func (l *scaleLoop) add(s ticker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awake = append(l.awake, s)
	l.arm()
}

// drop removes a function from the list, because the function was removed from the router. If run
// has just taken the list, drop does not find the function. Its tick then reports that it is at
// rest, and run drops it.
func (l *scaleLoop) drop(s ticker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awake = slices.DeleteFunc(l.awake, func(a ticker) bool { return a == s })
}

// watch makes the loop ask the policy of the router's capacity, as add does for the policy of a
// function: it stores c, the controller of the capacity, in l.steer. watch is called before each
// worker starts. If run has just found the router idle, c stays nevertheless: run drops only the
// value that it took from l.steer at its start, and watch stores c after that.
func (l *scaleLoop) watch(c ticker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steer = c
	l.arm()
}

// arm sets the timer. l.mu must be held. The timer's func has only a weak pointer to the loop:
// otherwise a timer that is set would keep a router that is no longer used from the garbage
// collector. The timer is made once and Reset from then on. That is safe: a timer of AfterFunc
// has no channel to drain, and arm resets it only if the field set is false, so it is not running.
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

// run asks each policy once, on the timer's goroutine. It takes the list first and works with l.mu
// unlocked, so that calls can add functions to a new list meanwhile. At the end it appends to that
// list the functions that are not at rest. The field set stays true until then, so no second run
// starts at the same time.
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

// close ends the loop. If run is running, it finishes; then arm sets no timer. close does
// not wait for run: a policy may close the router itself, on run's goroutine.
func (l *scaleLoop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.awake, l.steer = nil, nil
	if l.timer != nil {
		l.timer.Stop()
	}
}
