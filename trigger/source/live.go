package source

import (
	"errors"
	"runtime/debug"
	"time"

	"github.com/inproc/faas"
)

// live is the driver's goroutine. It runs the source again and again, until the source has no
// more items or the driver is stopped, and then waits for the items under way.
func (d *Driver) live() {
	defer d.end()
	for failures := 1; ; failures++ {
		began := time.Now()
		err := d.runOnce()
		switch {
		case d.running.Err() != nil, err == nil:
			return
		case time.Since(began) >= d.set.restart.longest:
			failures = 1
		}
		wait := d.set.restart.wait(failures)
		d.fail(err, wait)
		if !pause(d.running, wait) {
			return
		}
		d.restart()
	}
}

// end waits until no item is under way, and closes d.over. No goroutine of the driver is left
// then.
func (d *Driver) end() {
	d.become(Stopping)
	for range cap(d.places) { // once all places can be taken, no item has one
		d.places <- struct{}{}
	}
	d.stop()
	d.abandon()
	d.remove()
	d.become(Stopped)
	close(d.over)
}

// runOnce runs the source until it returns, panics or ends its goroutine. The source has a
// goroutine of its own, so that a Goexit does not end the driver's.
func (d *Driver) runOnce() error {
	err := errExited
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer func() {
			if p := recover(); p != nil {
				err = &faas.PanicError{Value: p, Stack: debug.Stack()}
			}
		}()
		err = d.source.Run(d.running, sink{d})
	}()
	<-over
	return err
}

var errExited = errors.New("the source ended its goroutine without returning")

// fail notes and logs that the source has failed.
func (d *Driver) fail(err error, wait time.Duration) {
	d.mu.Lock()
	d.life.state, d.life.since = Restarting, time.Now()
	d.life.failed, d.life.failedAt = err, d.life.since
	d.mu.Unlock()
	d.set.log.Error("source failed", "source", d.set.name, "error", err, "again_after", wait)
}

// restart notes that the source is started again.
func (d *Driver) restart() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life.state, d.life.since = Running, time.Now()
	d.life.restarts++
}

func (d *Driver) become(s State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life.state, d.life.since = s, time.Now()
}
