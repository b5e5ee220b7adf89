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

// BulkRequest is the body of POST /v1/jobs/cancel, /v1/jobs/replay and /v1/jobs/purge. Without
// Expect, the jobs are only counted. With the count as Expect, the same request is carried out,
// unless another number of jobs matches by then.
type BulkRequest struct {
	Filter JobFilter `json:"filter"`
	Expect *Count    `json:"expect,omitempty"` // how many jobs must match; null: only count them
}

// JobFilter selects jobs. A job must match each field that is set.
type JobFilter struct {
	Function  string            `json:"function,omitempty"` // of all its versions
	Tenant    *string           `json:"tenant,omitempty"`   // empty: jobs without a tenant; null: of any tenant
	OrderKey  string            `json:"orderKey,omitempty"`
	Condition string            `json:"condition,omitempty"`
	States    []string          `json:"states,omitempty"` // at least one of these
	Labels    map[string]string `json:"labels,omitempty"` // all of these
	After     time.Time         `json:"after,omitzero"`   // accepted at this time or later
	Before    time.Time         `json:"before,omitzero"`  // accepted before this time
}

// Bulk is the answer. It counts the jobs that match and to which the viewer has the right.
type Bulk struct {
	Matched Count    `json:"matched"`
	Dry     bool     `json:"dry"`              // the jobs were only counted; send the request again with expect
	Done    Count    `json:"done"`             // the other jobs have changed meanwhile, or count as failed
	Failed  Count    `json:"failed"`           // for example because a gate refused them
	Jobs    []string `json:"jobs,omitempty"`   // the IDs of the first 100 new jobs of a replay
	Reason  string   `json:"reason,omitempty"` // of the first failure
}

// maxBulk is the largest number of jobs that one request may change.
const maxBulk = 100_000

// bulk is an operation on many jobs.
type bulk struct {
	right access.Right
	takes func(faas.JobState) bool // the states in which a job can be changed
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

// purgeJobs removes records one by one, since Router.Purge would also remove records to which
// the viewer has no right.
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

// forAll counts the jobs that match. If there are as many as expected, it changes them.
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

// matching returns the IDs of the jobs that match and to which the viewer has the right.
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

// maxMade is how many IDs of new jobs an answer lists.
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
