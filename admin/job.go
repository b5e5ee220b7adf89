package admin

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
)

// Jobs is the answer of GET /v1/jobs, in the order of acceptance.
type Jobs struct {
	Jobs []Job  `json:"jobs"`
	Next string `json:"next,omitempty"` // the parameter cursor for the next page; empty: there is none
}

// Job describes a job.
type Job struct {
	ID         string            `json:"id"`
	Function   string            `json:"function"` // as it was sent: with a version or an alias, if there was one
	Tenant     string            `json:"tenant,omitempty"`
	Priority   Int               `json:"priority,omitempty"`
	State      string            `json:"state"`               // scheduled, ready, running, parked, succeeded, dead or canceled
	Waiting    *Waiting          `json:"waiting,omitempty"`   // what a waiting job waits for
	Condition  string            `json:"condition,omitempty"` // why a settled job has ended
	Accepted   time.Time         `json:"accepted"`
	Due        time.Time         `json:"due"`
	Expires    time.Time         `json:"expires"`
	Settled    time.Time         `json:"settled,omitzero"`
	Attempts   Int               `json:"attempts"`
	Deliveries Int               `json:"deliveries"`
	Crashes    Int               `json:"crashes,omitempty"`
	UsedNS     Int               `json:"usedNS"`
	Last       *Delivery         `json:"last,omitempty"` // the last delivery that has ended; null: none has
	Progress   *Progress         `json:"progress,omitempty"`
	OrderKey   string            `json:"orderKey,omitempty"`
	UniqueKey  string            `json:"uniqueKey,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Origin     Origin            `json:"origin"`
	ReplayOf   string            `json:"replayOf,omitempty"`
	Bytes      Int               `json:"bytes"` // of the input
}

// Waiting says what a job waits for.
type Waiting struct {
	For   string    `json:"for"` // due, backoff, key, turn, budget, handler, function or off
	Until time.Time `json:"until,omitzero"`
	Job   string    `json:"job,omitempty"` // the job that holds the order key
}

// Delivery says how the last delivery of a job has ended.
type Delivery struct {
	At         time.Time `json:"at"`
	Invocation string    `json:"invocation,omitempty"` // empty: the delivery was refused
	Version    string    `json:"version,omitempty"`
	Kind       string    `json:"kind,omitempty"` // the kind of a refusal
	Outcome    string    `json:"outcome,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	Error      *string   `json:"error,omitempty"` // the error's text, for viewers who may see inputs
	ErrorType  string    `json:"errorType,omitempty"`
	DurationNS Int       `json:"durationNS"`
}

// Progress says how far a running job is, as its handler has reported.
type Progress struct {
	Done  Int    `json:"done"`
	Total Int    `json:"total"`
	Note  string `json:"note,omitempty"`
}

func (x *exchange) shownJob(i *faas.JobInfo) Job {
	j := Job{
		ID: i.ID.String(), Function: i.Function, Tenant: i.Tenant, Priority: Int(i.Priority), State: strings.ToLower(i.State.String()),
		Condition: string(i.Condition), Accepted: i.Accepted, Due: i.Due, Expires: i.Expires, Settled: i.Settled,
		Attempts: Int(i.Attempts), Deliveries: Int(i.Deliveries), Crashes: Int(i.Crashes), UsedNS: Int(i.Used),
		OrderKey: i.OrderKey, UniqueKey: i.UniqueKey, Labels: i.Labels, Origin: shownOrigin(i.Origin), ReplayOf: idText(i.ReplayOf),
		Bytes: Int(i.Bytes),
	}
	if i.Waiting != (faas.JobWaiting{}) {
		j.Waiting = &Waiting{For: string(i.Waiting.For), Until: i.Waiting.Until, Job: idText(i.Waiting.Job)}
	}
	if i.Progress != (faas.JobProgress{}) {
		j.Progress = &Progress{Done: Int(i.Progress.Done), Total: Int(i.Progress.Total), Note: i.Progress.Note}
	}
	if i.Last != nil {
		j.Last = x.shownDelivery(i)
	}
	return j
}

func (x *exchange) shownDelivery(i *faas.JobInfo) *Delivery {
	e := i.Last
	d := &Delivery{
		At: e.At, Invocation: idText(e.Invocation), Version: e.Version, Reason: string(e.Reason), ErrorType: e.ErrorType, DurationNS: Int(e.Duration),
	}
	if e.Kind != faas.KindNone {
		d.Kind = e.Kind.String()
	} else {
		d.Outcome = e.Outcome.String()
	}
	base, _ := nameOf(i.Function)
	if e.Error != "" && x.allows(access.SeeInputs, base, i.Tenant) {
		d.Error = &e.Error
	}
	return d
}

