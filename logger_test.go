package faas_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"
	"weak"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/logtest"
)

// lines is a log that several goroutines write, one JSON object a line.
type lines struct{ logtest.Text }

// all returns the lines so far.
func (l *lines) all(t *testing.T) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m))
		all = append(all, m)
	}
	return all
}

// messages returns the texts of the lines so far.
func (l *lines) messages(t *testing.T) (all []string) {
	t.Helper()
	for _, line := range l.all(t) {
		all = append(all, fmt.Sprint(line["msg"]))
	}
	return all
}

func TestACallsLogLinesSayWhoseTheyAre(t *testing.T) {
	t.Parallel()
	var log lines
	r := router(t, faas.WithLogger(log.JSON(slog.LevelInfo)))
	var id string
	job := uuid.New()
	f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) {
		inv, _ := faas.FromContext(ctx)
		id = inv.ID.String()
		faas.Logger(ctx).Info("at work", "n", 1)
		return 0, nil
	})
	plain := context.Background()
	full := faas.WithTenant(faas.WithOrigin(plain, faas.Origin{RequestID: "req-7"}), "acme")
	for i, ctx := range []context.Context{plain, full, faas.WithDelivery(full, job, 4, 2)} {
		_, err := f.Invoke(ctx, 1)
		require.NoError(t, err)
		line := log.all(t)[i]
		delete(line, "time")
		want := map[string]any{"level": "INFO", "msg": "at work", "n": 1.0, "function": "f", "version": "$LATEST", "id": id, "attempt": 1.0}
		if i > 0 {
			want["tenant"], want["request"] = "acme", "req-7"
		}
		if i > 1 {
			want["attempt"], want["job"] = 2.0, job.String()
		}
		assert.Equal(t, want, line)
	}
}

func TestACallHasOneLoggerForAllItsGoroutines(t *testing.T) {
	t.Parallel()
	for _, inline := range []bool{false, true} {
		var opts []faas.FunctionOption
		if inline {
			opts = append(opts, faas.WithInline())
		}
		r := router(t)
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) {
			var wg sync.WaitGroup
			var seen sync.Map
			for range 8 {
				wg.Go(func() {
					derived, cancel := context.WithCancel(ctx)
					defer cancel()
					seen.Store(faas.Logger(derived), true)
				})
			}
			wg.Wait()
			n := 0
			seen.Range(func(l, _ any) bool { n++; return assert.Same(t, faas.Logger(ctx), l) })
			assert.Equal(t, 1, n)
			return 0, nil
		}, opts...)
		for range 100 {
			_, err := f.Invoke(t.Context(), 1)
			require.NoError(t, err)
		}
	}
}

func TestANestedCallHasALoggerOfItsOwn(t *testing.T) {
	t.Parallel()
	var log lines
	r := router(t, faas.WithLogger(log.JSON(slog.LevelInfo)))
	inner := faas.Register(r, "inner", func(ctx context.Context, _ int) (int, error) {
		faas.Logger(ctx).Info("in")
		return 0, nil
	})
	outer := faas.Register(r, "outer", func(ctx context.Context, n int) (int, error) {
		faas.Logger(ctx).Info("before")
		_, err := inner.Invoke(ctx, n)
		faas.Logger(ctx).Info("after")
		return 0, err
	})
	_, err := outer.Invoke(faas.WithOrigin(t.Context(), faas.Origin{RequestID: "req-7"}), 1)
	require.NoError(t, err)
	all := log.all(t)
	require.Len(t, all, 3)
	assert.Equal(t, []any{"outer", "inner", "outer"}, []any{all[0]["function"], all[1]["function"], all[2]["function"]})
	assert.Equal(t, all[0]["id"], all[2]["id"])
	assert.NotEqual(t, all[0]["id"], all[1]["id"])
	assert.Equal(t, "req-7", all[1]["request"], "as its caller's")
}

func TestOutsideOfACallTheLoggerIsTheDefaultOne(t *testing.T) {
	t.Parallel()
	assert.Same(t, slog.Default(), faas.Logger(t.Context()))
	assert.Same(t, slog.Default(), faas.Logger(faas.WithTenant(t.Context(), "acme")))
}

func TestAMeterLogsWithTheLoggerOfTheCall(t *testing.T) {
	t.Parallel()
	var log lines
	var used, seen *slog.Logger
	r := router(t, faas.WithLogger(log.JSON(slog.LevelInfo)), faas.WithMeter(faas.MeterFunc(func(ctx context.Context, e faas.Execution) {
		seen = faas.Logger(ctx)
		seen.Info("recorded", "outcome", e.Outcome.String())
	})))
	f := faas.Register(r, "f", func(ctx context.Context, n int) (int, error) { used = faas.Logger(ctx); return n, nil })
	_, err := f.Invoke(t.Context(), 1)
	require.NoError(t, err)
	assert.Same(t, used, seen)
	assert.Equal(t, []string{"recorded"}, log.messages(t))
}

