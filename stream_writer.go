package faas

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"
)

// pieces is the writer of a streaming handler. It stands between two parties
// that must not wait for each other: the handler, who writes into it, and the
// caller's writer, which a goroutine called the courier serves. The courier
// lives while there is something to hand over.
//
// It outlives its call where the handler does. The caller's writer does not:
// finish returns once the courier has gone, and lets no other come.
type pieces struct {
	limit int
	to    io.Writer // the caller's; nil: the pieces gather

	// Written by open, before the handler has the writer.
	ctx   context.Context //nolint:containedctx // of the call that the writer belongs to
	call  *callContext
	id    uuid.UUID
	clock *clock
	start int64

	mu       sync.Mutex // guards what follows; never held while others' code runs
	buf      []byte     // what has been written and not been taken
	ends     []int      // where in it each piece ends
	size     int
	first    int64
	over     error // the limit was passed
	sealed   bool  // nothing is written any more
	cut      bool  // nothing is handed over any more
	dropped  bool  // and there was something
	broken   error // the caller's writer is
	running  bool  // the courier
	idle     chan struct{}
	taken    []byte // the courier's own: what it hands over, and
	takenAt  int    // from where on,
	takenEnd []int  // up to where each
}

// open binds the writer to its call.
func (p *pieces) open(ctx context.Context) {
	c := callOf(ctx)
	p.ctx, p.call, p.id, p.clock, p.start = ctx, c, c.id, c.who.clock, c.start
}

// Write takes one piece of the handler's.
func (p *pieces) Write(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	now := p.clock.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.over != nil:
		return 0, p.over
	case p.sealed || p.broken != nil: // the context is about to end
		return 0, context.Canceled
	case len(b) > p.limit-p.size:
		p.over = tooLarge("output", p.size+len(b), p.limit)
		return 0, p.over
	case len(b) == 0:
		return 0, nil
	case p.size == 0:
		p.first = now - p.start
	}
	p.size += len(b)
	p.buf = append(p.buf, b...)
	if p.to != nil {
		p.ends = append(p.ends, len(p.buf))
		if !p.running {
			p.running = true
			go p.deliver()
		}
	}
	return len(b), nil
}

// measured is what has been written, and an error if the limit was passed.
func (p *pieces) measured() (size int, first time.Duration, over error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size, time.Duration(p.first), p.over
}

// seal ends the writing. A cut drops what has not been handed over.
func (p *pieces) seal(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sealed = true
	if cut && !p.cut {
		p.cut = true
		p.dropped = len(p.buf) > 0 || len(p.takenEnd) > 0
		p.buf, p.ends = nil, nil
	}
}

// gathered are the pieces that nobody has handed over. They are the caller's from
// then on: the handler may keep its writer.
func (p *pieces) gathered() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.buf
	p.buf = nil
	return all
}

// finish ends the writing, waits until what was written is handed over, and
// tells what went wrong with that. From then on the caller's writer is not
// touched. With cut it waits only for the Write that is under way.
func (p *pieces) finish(ctx context.Context, cut bool) error {
	p.seal(cut)
	idle := p.awaited()
	var left error
	if !cut {
		left = p.handOver(ctx, idle)
	}
	<-idle
	dropped, broken := p.letGo()
	dropped = dropped && !cut
	if broken != nil {
		return wrapCause(context.Canceled, broken)
	}
	if dropped {
		return left
	}
	return nil
}

// letGo forgets the caller, once there is no courier: a handler may keep its
// writer. It tells what went wrong.
func (p *pieces) letGo() (dropped bool, broken error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	broken, dropped = p.broken, p.dropped
	p.to, p.broken = nil, nil
	p.buf, p.ends, p.taken, p.takenEnd = nil, nil, nil, nil
	return dropped, broken
}

// handOver waits for the courier, or until the caller leaves: then the rest is
// cut, and the error tells why.
func (p *pieces) handOver(ctx context.Context, idle <-chan struct{}) error {
	select {
	case <-idle:
		return nil
	default:
	}
	var q caller
	_, _, _, ended := q.meet(ctx)
	if ended == nil {
		ended = q.limits(p.clock)
	}
	if ended != nil {
		p.seal(true)
		return ended
	}
	ring, stop := q.bell(p.clock)
	defer stop()
	select {
	case <-idle:
		return nil
	case <-q.done:
	case <-ring:
	}
	p.seal(true)
	return q.end()
}

// awaited is closed once there is no courier.
func (p *pieces) awaited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := make(chan struct{})
	if p.running {
		p.idle = idle
	} else {
		close(idle)
	}
	return idle
}

var errWriterGone = errors.New("the caller's writer ended its goroutine")

// deliver is the courier. The caller's writer is somebody's code: what it does
// to this goroutine becomes an error.
func (p *pieces) deliver() {
	err := errWriterGone
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: stack()}
		}
		if err != nil {
			p.breakOff(err)
		}
	}()
	err = p.pass()
}

func (p *pieces) pass() error {
	for piece := p.next(); piece != nil; piece = p.next() {
		if err := writeAll(p.to, piece); err != nil {
			return err
		}
	}
	return nil
}

// next is the piece to hand over; nil ends the courier.
func (p *pieces) next() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.takenEnd) == 0 { // take all there is, and leave the empty buffer to the handler
		p.taken, p.buf = p.buf, p.taken[:0]
		p.takenEnd, p.ends, p.takenAt = p.ends, p.takenEnd, 0
	}
	if p.cut || len(p.takenEnd) == 0 {
		p.goIdle()
		return nil
	}
	from := p.takenAt
	p.takenAt, p.takenEnd = p.takenEnd[0], p.takenEnd[1:]
	return p.taken[from:p.takenAt:p.takenAt]
}

// breakOff ends the call whose caller can't be told any more, and first of all:
// once broken is set the handler's writes fail, and the call is not to end by what
// the handler makes of that.
func (p *pieces) breakOff(why error) {
	defer func() { // a meter may end the goroutine
		p.mu.Lock()
		defer p.mu.Unlock()
		p.broken = why
		p.buf, p.ends, p.taken, p.takenEnd = nil, nil, nil, nil
		p.goIdle()
	}()
	p.call.breakOff(why)
}

// goIdle tells that the courier is gone; the lock is held.
func (p *pieces) goIdle() {
	p.running = false
	if p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// writeAll is a Write that has failed unless it took everything.
func writeAll(w io.Writer, data []byte) error {
	n, err := w.Write(data)
	if err == nil && n < len(data) {
		return io.ErrShortWrite
	}
	return err
}
