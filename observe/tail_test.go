package observe_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/observe"
)

func TestATailIsAHandler(t *testing.T) {
	t.Parallel()
	tail := observe.Tail(1000)
	require.NoError(t, slogtest.TestHandler(tail, func() (all []map[string]any) {
		for _, l := range tail.Lines(0) {
			var m map[string]any
			require.NoError(t, json.Unmarshal(l.JSON, &m))
			all = append(all, m)
		}
		return all
	}))
}

func messages(all []observe.Line) (texts []string) {
	for _, l := range all {
		texts = append(texts, fmt.Sprint(l.Seq, " ", l.Message))
	}
	return texts
}

func TestTheLastLinesAreKept(t *testing.T) {
	t.Parallel()
	tail := observe.Tail(3)
	log := slog.New(tail)
	assert.Empty(t, tail.Lines(0))
	for _, m := range []string{"a", "b", "c", "d", "e"} {
		log.Info(m)
		log.Debug("of no interest")
	}
	assert.Equal(t, []string{"3 c", "4 d", "5 e"}, messages(tail.Lines(0)))
	assert.Equal(t, []string{"5 e"}, messages(tail.Lines(4)))
	assert.Empty(t, tail.Lines(5))
	assert.Empty(t, tail.Lines(99), "of a host that was restarted")
}

func TestALineKnowsItsFunctionAndTenant(t *testing.T) {
	t.Parallel()
	tail := observe.Tail(10)
	log := slog.New(tail)
	log.Info("1", "function", "f", "tenant", "acme")
	log.With("function", "g").Info("2", "tenant", "globex")
	log.WithGroup("request").With("function", "not this").Warn("3", "tenant", "nor this")
	log.Info("4", "function", 5)
	var got [][2]string
	for _, l := range tail.Lines(0) {
		got = append(got, [2]string{l.Function, l.Tenant})
	}
	assert.Equal(t, [][2]string{{"f", "acme"}, {"g", "globex"}, {"", ""}, {"", ""}}, got)
	assert.Equal(t, slog.LevelWarn, tail.Lines(0)[2].Level)
}

func TestALongLineIsCutAndStillJSON(t *testing.T) {
	t.Parallel()
	tail := observe.Tail(10)
	slog.New(tail).Info(strings.Repeat("\x00", 1<<20), "text", strings.Repeat("x", 1<<20))
	l := tail.Lines(0)[0]
	assert.LessOrEqual(t, len(l.JSON), 16<<10)
	var m map[string]any
	require.NoError(t, json.Unmarshal(l.JSON, &m))
	assert.Equal(t, true, m["truncated"])
	assert.LessOrEqual(t, len(l.Message), 16<<10)
}

func TestFollowYieldsLinesAsTheyCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tail := observe.Tail(100)
		log := slog.New(tail)
		log.Info("before")
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			for l := range tail.Follow(ctx, 0) {
				got = append(got, l.Message)
			}
		}()
		for i := range 3 {
			synctest.Wait()
			log.Info(fmt.Sprint(i))
		}
		synctest.Wait()
		cancel()
		<-done
		assert.Equal(t, []string{"before", "0", "1", "2"}, got)
		for range tail.Follow(context.Background(), 0) {
			break // the loop may end early
		}
	})
}

func TestManyGoroutinesWriteAndFollow(t *testing.T) {
	t.Parallel()
	tail := observe.Tail(50)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const writers, each = 4, 500
	var all, followers sync.WaitGroup
	for range 3 {
		followers.Go(func() {
			var last uint64
			for l := range tail.Follow(ctx, 0) {
				assert.Greater(t, l.Seq, last)
				if last = l.Seq; last == writers*each {
					return
				}
			}
		})
	}
	for range writers {
		all.Go(func() {
			log := slog.New(tail).With("a", 1)
			for i := range each {
				log.Info("line", "i", i)
			}
		})
	}
	all.Wait()
	followers.Wait()
	assert.Len(t, tail.Lines(0), 50)
}
