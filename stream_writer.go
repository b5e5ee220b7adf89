package faas

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"
)

// streamWriter is the writer of a streaming handler. The handler writes into its
// buffer. A second goroutine, the sender, takes pieces from the buffer and writes them
// to the caller's writer. So neither waits for the other: a caller's writer that
// blocks stops the sender and not the handler. The sender runs only while there is
// something to send.
//
// A streamWriter is used after its call if the handler still runs. But the caller's writer
// must not be used after the call. So finish first seals the streamWriter, so that no
// Write starts another sender, and returns only when the sender has ended.
type streamWriter struct {
	limit int
	to    io.Writer // the caller's writer; nil: the pieces stay in buf until takeAll

	// open writes these fields before the handler gets the writer. They are constant from then
	// on, so Write may read them without mu.
	ctx   context.Context //nolint:containedctx // the context of the call that the writer belongs to
	call  *callContext
	id    uuid.UUID
	clock *clock
	start int64

	mu         sync.Mutex // guards the fields below; never held while the caller's writer runs
	buf        []byte     // written, and not yet taken by the sender
	bufEnds    []int      // where each piece in buf ends
	size       int        // how many bytes were written in total
	firstAfter int64      // the time from the start of the call to its first piece, in ns
	tooMuch    error      // set once a Write exceeded the limit
	sealed     bool       // Write accepts nothing more
	discard    bool       // the sender must not send anything more
	discarded  bool       // something was left to send when discard was set
	writeErr   error      // the error of the caller's writer
	sending    bool       // the sender runs
	idle       chan struct{}

	// The batch that the sender is sending. The sender swaps the buffers buf and batch. So
	// sender and handler each have a buffer, and nothing is copied. The sender reads the bytes of
	// batch without mu: no Write uses them until the sender swaps again.
	batch     []byte
	batchEnds []int // where each piece that is left in batch ends
	batchAt   int   // where the next piece in batch begins
}

// open binds the writer to its call. It runs on the handler's goroutine, before the
// handler.
func (s *streamWriter) open(ctx context.Context) {
	c := callOf(ctx)
	s.ctx, s.call, s.id, s.clock, s.start = ctx, c, c.id, c.who.clock, c.start
}

// Write accepts one piece from the handler. It copies b, which the handler may use again, and
// returns without waiting for the caller's writer: a slow caller lets the buffer grow, up to
// the limit of the output, but does not stop the handler. The clock is read before mu is
// locked, to keep the critical section short.
func (s *streamWriter) Write(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	now := s.clock.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.tooMuch != nil:
		return 0, s.tooMuch
	case s.sealed || s.writeErr != nil: // the call has ended, and its context is about to end
		return 0, context.Canceled
	case len(b) > s.limit-s.size:
		s.tooMuch = tooLarge("output", s.size+len(b), s.limit)
		return 0, s.tooMuch
	case len(b) == 0:
		return 0, nil
	case s.size == 0:
		s.firstAfter = now - s.start
	}
	s.size += len(b)
	s.buf = append(s.buf, b...)
	if s.to != nil {
		s.bufEnds = append(s.bufEnds, len(s.buf))
		if !s.sending {
			s.sending = true
			go s.send()
		}
	}
	return len(b), nil
}

// written returns how many bytes were written, the time of the first piece, counted from
// the start of the call, and an error if the limit was exceeded.
func (s *streamWriter) written() (size int, first time.Duration, tooMuch error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size, time.Duration(s.firstAfter), s.tooMuch
}

// seal ends the writing: Write accepts nothing more. If discard is true, what has not been sent
// is dropped, too.
func (s *streamWriter) seal(discard bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = true
	if discard && !s.discard {
		s.discard = true
		s.discarded = len(s.buf) > 0 || len(s.batchEnds) > 0
		s.buf, s.bufEnds = nil, nil
	}
}

// takeAll returns all pieces, joined. It is for calls without a sender. The bytes belong to the
// caller of takeAll: the streamWriter drops its reference to them, since the handler may keep the
// streamWriter.
func (s *streamWriter) takeAll() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.buf
	s.buf = nil
	return all
}

