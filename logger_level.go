package faas

import (
	"log/slog"
	"math"
	"sync/atomic"
)

// noLevel means that no level is set.
const noLevel = slog.Level(math.MinInt)

// functionLog is shared by the loggers of all calls of one registration.
type functionLog struct {
	logger *slog.Logger
	level  atomic.Int64 // a slog.Level
}

// shown returns the level as Info shows it; nil: none is set.
func (l *functionLog) shown() slog.Leveler {
	if level := slog.Level(l.level.Load()); level != noLevel {
		return level
	}
	return nil
}
