package faas

import (
	"time"

	"github.com/google/uuid"
)

// JobWaiting says why a job does not run. It is zero for a job that runs or is settled.
type JobWaiting struct {
	For   JobWait
	Until time.Time // with WaitDue, WaitBackoff and WaitBudget: when the wait ends at the latest
	Job   uuid.UUID // with WaitKey: the job that holds the order key
}

// waitingOf returns why a job does not run.
func (r *Router) waitingOf(rec *JobRecord) JobWaiting {
	switch rec.State {
	case JobRunning, JobSucceeded, JobDead, JobCanceled:
		return JobWaiting{}
	case JobParked:
		return JobWaiting{For: rec.parkedFor(), Until: rec.NotBefore}
	case JobScheduled:
		if rec.Last == nil {
			return JobWaiting{For: WaitDue, Until: rec.NotBefore}
		}
		return JobWaiting{For: WaitBackoff, Until: rec.NotBefore}
	case JobReady:
	}
	f := r.functions.get(rec.Function)
	switch {
	case rec.KeyHolder != uuid.Nil:
		return JobWaiting{For: WaitKey, Job: rec.KeyHolder}
	case f == nil || r.closed.Load():
		return JobWaiting{For: WaitFunction}
	case f.class.Limit() == 0:
		return JobWaiting{For: WaitOff}
	}
	return JobWaiting{For: WaitTurn}
}

// parkedFor returns what a parked job waits for. If the field ParkedFor is empty, as in records
// of an earlier release, parkedFor derives it from the last delivery.
func (rec *JobRecord) parkedFor() JobWait {
	switch last := rec.Last; {
	case rec.ParkedFor != "":
		return rec.ParkedFor
	case last == nil || last.Kind == KindNone:
		return WaitHandler
	case last.Kind == KindNotFound:
		return WaitFunction
	}
	return WaitBudget
}

// counts returns the job counts by function, or nil if the queue fails.
func (j *jobHost) counts() map[string]JobCount {
	counts, err := j.queue.count(j.ctx)
	if err != nil {
		return nil
	}
	return counts
}