// finish ends the writing, waits until everything is sent, and returns an error if the sending
// failed. Once it has returned, the caller's writer is not used again. If discard is true, it
// waits only for a Write of the caller's writer that has begun.
func (s *streamWriter) finish(ctx context.Context, discard bool) error {
	// seal comes first: after it no Write starts a sender, so the sender that senderEnd
	// finds is the last one.
	s.seal(discard)
	idle := s.senderEnd()
	var left error
	if !discard {
		left = s.awaitSender(ctx, idle)
	}
	// Wait also after a discard: the caller's writer may be in the middle of a Write, and must
	// not be used once finish has returned.
	<-idle
	discarded, writeErr := s.release()
	if writeErr != nil {
		return wrapCause(context.Canceled, writeErr)
	}
	if discarded && !discard {
		return left
	}
	return nil
}

// release drops the references to the caller's writer and the buffers, since the
// handler may keep the streamWriter. The sender must have ended. It returns whether something
// was discarded, and the error of the caller's writer.
//
// Later Writes of a runaway find sealed set, and use no buffer.
func (s *streamWriter) release() (discarded bool, writeErr error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	writeErr, discarded = s.writeErr, s.discarded
	s.to, s.writeErr = nil, nil
	s.buf, s.bufEnds, s.batch, s.batchEnds = nil, nil, nil, nil
	return discarded, writeErr
}

// awaitSender waits until the sender has sent everything. If the caller's context ends
// first, the rest is dropped, and the error is why the context ended.
func (s *streamWriter) awaitSender(ctx context.Context, idle <-chan struct{}) error {
	select {
	case <-idle:
		return nil
	default:
	}
	q := caller{ctx: ctx}
	_, _, _, ended := q.meet()
	if ended == nil {
		ended = q.limits(s.clock)
	}
	if ended != nil {
		s.seal(true)
		return ended
	}
	ring, stop := q.bell(s.clock)
	defer stop()
	select {
	case <-idle:
		return nil
	case <-q.done:
	case <-ring:
	}
	s.seal(true)
	return q.end()
}

// senderEnd returns a channel that is closed once there is no sender. The streamWriter must be
// sealed before: otherwise a Write could start another sender afterwards.
func (s *streamWriter) senderEnd() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle := make(chan struct{})
	if s.sending {
		s.idle = idle
	} else {
		close(idle)
	}
	return idle
}

var errWriterExited = errors.New("the caller's writer ended its goroutine")

// send is the sender's goroutine. If the caller's writer, which is foreign code, panics or
// calls Goexit, that becomes the error of the call.
func (s *streamWriter) send() {
	err := errWriterExited // this value stays if sendPieces does not return
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: stack()}
		}
		if err != nil {
			s.fail(err)
		}
	}()
	err = s.sendPieces()
}

// sendPieces sends until there is nothing more to send. It reads s.to without mu:
// s.to is set before the call begins, and release clears it after the sender's end.
func (s *streamWriter) sendPieces() error {
	for piece := s.next(); piece != nil; piece = s.next() {
		if err := writeAll(s.to, piece); err != nil {
			return err
		}
	}
	return nil
}

// next returns the next piece to send. If there is none, it returns nil, and the
// sender must end: it has set sending to false, so that the next Write starts a
// new sender.
func (s *streamWriter) next() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.batchEnds) == 0 { // swap: the sender takes everything that was written, the handler gets the empty buffer
		s.batch, s.buf = s.buf, s.batch[:0]
		s.batchEnds, s.bufEnds, s.batchAt = s.bufEnds, s.batchEnds, 0
	}
	if s.discard || len(s.batchEnds) == 0 {
		s.setIdle()
		return nil
	}
	from := s.batchAt
	s.batchAt, s.batchEnds = s.batchEnds[0], s.batchEnds[1:]
	return s.batch[from:s.batchAt:s.batchAt]
}

// fail ends the call because its caller's writer failed with the error why. The order matters:
// fail ends the call, and then sets writeErr. Once writeErr is set, the handler's Writes fail,
// and the handler may return that error. If the call had not ended before, the handler's error
// would become its outcome.
func (s *streamWriter) fail(why error) {
	defer func() { // deferred, since a meter that records the call may end this goroutine
		s.mu.Lock()
		defer s.mu.Unlock()
		s.writeErr = why
		s.buf, s.bufEnds, s.batch, s.batchEnds = nil, nil, nil, nil
		s.setIdle()
	}()
	s.call.breakOff(why)
}

// setIdle records that the sender ends, and wakes finish if it waits. s.mu must be held.
func (s *streamWriter) setIdle() {
	s.sending = false
	if s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// writeAll writes data to w. It returns an error if w does not accept all of it.
func writeAll(w io.Writer, data []byte) error {
	n, err := w.Write(data)
	if err == nil && n < len(data) {
		return io.ErrShortWrite
	}
	return err
}
