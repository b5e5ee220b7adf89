package peers

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// There is no leak check around these tests: ants starts goroutines when it is
// imported, and the pools of other libraries end theirs some time after they
// were closed. The leaks that matter here, those of faas, are tested with it.

const (
	testCallers = 8
	testCalls   = 40
)

// TestAnswers checks that every peer gives each of 8 concurrent callers the answer to its own
// call, for every work, and meters each call if it meters at all.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, p := range All {
		for _, w := range Works {
			t.Run(p.Name+"/"+w.Name, func(t *testing.T) {
				t.Parallel()
				inst := p.New(w.Handler, Default)
				defer inst.Close()
				callConcurrently(t, inst.Call)
				if inst.Recorded != nil && inst.Recorded() != testCallers*testCalls {
					t.Errorf("metered %d calls, want %d", inst.Recorded(), testCallers*testCalls)
				}
			})
		}
	}
}

func callConcurrently(t *testing.T, call Call) {
	t.Helper()
	var wg sync.WaitGroup
	for c := range testCallers {
		wg.Go(func() {
			for n := range testCalls {
				if err := call(context.Background(), c*testCalls+n); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestWrongAnswersAreFound checks that a wrong answer is detected. All measurements rely on
// this check.
func TestWrongAnswersAreFound(t *testing.T) {
	t.Parallel()
	wrong := func(_ context.Context, in In) (Out, error) { return Out{in.A - in.B}, nil }
	for _, p := range All {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			inst := p.New(wrong, Default)
			defer inst.Close()
			if err := inst.Call(context.Background(), 3); !errors.Is(err, ErrWrong) {
				t.Errorf("got %v, want ErrWrong", err)
			}
		})
	}
}

// TestErrorsAreReturned checks that the handler's error reaches the caller.
func TestErrorsAreReturned(t *testing.T) {
	t.Parallel()
	failing := func(context.Context, In) (Out, error) { return Out{}, errors.New("no") }
	for _, p := range All {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			inst := p.New(failing, Default)
			defer inst.Close()
			if err := inst.Call(context.Background(), 0); err == nil || errors.Is(err, ErrWrong) {
				t.Errorf("got %v, want the handler's error", err)
			}
		})
	}
}

// TestEnforcedClass uses a handler that ignores its context. Peers of the class Enforced must
// free their callers at the deadline, and peers of the class Inline must not. The result does
// not depend on the speed of the machine: the handler of an enforced peer ends only after its
// caller was freed.
func TestEnforcedClass(t *testing.T) {
	t.Parallel()
	const timeout, handler = 10 * time.Millisecond, 100 * time.Millisecond
	for _, p := range All {
		if p.Class != Enforced && p.Class != Inline {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			free := sync.OnceFunc(func() { close(release) })
			if p.Class == Inline {
				time.AfterFunc(handler, free)
			}
			deaf := func(_ context.Context, in In) (Out, error) {
				<-release
				return Out{in.A + in.B}, nil
			}
			inst := p.New(deaf, Config{Timeout: timeout, Limit: 4})
			defer inst.Close()
			defer free() // before Close: some pools wait for their tasks
			err := inst.Call(context.Background(), 1)
			freed := true
			select {
			case <-release:
				freed = false
			default:
			}
			if want := p.Class == Enforced; freed != want {
				t.Errorf("freed while the handler ran: %v, want %v", freed, want)
			}
			if freed && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want a deadline error", err)
			}
		})
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for _, p := range All {
		if got, err := Find(p.Name); err != nil || got.Name != p.Name {
			t.Errorf("Find(%q) = %q, %v", p.Name, got.Name, err)
		}
	}
	if _, err := Find("no such peer"); err == nil {
		t.Error("an unknown name was found")
	}
}

// TestInputsDiffer checks that neighboring calls have different answers, so that mixed-up
// answers are detected.
func TestInputsDiffer(t *testing.T) {
	t.Parallel()
	for i := range inputs {
		a, b := input(i), input(i+1)
		if a.A+a.B == b.A+b.B {
			t.Fatalf("inputs %d and %d have the same sum", i, i+1)
		}
	}
}
