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

// raw makes a Call of an invoke function that takes and returns bytes of a fixed length:
// what a codec costs is not measured.
func raw(invoke func(context.Context, []byte) ([]byte, error)) Call {
	return func(ctx context.Context, i int) error {
		m := &numbers[i%len(numbers)]
		got, err := invoke(ctx, m.request)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, m.response) {
			return fmt.Errorf("%w: %x to %x", ErrWrong, got, m.request)
		}
		return nil
	}
}

// numbers are messages of 8 bytes for each number.
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

// rawHandler is h between bytes.
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

// handWorkers is how many goroutines run the jobs that are written by hand.
const handWorkers = 8

// handJob is a job as one writes it by hand.
type handJob struct {
	id      uuid.UUID
	payload []byte
	output  []byte
	err     error
	done    chan struct{}
}

// handJobs is the lower bound of a queue: a channel, a map by which jobs can be found, 8
// goroutines. It has no limits by function, deadlines, retries, records, and forgets a
// job with its end.
type handJobs struct {
	handler func(context.Context, []byte) ([]byte, error)
	queue   chan *handJob
	workers sync.WaitGroup

	mu   sync.Mutex // guards jobs
	jobs map[uuid.UUID]*handJob
}

func chanMap(h Handler, c Config) Instance {
	q := &handJobs{handler: rawHandler(h), queue: make(chan *handJob, c.Limit), jobs: map[uuid.UUID]*handJob{}}
	for range handWorkers {
		q.workers.Go(q.work)
	}
	return Instance{Call: raw(q.call), Close: func() { close(q.queue); q.workers.Wait() }}
}

func (q *handJobs) call(_ context.Context, payload []byte) ([]byte, error) {
	j := &handJob{id: uuid.New(), payload: bytes.Clone(payload), done: make(chan struct{})}
	q.mu.Lock()
	q.jobs[j.id] = j
	q.mu.Unlock()
	q.queue <- j
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

// faasJobBytes sends jobs to an inline function of bytes, and waits for them.
func faasJobBytes(h Handler, c Config) Instance {
	m := new(meter)
	r := newRouter(c, m)
	f := faas.Register(r, functionName, faas.Handler[[]byte, []byte](rawHandler(h)),
		faas.WithTimeout(c.Timeout), faas.WithConcurrency(c.Limit), faas.WithInline(), faas.WithRetry(faas.Retry{}))
	return Instance{Call: raw(later(f)), Close: closer(r), Recorded: m.calls.Load}
}

// faasJob sends jobs to the typed function, as JSON, and waits for them.
func faasJob(h Handler, c Config) Instance {
	m := new(meter)
	r, f := newFaas(h, c, m, faas.WithRetry(faas.Retry{}))
	return Instance{Call: typed(later(f)), Close: closer(r), Recorded: m.calls.Load}
}

// later invokes a function by Send and Wait.
func later[I, O any](f *faas.Function[I, O]) func(context.Context, I) (O, error) {
	return func(ctx context.Context, in I) (out O, err error) {
		job, err := f.Send(ctx, in)
		if err != nil {
			return out, err
		}
		return job.Wait(ctx)
	}
}