// jobFilter reads the parameters that select jobs.
func (x *exchange) jobFilter() (f faas.JobFilter, err error) {
	f.Function, _ = nameOf(x.param("function"))
	f.OrderKey, f.Condition = x.param("orderKey"), faas.JobCondition(x.param("condition"))
	if x.has("tenant") {
		f.Tenant = new(x.param("tenant"))
	}
	if f.After, err = x.time("after"); err != nil {
		return f, err
	}
	if f.Before, err = x.time("before"); err != nil {
		return f, err
	}
	if f.States, err = statesOf(x.r.URL.Query()["state"]); err != nil {
		return f, err
	}
	f.Labels, err = labelsOf(x.r.URL.Query()["label"])
	return f, err
}

// labelsOf reads labels of the form "team=web".
func labelsOf(texts []string) (map[string]string, error) {
	if len(texts) == 0 {
		return nil, nil //nolint:nilnil // no labels
	}
	labels := map[string]string{}
	for _, label := range texts {
		key, value, ok := strings.Cut(label, "=")
		if !ok {
			return nil, badInput("The parameter label is name=value.")
		}
		labels[key] = value
	}
	return labels, nil
}

// statesOf reads the names of states, as they are in Job.
func statesOf(names []string) (states []faas.JobState, err error) {
	for _, name := range names {
		found := false
		for s := faas.JobScheduled; s <= faas.JobCanceled; s++ {
			if strings.ToLower(s.String()) == name {
				states, found = append(states, s), true
			}
		}
		if !found {
			return nil, badInput("A state is scheduled, ready, running, parked, succeeded, dead or canceled.")
		}
	}
	return states, nil
}

// hasJob reports whether the viewer has the right to a job.
func (x *exchange) hasJob(right access.Right, i *faas.JobInfo) bool {
	base, version := nameOf(i.Function)
	return x.ask(Action{Right: right, Function: base, Version: version, Tenant: i.Tenant})
}

// jobs lists the jobs that the viewer may see. The cursor has the ID of the last job on the
// page before, and the time when it was accepted. The next page begins with the jobs accepted
// at that time, and skips them up to that job.
func (x *exchange) jobs() (any, error) {
	limit, err := x.limit(100)
	if err != nil {
		return nil, err
	}
	f, err := x.jobFilter()
	if err != nil {
		return nil, err
	}
	skip, err := x.cursor(&f)
	if err != nil {
		return nil, err
	}
	out := Jobs{Jobs: []Job{}}
	for i, err := range x.h.router.Jobs(x.r.Context(), f) {
		if err != nil {
			return nil, err
		}
		if skip(&i) || !x.hasJob(access.See, &i) {
			continue
		}
		if len(out.Jobs) == limit {
			last := out.Jobs[limit-1]
			out.Next = last.Accepted.UTC().Format(time.RFC3339Nano) + "," + last.ID
			break
		}
		out.Jobs = append(out.Jobs, x.shownJob(&i))
	}
	return out, nil
}

// cursor narrows the filter, and returns a function that reports which jobs were on the page
// before.
func (x *exchange) cursor(f *faas.JobFilter) (skip func(*faas.JobInfo) bool, err error) {
	text := x.param("cursor")
	if text == "" {
		return func(*faas.JobInfo) bool { return false }, nil
	}
	at, id, _ := strings.Cut(text, ",")
	from, err := time.Parse(time.RFC3339Nano, at)
	last, bad := uuid.Parse(id)
	if err != nil || bad != nil {
		return nil, badInput("The parameter cursor is what an answer had as next.")
	}
	f.After = from
	passed := false
	return func(i *faas.JobInfo) bool {
		if passed || i.Accepted.After(from) { // the second case: the cursor's job is gone
			passed = true
			return false
		}
		passed = i.ID == last
		return true
	}, nil
}

// jobOf returns the job that the path names, if the viewer has the right.
func (x *exchange) jobOf(right access.Right) (*faas.Job[[]byte], *faas.JobInfo, error) {
	id, err := uuid.Parse(x.r.PathValue("id"))
	if err != nil {
		return nil, nil, x.notThere()
	}
	x.entry.Object = id.String()
	job := x.h.router.Job(id)
	info, err := job.Info(x.r.Context())
	if err != nil {
		_ = x.notThere()
		return nil, nil, err
	}
	base, version := nameOf(info.Function)
	return job, &info, x.need(Action{Right: right, Function: base, Version: version, Tenant: info.Tenant})
}

func (x *exchange) job() (any, error) {
	_, info, err := x.jobOf(access.See)
	if err != nil {
		return nil, err
	}
	return x.shownJob(info), nil
}

// jobData returns the input or the output of a job.
func (x *exchange) jobData(of func(*faas.JobRecord) []byte) (any, error) {
	_, info, err := x.jobOf(access.SeeInputs)
	if err != nil {
		return nil, err
	}
	rec, err := x.h.router.JobQueue().Get(x.r.Context(), info.ID)
	if err != nil {
		return nil, err
	}
	d := Data{ID: info.ID.String()}
	if sig, err := x.h.router.Signature(info.Function); err == nil {
		d.ContentType = sig.ContentType
	}
	d.set(of(&rec))
	return d, nil
}

