package faas

import (
	"log/slog"
	"math"
	"sync/atomic"
)

// noLevel stands for a level that was not set.
const noLevel = slog.Level(math.MinInt)

// functionLog is what the loggers of the calls of one registration share.
type functionLog struct {
	logger *slog.Logger
	level  atomic.Int64 // a slog.Level
}

// shown is the level as Info shows it; nil: none is set.
func (l *functionLog) shown() slog.Leveler {
	if level := slog.Level(l.level.Load()); level != noLevel {
		return level
	}
	return nil
}
