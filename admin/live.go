package admin

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe"
)

// maxStreams is the largest number of streams that a handler serves at once.
const maxStreams = 32

// live is the state that the streams of a handler share. While there are streams of frames, a
// goroutine makes a scene each second, for all of them.
type live struct {
	mu       sync.Mutex    // guards what follows
	streams  int           // open streams, of frames and of log lines
	watchers int           // open streams of frames
	scene    *scene        // the last scene; nil: there was none
	next     chan struct{} // closed when there is a newer scene
	stop     chan struct{} // closed when the last watcher leaves
	done     chan struct{} // closed when Router.Shutdown begins
	remove   func()        // removes the hook of Router.Shutdown

	looking   sync.Mutex // held while the collector is used; mu may be locked under it
	collector *collector
}

// open returns how many streams are open.
func (l *live) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.streams
}

// enter begins a stream. done is closed when the host shuts down. The caller must call leave at
// the end of the stream.
func (l *live) enter(r *faas.Router) (done <-chan struct{}, leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams == maxStreams {
		p := problem(http.StatusServiceUnavailable, "busy", "This host serves 32 streams at once, and has them; close one, or ask for what you need once.")
		p.retryAfter = 5 * time.Second
		return nil, nil, p
	}
	if l.streams == 0 {
		ended := make(chan struct{})
		l.done = ended
		if l.remove, err = r.OnShutdown("admin streams", func(context.Context) error { close(ended); return nil }); err != nil {
			return nil, nil, err
		}
	}
	l.streams++
	return l.done, l.leave, nil
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams--; l.streams == 0 {
		l.remove()
	}
}

// watch begins a stream of frames. While it lasts, a scene is made each second.
func (l *live) watch(r *faas.Router, rec *observe.Recorder) (unwatch func()) {
	if stop, first := l.join(); first {
		l.look(r, rec) // in this goroutine, so that the first frame shows this moment
		go l.run(r, rec, stop)
	}
	return l.unwatch
}

func (l *live) unwatch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers--; l.watchers == 0 {
		close(l.stop)
		l.scene.release() // not nil: the first watcher has made one
	}
}

// join counts a watcher, and reports whether it is the first.
func (l *live) join() (stop <-chan struct{}, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers++; l.watchers > 1 {
		return l.stop, false
	}
	l.stop = make(chan struct{})
	if l.next == nil {
		l.next = make(chan struct{})
	}
	return l.stop, true
}

// run is the goroutine of the streams of frames. It makes a scene at the beginning of each
// second.
func (l *live) run(r *faas.Router, rec *observe.Recorder, stop <-chan struct{}) {
	timer := time.NewTimer(untilSecond(time.Now()))
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
			l.look(r, rec)
			timer.Reset(untilSecond(time.Now()))
		}
	}
}

// untilSecond returns how long it is until the wall clock's next second begins.
func untilSecond(now time.Time) time.Duration {
	return time.Second - time.Duration(now.Nanosecond())
}

// look makes a scene, and wakes the streams. It locks looking because the goroutine of earlier
// streams may still be in look when that of later streams begins.
func (l *live) look(r *faas.Router, rec *observe.Recorder) {
	l.looking.Lock()
	defer l.looking.Unlock()
	if l.collector == nil {
		l.collector = newCollector(r, rec)
	}
	s := l.collector.look(time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scene = s
	close(l.next)
	l.next = make(chan struct{})
}

// after waits for a scene with a higher revision. It returns nil if ctx ends or the host shuts
// down first.
func (l *live) after(ctx context.Context, done <-chan struct{}, rev Count) *scene {
	for {
		l.mu.Lock()
		s, next := l.scene, l.next
		l.mu.Unlock()
		if s != nil && s.rev > rev {
			return s
		}
		select {
		case <-ctx.Done():
			return nil
		case <-done:
			return nil
		case <-next:
		}
	}
}

// known returns rev if a scene with that revision was made, and 0 otherwise.
func (l *live) known(rev Count) Count {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.scene == nil || rev > l.scene.rev {
		return 0
	}
	return rev
}