func TestAFunctionsLevelDecidesAloneAndChangesWhileCallsRun(t *testing.T) {
	t.Parallel()
	var log lines
	r := router(t, faas.WithLogger(log.JSON(slog.LevelWarn)))
	step, done := make(chan struct{}), make(chan struct{})
	say := func(ctx context.Context, n int) (int, error) {
		l := faas.Logger(ctx).With("a", 1).WithGroup("g")
		for range step {
			l.Debug(fmt.Sprint("debug ", n))
			l.Info(fmt.Sprint("info ", n))
			l.Warn(fmt.Sprint("warn ", n))
			done <- struct{}{}
		}
		return 0, nil
	}
	f := faas.Register(r, "f", say)
	g := faas.Register(r, "g", say, faas.WithLogLevel(slog.LevelInfo))
	run := func(f *faas.Function[int, int]) (end func()) {
		var call sync.WaitGroup
		call.Go(func() { _, _ = f.Invoke(t.Context(), 1) })
		return func() { close(step); call.Wait(); step = make(chan struct{}) }
	}
	round := func() { step <- struct{}{}; <-done }

	end := run(f)
	round()
	require.Equal(t, []string{"warn 1"}, log.messages(t), "none is set: the router's logger decides")
	require.Nil(t, f.Info().LogLevel)
	require.NoError(t, r.SetLogLevel("f", slog.LevelDebug))
	round()
	require.Equal(t, []string{"warn 1", "debug 1", "info 1", "warn 1"}, log.messages(t), "more than the router's logger lets pass")
	require.NoError(t, r.SetLogLevel("f", slog.LevelError))
	round()
	require.Len(t, log.all(t), 4, "and less")
	require.Equal(t, slog.LevelError, f.Info().LogLevel)
	end()

	end = run(g)
	round()
	require.Equal(t, []string{"info 1", "warn 1"}, log.messages(t)[4:], "another function has a level of its own")
	require.Equal(t, slog.LevelInfo, g.Info().LogLevel)
	end()
	require.ErrorIs(t, r.SetLogLevel("h", slog.LevelInfo), faas.ErrNotFound)
	require.ErrorIs(t, r.SetLogLevel("h h", slog.LevelInfo), faas.ErrName)
}

func TestAFunctionsLevelOverridesItsRouters(t *testing.T) {
	t.Parallel()
	r := router(t, faas.WithLogLevel(slog.LevelWarn))
	f := faas.Register(r, "f", double)
	g := faas.Register(r, "g", double, faas.WithLogLevel(slog.LevelDebug))
	assert.Equal(t, slog.LevelWarn, f.Info().LogLevel)
	assert.Equal(t, slog.LevelDebug, g.Info().LogLevel)
}

func TestARunawayAndAGoroutineThatItsHandlerLeftStillLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log lines
		r := router(t, faas.WithLogger(log.JSON(slog.LevelInfo)), faas.WithTimeout(time.Second), faas.WithStuck(time.Hour, nil))
		left := make(chan struct{})
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) {
			l := faas.Logger(ctx)
			time.Sleep(2 * time.Second)
			assert.Same(t, l, faas.Logger(ctx), "its call is settled, and it runs on")
			l.Info("late")
			go func() {
				time.Sleep(time.Second)
				l.Info("later")
				faas.Logger(ctx).Info("latest")
				close(left)
			}()
			return 0, nil
		})
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrTimeout)
		require.NoError(t, r.Shutdown(t.Context()))
		<-left
		assert.Equal(t, []string{"late", "later", "latest"}, log.messages(t))
		for _, line := range log.all(t) {
			assert.Equal(t, "f", line["function"])
		}
	})
}

func TestTheTailHasTheLastLinesOfACallAndOfThoseBelowIt(t *testing.T) {
	t.Parallel()
	var log lines
	r := router(t, faas.WithLogger(log.JSON(slog.LevelInfo)))
	inner := faas.Register(r, "inner", func(ctx context.Context, _ int) (int, error) {
		faas.Logger(ctx).Warn("in", "k", "v")
		return 0, nil
	})
	outer := faas.Register(r, "outer", func(ctx context.Context, n int) (int, error) {
		l := faas.Logger(ctx).WithGroup("g").With("a", 1)
		l.Debug("not of this level")
		for range n {
			l.Info("line")
		}
		return inner.Invoke(ctx, n)
	})
	var tail faas.LogTail
	ctx := faas.WithLogTail(faas.WithTenant(t.Context(), "acme"), &tail)
	_, err := outer.Invoke(ctx, 1)
	require.NoError(t, err)
	const id = `[0-9a-f-]{36}`
	assert.Regexp(t, `^time=\S+ level=INFO msg=line function=outer version=\$LATEST id=`+id+` attempt=1 tenant=acme g.a=1\n`+
		`time=\S+ level=WARN msg=in function=inner version=\$LATEST id=`+id+` attempt=1 tenant=acme k=v\n$`, string(tail.Bytes()))
	assert.Len(t, log.all(t), 2, "the router's log has them too")

	_, err = outer.Invoke(ctx, 500)
	require.NoError(t, err)
	assert.Len(t, tail.Bytes(), 4096)
	assert.True(t, strings.HasSuffix(string(tail.Bytes()), "k=v\n"), "the end is kept")

	before := tail.Bytes()
	_, err = outer.Invoke(faas.WithLogTail(ctx, nil), 1)
	require.NoError(t, err)
	assert.Equal(t, before, tail.Bytes(), "nil takes the tail away")
	before[0]++
	assert.NotEqual(t, before, tail.Bytes(), "Bytes is a copy")
}

