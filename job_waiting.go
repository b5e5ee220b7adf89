package faas

import (
	"time"

	"github.com/google/uuid"
)

// JobWaiting says why a job does not run. It is zero for a job that runs or is settled.
type JobWaiting struct {
	For   JobWait
	Until time.Time // of WaitDue, WaitBackoff, WaitBudget: at the latest
	Job   uuid.UUID // of WaitKey: the job that holds the order key
}

// waitingOf says why a job does not run.
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

// parkedFor says what a parked job waits for. Of a record that does not tell, its last delivery
// does.
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

// counts returns how many jobs there are by function, or nil without a queue.
func (j *jobHost) counts() map[string]JobCount {
	counts, err := j.queue.count(j.ctx)
	if err != nil {
		return nil
	}
	return counts
}
