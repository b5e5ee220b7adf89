package peers

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// raw makes a Call of an invoke function that takes and returns bytes of a fixed length, so
// that no codec is measured.
func raw(invoke func(context.Context, []byte) ([]byte, error)) Call {
	return func(ctx context.Context, i int) error {
		m := &numbers[i%len(numbers)]
		return m.check(invoke(ctx, m.request))
	}
}

// numbers are messages with 8 bytes for each number.
var numbers = encodeNumbers()

func encodeNumbers() (ms [inputs]message) {
	for i := range ms {
		in := input(i)
		request := binary.LittleEndian.AppendUint64(nil, uint64(in.A))
		ms[i] = message{binary.LittleEndian.AppendUint64(request, uint64(in.B)), encodeOut(Out{in.A + in.B})}
	}
	return ms
}

func encodeOut(out Out) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(out.Sum)) }

// rawHandler returns h as a function from bytes to bytes.
func rawHandler(h Handler) func(context.Context, []byte) ([]byte, error) {
	return func(ctx context.Context, request []byte) ([]byte, error) {
		a, b := binary.LittleEndian.Uint64(request), binary.LittleEndian.Uint64(request[8:])
		out, err := h(ctx, In{int64(a), int64(b)})
		if err != nil {
			return nil, err
		}
		return encodeOut(out), nil
	}
}

// handWorkers is how many goroutines run the jobs of handJobs.
const handWorkers = 8

// handJob is a job of handJobs.
type handJob struct {
	id      uuid.UUID
	payload []byte
	output  []byte
	err     error
	done    chan struct{}
}

// handJobs is the lower bound of a queue, written by hand: a channel, a map in which jobs can
// be found, and 8 goroutines. It has no limits by function, no deadlines, no retries and no
// records, and forgets a job when the job ends.
type handJobs struct {
	handler func(context.Context, []byte) ([]byte, error)
	queue   chan *handJob
	workers sync.WaitGroup

	mu   sync.Mutex // guards jobs
	jobs map[uuid.UUID]*handJob
}

func newHandJobs(h Handler, c Config) *handJobs {
	q := &handJobs{handler: rawHandler(h), queue: make(chan *handJob, c.Limit), jobs: map[uuid.UUID]*handJob{}}
	for range handWorkers {
		q.workers.Go(q.work)
	}
	return q
}

func (q *handJobs) close() {
	close(q.queue)
	q.workers.Wait()
}

func chanMap(h Handler, c Config) Instance {
	q := newHandJobs(h, c)
	return Instance{Call: raw(q.call), Close: q.close}
}

func (q *handJobs) call(_ context.Context, payload []byte) ([]byte, error) {
	return q.send(payload).wait()
}

func (q *handJobs) send(payload []byte) *handJob {
	j := &handJob{id: uuid.New(), payload: bytes.Clone(payload), done: make(chan struct{})}
	q.mu.Lock()
	q.jobs[j.id] = j
	q.mu.Unlock()
	q.queue <- j
	return j
}

func (j *handJob) wait() ([]byte, error) {
	<-j.done
	return j.output, j.err
}

func (q *handJobs) work() {
	for j := range q.queue {
		j.output, j.err = q.handler(context.Background(), j.payload)
		q.mu.Lock()
		delete(q.jobs, j.id)
		q.mu.Unlock()
		close(j.done)
	}
}

// faasJobBytes sends jobs to an inline function that takes bytes, and waits for their ends.
func faasJobBytes(h Handler, c Config) Instance {
	m := new(meter)
	r := newRouter(c, m)
	f := faas.Register(r, functionName, faas.Handler[[]byte, []byte](rawHandler(h)),
		faas.WithTimeout(c.Timeout), faas.WithConcurrency(c.Limit), faas.WithInline(), faas.WithRetry(faas.Retry{}))
	return Instance{Call: raw(later(f)), Close: closer(r), Recorded: m.calls.Load}
}

// faasJob sends jobs to the typed function, as JSON, and waits for their ends.
func faasJob(h Handler, c Config) Instance {
	m := new(meter)
	r, f := newFaas(h, c, m, faas.WithRetry(faas.Retry{}))
	return Instance{Call: typed(later(f)), Close: closer(r), Recorded: m.calls.Load}
}

// later returns an invoke function that calls Send and then Wait.
func later[I, O any](f *faas.Function[I, O]) func(context.Context, I) (O, error) {
	return func(ctx context.Context, in I) (out O, err error) {
		job, err := f.Send(ctx, in)
		if err != nil {
			return out, err
		}
		return job.Wait(ctx)
	}
}

// Sender sends the job number i, and returns once the job is accepted. wait returns when the
// job has ended, with an error if its output is wrong.
type Sender func(i int) (wait func() error, err error)

// Mixed is a router with two functions. One gets live calls; its handler waits for 1 ms. The other gets
// jobs; its handler adds. Send has the two ways to send jobs: FaasJobBytes sends to the router, and ChanMap
// to the queue that is written by hand.
type Mixed struct {
	Live  Call
	Send  map[string]Sender
	Close func()
}

// NewMixed returns a Mixed.
func NewMixed(c Config) Mixed {
	r, live := newFaas(wait, c, new(meter))
	f := faas.Register(r, "later", faas.Handler[[]byte, []byte](rawHandler(add)),
		faas.WithTimeout(c.Timeout), faas.WithConcurrency(c.Limit), faas.WithInline(), faas.WithRetry(faas.Retry{}))
	hand := newHandJobs(add, c)
	closeRouter := closer(r)
	return Mixed{Live: typed(live.Invoke), Close: func() { hand.close(); closeRouter() }, Send: map[string]Sender{
		ChanMap: func(i int) (func() error, error) {
			m := &numbers[i%len(numbers)]
			j := hand.send(m.request)
			return func() error { return m.check(j.wait()) }, nil
		},
		FaasJobBytes: func(i int) (func() error, error) {
			m := &numbers[i%len(numbers)]
			j, err := f.Send(context.Background(), m.request)
			return func() error { return m.check(j.Wait(context.Background())) }, err
		},
	}}
}

// check returns an error unless an answer is right.
func (m *message) check(got []byte, err error) error {
	if err == nil && !bytes.Equal(got, m.response) {
		err = fmt.Errorf("%w: %x to %x", ErrWrong, got, m.request)
	}
	return err
}