func TestATailKeepsTheEndOfWhateverPieces(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 7, 4095, 4096, 4097, 9000} {
		var tail faas.LogTail
		var all []byte
		for i := range 20000 / size {
			piece := bytes.Repeat([]byte{byte(i)}, size)
			n, err := tail.Write(piece)
			require.NoError(t, err)
			require.Equal(t, size, n)
			all = append(all, piece...)
			piece[0] = 0xFF
		}
		assert.Equal(t, all[max(0, len(all)-4096):], tail.Bytes(), size)
	}
}

func TestTheLoggerOfACallIsAnHonestSlogHandler(t *testing.T) {
	t.Parallel()
	var log lines
	r := router(t, faas.WithLogger(log.JSON(slog.LevelInfo)))
	f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) {
		return 0, slogtest.TestHandler(faas.Logger(ctx).Handler(), func() []map[string]any {
			all := log.all(t)
			for _, line := range all {
				for _, ours := range []string{"function", "version", "id", "attempt"} {
					delete(line, ours)
				}
			}
			return all
		})
	})
	_, err := f.Invoke(faas.WithLogTail(t.Context(), &faas.LogTail{}), 1)
	require.NoError(t, err)
}

func TestACallThatDoesNotLogAllocatesNothingForIt(t *testing.T) { //nolint:paralleltest // it counts allocations
	r := router(t)
	var ask func(ctx context.Context)
	f := faas.Register(r, "f", func(ctx context.Context, n int) (int, error) {
		if ask != nil {
			ask(ctx)
		}
		return n, nil
	})
	call := func() { _, _ = f.Invoke(context.Background(), 1) }
	assert.Less(t, testing.AllocsPerRun(1000, call), 1.0)
	ask = func(ctx context.Context) { faas.Logger(ctx) }
	assert.GreaterOrEqual(t, testing.AllocsPerRun(1000, call), 1.0)
}

func TestAKeptContextKeepsNoLoggerOfItsNeighbors(t *testing.T) { //nolint:paralleltest // it waits for the garbage collector
	r := router(t)
	var contexts []context.Context
	var loggers []weak.Pointer[slog.Logger]
	f := faas.Register(r, "f", func(ctx context.Context, n int) (int, error) {
		contexts = append(contexts, ctx)
		loggers = append(loggers, weak.Make(faas.Logger(ctx)))
		return n, nil
	})
	for range 30 {
		_, err := f.Invoke(context.Background(), 1)
		require.NoError(t, err)
	}
	kept := 0
	for range 100 {
		runtime.GC()
		kept = 0
		for _, l := range loggers {
			if l.Value() != nil {
				kept++
			}
		}
		if kept == 0 {
			break
		}
	}
	assert.Zero(t, kept)
	runtime.KeepAlive(contexts)
}

// Handlers, callers that read tails, and a goroutine that changes the level use the same loggers at
// the same time.
func TestHammerLoggersTailsAndLevels(t *testing.T) {
	t.Parallel()
	r := router(t, faas.WithLogger((&lines{}).JSON(slog.LevelInfo)))
	f := faas.Register(r, "f", func(ctx context.Context, n int) (int, error) {
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { faas.Logger(ctx).Info("x", "n", n) })
		}
		go faas.Logger(ctx).Info("left behind") // may outlive the call
		wg.Wait()
		return n, nil
	}, faas.WithInline())
	g := faas.Register(r, "g", func(ctx context.Context, n int) (int, error) {
		go faas.Logger(ctx).Info("left behind")
		return f.Invoke(ctx, n)
	})
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for i := range rounds {
				var tail faas.LogTail
				_, err := g.Invoke(faas.WithLogTail(context.Background(), &tail), i)
				assert.NoError(t, err)
				assert.Contains(t, string(tail.Bytes()), "msg=x")
				assert.NoError(t, r.SetLogLevel([]string{"f", "g"}[i%2], slog.Level(-4*(i%2))))
			}
		})
	}
	callers.Wait()
}
