package faashttp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// WithJobOwner sets a func that names who a request comes from, for the jobs of requests
// that prefer respond-async, and those of [WithJobs]: only requests of the owner of a job are told of it, and may
// cancel it. It is called by many goroutines at once, with the request's context, and must
// name the same caller by the same text; no name is a name too. The job has it as the label
// "faashttp.owner". With package access:
//
//	faashttp.WithJobOwner(func(ctx context.Context) string { return access.Caller(ctx).String() })
//
// Without it a job is told to those that may call its function for its tenant and know its
// ID, which can't be guessed.
func WithJobOwner(owner func(ctx context.Context) string) Option {
	return option(func(s *settings) { s.jobOwner = owner })
}

// WithJobs has every POST to these functions accepted as a job, as if it preferred
// respond-async, and every POST of the handler if none is named. Names are base names: they stand
// for all versions and aliases. It is for webhooks, whose senders wait for an answer that says
// "I have it", and send again without one: the answer is 202 once the job is accepted, and what
// becomes of the job is between the function and its options ([faas.WithRetry]). It is an option of
// [Handler] and [Function]; [FunctionURL] and [NewLambda] have their own rules of what is a job.
//
// [Handler] says in the Location where the job is, and [Function], which has no paths below its own,
// in its body alone which. Calls of functions that stream are made and answered.
func WithJobs(functions ...string) Option {
	return option(func(s *settings) {
		s.allJobs = s.allJobs || len(functions) == 0
		s.jobsOf = append(s.jobsOf, functions...)
	})
}

// becomesJob reports whether a POST to a function is accepted as a job: as an option says, or as its
// sender prefers.
func (f *httpFront) becomesJob(r *http.Request, name string) bool {
	base, _, _ := strings.Cut(name, ":")
	return f.allJobs || len(f.jobsOf) > 0 && slices.Contains(f.jobsOf, base) || f.hasJobs && prefersAsync(r.Header)
}

// ownerLabel is the label of a job that has who has sent it.
const ownerLabel = "faashttp.owner"

// owner names who the request comes from.
func (x *exchange) owner() string {
	if x.settings.jobOwner == nil {
		return ""
	}
	return x.settings.jobOwner(x.ctx)
}

// jobPath parts the path below /fn/ of a job: its function's name, and its ID.
func jobPath(path string) (name, id string, ok bool) { return strings.Cut(path, "/jobs/") }

// accept sends the call as a job and answers where it is. Its ID is random throughout: it
// is a part of what shows a caller to be its sender.
func (f *httpFront) accept(x *exchange, name string, body []byte) {
	id := uuid.New()
	opts := []faas.SendOption{faas.WithJobID(id)}
	if owner := x.owner(); owner != "" {
		opts = append(opts, faas.WithJobLabels(map[string]string{ownerLabel: owner}))
	}
	if _, err := f.router.Send(x.ctx, name, body, opts...); err != nil {
		x.fail(f.sendProblem(x, err, name))
		return
	}
	h := x.w.Header()
	if f.hasJobs {
		h.Set("Location", requestedPath(x.r)+"/jobs/"+id.String())
	}
	if prefersAsync(x.r.Header) {
		h.Set("Preference-Applied", "respond-async")
	}
	x.showAs(http.StatusAccepted, struct {
		ID       uuid.UUID `json:"id"`
		Function string    `json:"function"`
	}{id, name})
}

// sendProblem is the problem of a job that was not accepted.
func (f *httpFront) sendProblem(x *exchange, err error, name string) *Problem {
	if faas.EndOf(err, name).Kind == faas.KindNone {
		return f.queueProblem(x, err, name)
	}
	return f.problem(x, err, name)
}

// queueProblem is for a failure of the queue, of which nothing is told.
func (f *httpFront) queueProblem(x *exchange, err error, name string) *Problem {
	if errors.Is(err, faas.ErrClosed) {
		return f.refusalProblem(faas.KindClosed, &faas.Error{Reason: faas.ReasonClosed})
	}
	f.logger.Error("faashttp: the queue of jobs has failed", "function", name, "request", x.carried.ID, "error", err)
	return &Problem{Status: http.StatusServiceUnavailable, Reason: "jobs", Detail: "The jobs can't be reached now; try again later.", RetryAfter: time.Second}
}

