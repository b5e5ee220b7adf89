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

// WithJobOwner restricts each job of this front to the caller that sent it: only its owner can
// read or cancel the job. owner returns the name of a request's caller. Many goroutines call
// owner at once, with the request's context. It must return the same text for the same caller;
// the empty text counts as a name too. The job stores the name as its label "faashttp.owner".
// With package access:
//
//	faashttp.WithJobOwner(func(ctx context.Context) string { return access.Caller(ctx).String() })
//
// Without this option, a caller can read and cancel a job if it may call the job's function for
// the job's tenant and knows the job's ID, which can't be guessed.
func WithJobOwner(owner func(ctx context.Context) string) Option {
	return option(func(s *settings) { s.jobOwner = owner })
}

// WithJobs makes a job of every POST to these functions, as if it preferred respond-async.
// Without names it makes a job of every POST of the handler. The names are base names: they
// stand for all versions and aliases of a function. The option is for webhooks, whose senders
// only want to know that the request has arrived, and repeat it if no answer comes: the answer
// is 202 once the job is accepted. The function's options ([faas.WithRetry]) decide how often
// the job is tried. WithJobs is an option of [Handler] and [Function]; [FunctionURL] and
// [NewLambda] have their own rules for jobs.
//
// [Handler] answers with the job's path in the header Location, and with its ID in the body.
// [Function] answers with the ID alone, because it serves no paths below its own. Functions
// that stream are called as without the option.
func WithJobs(functions ...string) Option {
	return option(func(s *settings) {
		s.allJobs = s.allJobs || len(functions) == 0
		s.jobsOf = append(s.jobsOf, functions...)
	})
}

// becomesJob reports whether a POST to a function makes a job: because of [WithJobs], or
// because the request prefers respond-async.
func (f *httpFront) becomesJob(r *http.Request, name string) bool {
	base, _, _ := strings.Cut(name, ":")
	return f.allJobs || len(f.jobsOf) > 0 && slices.Contains(f.jobsOf, base) || f.hasJobs && prefersAsync(r.Header)
}

// ownerLabel is the label of a job that stores the name of its owner, see [WithJobOwner].
const ownerLabel = "faashttp.owner"

// owner returns the name of the request's caller, or "" without [WithJobOwner].
func (x *exchange) owner() string {
	if x.settings.jobOwner == nil {
		return ""
	}
	return x.settings.jobOwner(x.ctx)
}

// jobPath splits the path of a job, without /fn/, into its function's name and its ID.
func jobPath(path string) (name, id string, ok bool) { return strings.Cut(path, "/jobs/") }

// accept sends the call as a job and answers where the job is. All bits of the ID are random,
// because a caller needs the ID to read or cancel the job.
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

// sendProblem returns the problem of a job that was not accepted.
func (f *httpFront) sendProblem(x *exchange, err error, name string) *Problem {
	if faas.EndOf(err, name).Kind == faas.KindNone {
		return f.queueProblem(x, err, name)
	}
	return f.problem(x, err, name)
}

// queueProblem returns the problem of a failed queue. It logs the failure, because the problem
// does not contain it.
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

// findJob finds the job for a caller. It asks the gates about the function in the path before
// it looks for the job. If the job is not this caller's, the problem is that of a job that does
// not exist.
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

// jobProblem returns the problem if a job can't be shown, or not to this caller. err may be the
// refusal of another function than the one in the path. Then the job is not at this path, and
// the problem is that of a job that does not exist.
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

// jobDocument is the JSON document of a job.
type jobDocument struct {
	ID        uuid.UUID         `json:"id"`
	Function  string            `json:"function"`
	State     faas.JobState     `json:"state"`
	Waiting   faas.JobWait      `json:"waiting,omitempty"`
	Until     time.Time         `json:"until,omitzero"` // when the wait ends, if that is known
	Condition faas.JobCondition `json:"condition,omitempty"`
	Accepted  time.Time         `json:"accepted"`
	Settled   time.Time         `json:"settled,omitzero"`
	Attempts  int               `json:"attempts"`
	Progress  *jobProgress      `json:"progress,omitempty"`

	Result       json.RawMessage `json:"result,omitempty"`       // the output, if the function answers JSON
	ResultBase64 []byte          `json:"resultBase64,omitempty"` // the output of any other function
	Problem      json.RawMessage `json:"problem,omitempty"`      // set if the job is dead, see endProblem
}

type jobProgress struct {
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Note  string `json:"note,omitempty"`
}

// showJob answers GET: it describes the job.
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
		out, err := job.Wait(x.ctx) // returns at once: the job has ended
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

// result stores the output in one of two fields. It chooses by the function's media type and
// not by the bytes, so that a client finds all outputs of a function in the same field.
func (d *jobDocument) result(out []byte, r *faas.Router) {
	info, err := r.Signature(d.Function)
	if err == nil && info.ContentType == "application/json" && isJSON(out) {
		d.Result = out
		return
	}
	d.ResultBase64 = out
}

// endProblem returns the problem of a dead job: the one that a call with the same end as the
// job's last delivery is answered with. It does not contain the text of a handler's error,
// which is in the job's record.
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