func (x *exchange) jobInput() (any, error) {
	return x.jobData(func(rec *faas.JobRecord) []byte { return rec.Payload })
}

func (x *exchange) jobOutput() (any, error) {
	return x.jobData(func(rec *faas.JobRecord) []byte { return rec.Output })
}

// DeadLetters is the answer of GET /v1/dead-letters, with the largest group first.
type DeadLetters struct {
	Groups []DeadGroup `json:"groups"`
}

// DeadGroup counts dead jobs of one function and one condition, whose last deliveries have
// ended in the same way.
type DeadGroup struct {
	Function  string    `json:"function"` // without version or alias
	Condition string    `json:"condition"`
	Outcome   string    `json:"outcome,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	ErrorType string    `json:"errorType,omitempty"`
	Count     Count     `json:"count"`
	Tenants   []string  `json:"tenants"` // the first 20 found
	First     time.Time `json:"first"`   // when the first of them was settled
	Last      time.Time `json:"last"`
	Example   string    `json:"example"` // the ID of the job that was settled last
}

// deadKey is the key by which dead jobs are grouped.
type deadKey struct{ function, condition, outcome, reason, errorType string }

func (x *exchange) deadLetters() (any, error) {
	f, err := x.jobFilter()
	if err != nil {
		return nil, err
	}
	f.States = []faas.JobState{faas.JobDead}
	groups := map[deadKey]*DeadGroup{}
	for i, err := range x.h.router.Jobs(x.r.Context(), f) {
		if err != nil {
			return nil, err
		}
		if x.hasJob(access.See, &i) {
			bury(groups, &i)
		}
	}
	out := DeadLetters{Groups: []DeadGroup{}}
	for _, g := range groups {
		slices.Sort(g.Tenants)
		out.Groups = append(out.Groups, *g)
	}
	slices.SortFunc(out.Groups, func(a, b DeadGroup) int {
		if a.Count != b.Count {
			return int(b.Count) - int(a.Count)
		}
		return strings.Compare(a.Function+a.Condition+a.Outcome+a.ErrorType, b.Function+b.Condition+b.Outcome+b.ErrorType)
	})
	return out, nil
}

// maxGroupTenants is how many tenants a group lists.
const maxGroupTenants = 20

// bury adds a dead job to its group.
func bury(groups map[deadKey]*DeadGroup, i *faas.JobInfo) {
	key := deadKey{condition: string(i.Condition)}
	key.function, _ = nameOf(i.Function)
	if e := i.Last; e != nil {
		key.reason, key.errorType = string(e.Reason), e.ErrorType
		if e.Kind == faas.KindNone {
			key.outcome = e.Outcome.String()
		}
	}
	g := groups[key]
	if g == nil {
		g = &DeadGroup{
			Function: key.function, Condition: key.condition, Outcome: key.outcome, Reason: key.reason, ErrorType: key.errorType,
			Tenants: []string{}, First: i.Settled,
		}
		groups[key] = g
	}
	g.Count++
	if len(g.Tenants) < maxGroupTenants && !slices.Contains(g.Tenants, i.Tenant) {
		g.Tenants = append(g.Tenants, i.Tenant)
	}
	if i.Settled.Before(g.First) {
		g.First = i.Settled
	}
	if !i.Settled.Before(g.Last) {
		g.Last, g.Example = i.Settled, i.ID.String()
	}
}

// replayJob sends a settled job again, as a new job.
func (x *exchange) replayJob() (any, error) {
	job, _, err := x.jobOf(access.Replay)
	if err != nil {
		return nil, err
	}
	opts, err := x.otherInput()
	if err != nil {
		return nil, err
	}
	again, err := job.Replay(access.WithPrincipal(x.r.Context(), x.who), opts...)
	if err != nil {
		return nil, err
	}
	info, err := again.Info(x.r.Context())
	if err != nil {
		return nil, err
	}
	x.entry.Detail = "as " + info.ID.String()
	return x.shownJob(&info), nil
}

// otherInput returns an option with the input in the body, if there is one, for the new job.
func (x *exchange) otherInput() ([]faas.SendOption, error) {
	var body Input
	if err := x.body(&body, maxInput); err != nil {
		return nil, err
	}
	payload, given, err := body.bytes()
	if err != nil || !given {
		return nil, err
	}
	return []faas.SendOption{faas.WithInput(payload)}, nil
}

// cancelJob cancels one job.
func (x *exchange) cancelJob() (any, error) {
	job, _, err := x.jobOf(access.Manage)
	if err != nil {
		return nil, err
	}
	if err := x.body(&struct{}{}, maxOrder); err != nil {
		return nil, err
	}
	if err := job.Cancel(x.r.Context()); err != nil {
		return nil, err
	}
	info, err := job.Info(x.r.Context())
	if err != nil {
		return nil, err
	}
	return x.shownJob(&info), nil
}
