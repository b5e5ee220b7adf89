package admin

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
)

// BulkRequest is the body of POST /v1/jobs/cancel, /v1/jobs/replay and /v1/jobs/purge.
// Without Expect nothing is done but to count. Then the same request with the count as
// Expect does it, unless other jobs match by then.
type BulkRequest struct {
	Filter JobFilter `json:"filter"`
	Expect *Count    `json:"expect,omitempty"` // how many jobs are meant; null: only count them
}

// JobFilter selects jobs: each field that is set must match.
type JobFilter struct {
	Function  string            `json:"function,omitempty"` // whatever the version
	Tenant    *string           `json:"tenant,omitempty"`   // empty: of none in particular; null: of any
	OrderKey  string            `json:"orderKey,omitempty"`
	Condition string            `json:"condition,omitempty"`
	States    []string          `json:"states,omitempty"` // one of these
	Labels    map[string]string `json:"labels,omitempty"` // at least these
	After     time.Time         `json:"after,omitzero"`   // accepted at it or later
	Before    time.Time         `json:"before,omitzero"`  // accepted before it
}

// Bulk is the answer: what matches, of what the viewer may do this to, and what was done.
type Bulk struct {
	Matched Count    `json:"matched"`
	Dry     bool     `json:"dry"`              // nothing was done: to do it, send the request again with expect
	Done    Count    `json:"done"`             // the rest has changed meanwhile
	Failed  Count    `json:"failed"`           // for example refused by a gate
	Jobs    []string `json:"jobs,omitempty"`   // the IDs of the first 100 new jobs of a replay
	Reason  string   `json:"reason,omitempty"` // of the first that failed
}

// maxBulk is how many jobs an order can be about.
const maxBulk = 100_000

// bulk is what an order does to a job.
type bulk struct {
	right access.Right
	takes func(faas.JobState) bool // to jobs of which states
	do    func(ctx context.Context, id uuid.UUID) (made uuid.UUID, err error)
}

func (x *exchange) cancelJobs() (any, error) {
	return x.forAll(&bulk{
		right: access.Manage, takes: func(s faas.JobState) bool { return !s.IsSettled() },
		do: func(ctx context.Context, id uuid.UUID) (uuid.UUID, error) {
			return uuid.Nil, x.h.router.Job(id).Cancel(ctx)
		},
	})
}

func (x *exchange) replayJobs() (any, error) {
	return x.forAll(&bulk{
		right: access.Replay, takes: faas.JobState.IsSettled,
		do: func(ctx context.Context, id uuid.UUID) (uuid.UUID, error) {
			again, err := x.h.router.Replay(access.WithPrincipal(ctx, x.who), id)
			if err != nil {
				return uuid.Nil, err
			}
			return again.ID(), nil
		},
	})
}

// purgeJobs removes records one by one: Router.Purge would also remove those that the viewer
// may not remove.
func (x *exchange) purgeJobs() (any, error) {
	return x.forAll(&bulk{
		right: access.Manage, takes: faas.JobState.IsSettled,
		do: func(ctx context.Context, id uuid.UUID) (uuid.UUID, error) {
			q := x.h.router.JobQueue()
			rec, err := q.Get(ctx, id)
			if err == nil && rec.State.IsSettled() {
				err = q.Swap(ctx, rec, faas.JobRecord{})
			}
			return uuid.Nil, err
		},
	})
}

// forAll counts the jobs that an order is about, and does it if that is what was expected.
func (x *exchange) forAll(b *bulk) (any, error) {
	var body BulkRequest
	if err := x.body(&body, maxOrder); err != nil {
		return nil, err
	}
	f, err := body.Filter.filter()
	if err != nil {
		return nil, err
	}
	x.entry.Function = clip(f.Function, 100)
	if !x.h.writes {
		return nil, noWrites()
	}
	ids, err := x.matching(&f, b)
	if err != nil {
		return nil, err
	}
	out := Bulk{Matched: count(len(ids)), Dry: body.Expect == nil}
	x.entry.Detail = strconv.Itoa(len(ids)) + " jobs"
	switch {
	case out.Dry:
		x.entry.Detail += ", counted"
		return out, nil
	case *body.Expect != out.Matched:
		return nil, problem(http.StatusConflict, "conflict", "There are "+strconv.Itoa(len(ids))+" such jobs now; count again.")
	}
	for _, id := range ids {
		out.add(b.do(x.r.Context(), id))
	}
	return out, nil
}

// matching are the jobs that match, of what the viewer has the right to.
func (x *exchange) matching(f *faas.JobFilter, b *bulk) (ids []uuid.UUID, err error) {
	for i, err := range x.h.router.Jobs(x.r.Context(), *f) {
		switch {
		case err != nil:
			return nil, err
		case !b.takes(i.State):
		case !x.hasJob(b.right, &i):
			x.denied = true
		case len(ids) == maxBulk:
			return nil, badInput("More than " + strconv.Itoa(maxBulk) + " jobs match; narrow the filter.")
		default:
			ids = append(ids, i.ID)
		}
	}
	x.denied = x.denied && len(ids) == 0
	return ids, nil
}

// maxMade is how many IDs of new jobs an answer has.
const maxMade = 100

func (b *Bulk) add(made uuid.UUID, err error) {
	if err != nil {
		b.Failed++
		if b.Reason == "" {
			b.Reason = problemOf(err).Detail
		}
		return
	}
	b.Done++
	if made != uuid.Nil && len(b.Jobs) < maxMade {
		b.Jobs = append(b.Jobs, made.String())
	}
}

func (f *JobFilter) filter() (faas.JobFilter, error) {
	states, err := statesOf(f.States)
	if err != nil {
		return faas.JobFilter{}, err
	}
	base, _ := nameOf(f.Function)
	return faas.JobFilter{
		Function: base, Tenant: f.Tenant, OrderKey: f.OrderKey, Condition: faas.JobCondition(f.Condition), States: slices.Clip(states),
		Labels: f.Labels, After: f.After, Before: f.Before,
	}, nil
}