// job serves /fn/{name}/jobs/{id}.
func (f *httpFront) job(w http.ResponseWriter, r *http.Request, name, id string) {
	if !hasMethod(w, r, http.MethodGet, http.MethodHead, http.MethodDelete) {
		return
	}
	x, ok := f.open(w, r)
	if !ok {
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	job, info, problem := f.findJob(x, name, id)
	switch {
	case problem != nil:
		x.fail(problem)
	case r.Method == http.MethodDelete:
		f.cancel(x, job, name)
	default:
		f.showJob(x, job, info)
	}
}

// findJob looks up a job for a caller. The gates are asked for the function that the path
// names before anything is told of a job. All jobs that are not this caller's are answered as
// one that does not exist.
func (f *httpFront) findJob(x *exchange, name, id string) (*faas.Job[[]byte], faas.JobInfo, *Problem) {
	if err := f.router.DryRun(x.ctx, name); err != nil {
		return nil, faas.JobInfo{}, f.problemOf(err, name)
	}
	parsed, ok := jobID(id)
	if !ok {
		return nil, faas.JobInfo{}, unknownJob()
	}
	job := f.router.Job(parsed)
	info, err := job.InfoFor(x.ctx)
	switch {
	case err != nil:
		return nil, info, f.jobProblem(x, err, name)
	case info.Function != name || info.Origin.Door != doorHTTP || info.Labels[ownerLabel] != x.owner():
		return nil, info, unknownJob()
	}
	return job, info, nil
}

// jobProblem is the problem of a job that can't be told of, or not to this caller. The
// refusal may be that of another function than the one in the path: then the job is not at
// this path.
func (f *httpFront) jobProblem(x *exchange, err error, name string) *Problem {
	_, refused := errors.AsType[*faas.Error](err)
	switch {
	case errors.Is(err, faas.ErrNotFound), errors.Is(err, faas.ErrForgotten), errors.Is(err, faas.ErrDenied):
		return unknownJob()
	case faas.EndOf(err, name).Kind != faas.KindNone:
		return f.problemOf(err, name)
	case refused:
		return unknownJob()
	}
	return f.queueProblem(x, err, name)
}

func unknownJob() *Problem {
	return &Problem{Status: http.StatusNotFound, Reason: "job", Detail: "There is no such job."}
}

// cancel serves DELETE.
func (f *httpFront) cancel(x *exchange, job *faas.Job[[]byte], name string) {
	switch err := job.Cancel(x.ctx); {
	case err == nil:
		x.reply(http.StatusNoContent, "", nil)
	case errors.Is(err, faas.ErrSettled):
		x.fail(&Problem{Status: http.StatusConflict, Reason: "settled", Detail: "The job has ended."})
	default:
		x.fail(f.jobProblem(x, err, name))
	}
}

// jobDocument is a job as JSON.
type jobDocument struct {
	ID        uuid.UUID         `json:"id"`
	Function  string            `json:"function"`
	State     faas.JobState     `json:"state"`
	Waiting   faas.JobWait      `json:"waiting,omitempty"`
	Until     time.Time         `json:"until,omitzero"` // when it waits no longer, if that is known
	Condition faas.JobCondition `json:"condition,omitempty"`
	Accepted  time.Time         `json:"accepted"`
	Settled   time.Time         `json:"settled,omitzero"`
	Attempts  int               `json:"attempts"`
	Progress  *jobProgress      `json:"progress,omitempty"`

	Result       json.RawMessage `json:"result,omitempty"`       // of a function that answers JSON
	ResultBase64 []byte          `json:"resultBase64,omitempty"` // of any other
	Problem      json.RawMessage `json:"problem,omitempty"`      // of a dead one: what a call that ended so is answered
}

type jobProgress struct {
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Note  string `json:"note,omitempty"`
}

// showJob serves GET.
func (f *httpFront) showJob(x *exchange, job *faas.Job[[]byte], i faas.JobInfo) {
	doc := jobDocument{
		ID: i.ID, Function: i.Function, State: i.State, Waiting: i.Waiting.For, Until: i.Waiting.Until, Condition: i.Condition,
		Accepted: i.Accepted, Settled: i.Settled, Attempts: i.Attempts,
	}
	if p := i.Progress; p != (faas.JobProgress{}) {
		doc.Progress = &jobProgress{p.Done, p.Total, p.Note}
	}
	switch i.State {
	case faas.JobSucceeded:
		out, err := job.Wait(x.ctx) // does not wait: the job has ended
		if err != nil {
			x.fail(f.jobProblem(x, err, i.Function))
			return
		}
		doc.result(out, f.router)
	case faas.JobDead:
		doc.Problem = f.endProblem(i).json(i.Origin.RequestID)
	case faas.JobCanceled, faas.JobScheduled, faas.JobReady, faas.JobRunning, faas.JobParked:
	}
	x.show(doc)
}

// result notes the output by the function's media type, not by what it looks like: so a
// client finds the answers of one function always in the same field.
func (d *jobDocument) result(out []byte, r *faas.Router) {
	info, err := r.Signature(d.Function)
	if err == nil && info.ContentType == "application/json" && isJSON(out) {
		d.Result = out
		return
	}
	d.ResultBase64 = out
}

// endProblem is what a call is answered that ended as the last delivery of a dead job did.
// The text of a handler's error is in the record, and is not told here either.
func (f *httpFront) endProblem(i faas.JobInfo) *Problem {
	switch last := i.Last; {
	case last == nil:
		return &Problem{Status: http.StatusGatewayTimeout, Reason: "expired", Detail: "The job has become too old to be run."}
	case last.Kind != faas.KindNone:
		return f.refusalProblem(last.Kind, &faas.Error{Reason: last.Reason})
	default:
		return outcomeProblem(last.Outcome, &faas.Error{})
	}
}
