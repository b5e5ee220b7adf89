package window_test

import (
	"testing"
	"time"

	"github.com/inproc/faas/internal/window"
)

func BenchmarkConcurrency(b *testing.B) {
	b.Run("Add", func(b *testing.B) {
		c := window.New(time.Minute, time.Second)
		now := int64(0)
		for b.Loop() {
			now += 100_000
			c.Add(now, 1)
			c.Add(now, -1)
		}
	})
	b.Run("Average", func(b *testing.B) {
		c := window.New(time.Minute, time.Second)
		c.Add(0, 1)
		now := int64(0)
		for b.Loop() {
			now += 100_000
			_ = c.Average(now, time.Minute)
		}
	})
	b.Run("after an hour", func(b *testing.B) { // after an hour, Add and Average write each bucket at most once
		c := window.New(time.Minute, time.Second)
		now := int64(0)
		for b.Loop() {
			now += int64(time.Hour)
			c.Add(now, 1)
			c.Add(now, -1)
		}
	})
}
