package admin

import (
	"cmp"
	"math"
	"reflect"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/observe"
)

// The states of a function, in [Function]. If several apply, the function has the first of
// them.
const (
	StateOff      = "off"      // its limit is 0
	StateStuck    = "stuck"    // a handler still runs although its call has ended
	StateRefusing = "refusing" // of the calls of the last minute, at least a tenth was refused
	StateFailing  = "failing"  // of the calls of the last minute, at least a hundredth failed
	StateIdle     = "idle"     // no call has ended within the last minute, and none is running
	StateWell     = "well"
)

// Functions is the answer of GET /v1/functions, sorted by name.
type Functions struct {
	Functions []Function `json:"functions"`
	Totals    Totals     `json:"totals"` // over the functions whose numbers the viewer may see
}

// Function describes a function.
type Function struct {
	Name     string            `json:"name"`
	Labels   map[string]string `json:"labels,omitempty"`
	Versions []Version         `json:"versions"`
	Aliases  []Alias           `json:"aliases"`
	Limit    *Int              `json:"limit"` // how many calls may run at once; 0: none; null: only the router's capacity limits them
	Reserved Int               `json:"reserved,omitempty"`
	Weight   Int               `json:"weight"`
	State    string            `json:"state,omitempty"`   // well, idle, failing, refusing, stuck or off; empty: the viewer may not see the numbers
	Numbers  *Numbers          `json:"numbers,omitempty"` // null: the viewer may see the function for one tenant only
	Rights   []string          `json:"rights,omitempty"`  // the viewer's rights to it for all tenants; only in the answer about one function
	Schema   Schema            `json:"schema,omitempty"`  // of its input, derived from the Go type; only in the answer about one function
	Jobs     *JobPolicy        `json:"jobPolicy,omitempty"`
}

// Version describes a version of a function.
type Version struct {
	Version     string            `json:"version"` // "$LATEST", or a number
	Labels      map[string]string `json:"labels,omitempty"`
	In          string            `json:"in"`  // the Go type of the input
	Out         string            `json:"out"` // the Go type of the output
	ContentType string            `json:"contentType,omitempty"`
	Stream      bool              `json:"stream,omitempty"`
	TimeoutNS   Int               `json:"timeoutNS"`
	Memory      Int               `json:"memory"` // declared, in bytes
	MaxIn       Int               `json:"maxIn"`  // in bytes
	MaxOut      Int               `json:"maxOut"` // in bytes
	Numbers     *Numbers          `json:"numbers,omitempty"`
}

// JobPolicy says how the jobs of a function are retried and kept.
type JobPolicy struct {
	Retries    Int     `json:"retries"`
	FirstNS    Int     `json:"firstNS"`
	Factor     float64 `json:"factor"`
	LongestNS  Int     `json:"longestNS,omitempty"`
	MaxAgeNS   Int     `json:"maxAgeNS"`
	KeepDoneNS Int     `json:"keepDoneNS"`
	KeepDeadNS Int     `json:"keepDeadNS"`
	OnSuccess  string  `json:"onSuccess,omitempty"`
	OnFailure  string  `json:"onFailure,omitempty"`
}

// Numbers are those of a function or a version. They are of the present moment, since
// registration (Admitted, Refused, JobsRefused), or of the last minute.
type Numbers struct {
	InFlight    Count            `json:"inFlight"`
	Queued      Count            `json:"queued"`
	Runaways    Count            `json:"runaways"`
	Instances   Count            `json:"instances"`
	Ready       Count            `json:"ready"`
	Admitted    Count            `json:"admitted"`
	Refused     map[string]Count `json:"refused,omitempty"`     // calls, by reason
	JobsRefused map[string]Count `json:"jobsRefused,omitempty"` // deliveries of jobs, by reason
	Jobs        *JobNumbers      `json:"jobs,omitempty"`        // of all versions of the function; null: there are no jobs
	Minute      *Window          `json:"minute,omitempty"`      // null: nothing has ended, or there is no recorder
}

// JobNumbers counts jobs by their state.
type JobNumbers struct {
	Scheduled Count     `json:"scheduled"`
	Ready     Count     `json:"ready"`
	Running   Count     `json:"running"`
	Parked    Count     `json:"parked"`
	Succeeded Count     `json:"succeeded"`
	Dead      Count     `json:"dead"`
	Canceled  Count     `json:"canceled"`
	Bytes     Int       `json:"bytes"`
	Oldest    time.Time `json:"oldest,omitzero"` // when the job that could run now and has waited longest became due
}

// Window counts what has ended within the last minute, or since the recorder was made if that
// is less.
type Window struct {
	Calls    Count `json:"calls"`
	Failures Count `json:"failures"` // ended neither OK nor Canceled
	Refused  Count `json:"refused"`
	Cold     Count `json:"cold"`
	Wait     Times `json:"wait"` // the wait for a slot
	Run      Times `json:"run"`
}

// Times are percentiles of durations, in nanoseconds, to within 5 %.
type Times struct {
	P50 Int `json:"p50"`
	P95 Int `json:"p95"`
	P99 Int `json:"p99"`
}

// Totals are sums over the functions whose numbers the viewer may see.
type Totals struct {
	Functions Count            `json:"functions"`
	InFlight  Count            `json:"inFlight"`
	Queued    Count            `json:"queued"`
	Runaways  Count            `json:"runaways"`
	Admitted  Count            `json:"admitted"`
	Refused   map[string]Count `json:"refused,omitempty"`
	Jobs      JobNumbers       `json:"jobs"`
	Minute    Window           `json:"minute"`
	// Capacity is how many calls may run at once in the whole router. It is null if the viewer
	// may not see the host.
	Capacity *Int `json:"capacity"`
}

// functions lists the functions that the viewer may see.
func (x *exchange) functions() (any, error) {
	out, sum := Functions{Functions: []Function{}}, newTotals(x)
	minutes := x.h.minutes()
	for info := range x.h.router.Functions() {
		all := x.allowsAll(access.See, info.Name)
		if !all && !x.allows(access.See, info.Name, x.who.Tenant) {
			continue
		}
		f := x.describe(&info)
		if all {
			x.numbers(f, &info, minutes)
			sum.add(f.Numbers, minutes.of(info.Name, ""))
		}
		out.Functions = append(out.Functions, *f)
	}
	out.Totals = sum.result()
	return out, nil
}

// function describes one function.
func (x *exchange) function() (any, error) {
	name := x.r.PathValue("name")
	all, err := x.needSight(name)
	if err != nil {
		return nil, err
	}
	info, err := x.h.router.Info(name)
	if err != nil || info.Name != name { // a name with a qualifier is not for this path
		return nil, absent()
	}
	f := x.describe(&info)
	if all {
		x.numbers(f, &info, x.h.minutes())
		f.Jobs = policyOf(info.JobPolicy)
	}
	f.Schema = schemaOfInput(info.In)
	f.Rights = x.rights(name)
	return *f, nil
}

// needSight returns an error if the viewer may not see the function. all reports whether the
// viewer may see it for all tenants; otherwise it is for the viewer's own.
func (x *exchange) needSight(name string) (all bool, err error) {
	base, version := nameOf(name)
	if x.ask(Action{Right: access.See, Function: base, Version: version, AllTenants: true}) {
		x.entry.Function = clip(base, 100)
		return true, nil
	}
	return false, x.need(Action{Right: access.See, Function: base, Version: version, Tenant: x.who.Tenant})
}

// needNumbers returns an error if the viewer may not see the function for all tenants.
func (x *exchange) needNumbers(name string) error {
	base, version := nameOf(name)
	return x.need(Action{Right: access.See, Function: base, Version: version, AllTenants: true})
}

// rights returns the rights that the viewer has to a function for all tenants.
func (x *exchange) rights(name string) []string {
	var has []string
	for _, right := range access.Rights() {
		if x.allowsAll(right, name) {
			has = append(has, string(right))
		}
	}
	return has
}

// describe returns what each viewer of a function may see: its settings, without numbers.
func (x *exchange) describe(info *faas.Info) *Function {
	f := &Function{
		Name: info.Name, Labels: info.Labels, Versions: []Version{}, Aliases: []Alias{},
		Limit: shownLimit(info.Concurrency), Reserved: Int(info.Reserved), Weight: Int(info.Weight),
	}
	versions, err := x.h.router.Versions(info.Name)
	if err != nil { // the function was removed meanwhile
		return f
	}
	for i := range versions {
		f.Versions = append(f.Versions, versionOf(&versions[i]))
	}
	aliases, _ := x.h.router.Aliases(info.Name) // none if the function was removed meanwhile
	for i := range aliases {
		f.Aliases = append(f.Aliases, shownAlias(&aliases[i]))
	}
	return f
}

func versionOf(info *faas.Info) Version {
	return Version{
		Version: info.Version, Labels: info.Labels, In: typeName(info.In), Out: typeName(info.Out),
		ContentType: info.ContentType, Stream: info.Stream, TimeoutNS: Int(info.Timeout), Memory: Int(info.Memory),
		MaxIn: Int(info.MaxIn), MaxOut: Int(info.MaxOut),
	}
}

func typeName(t reflect.Type) string {
	if t == nil {
		return ""
	}
	return t.String()
}

// shownLimit returns nil for a function that has no limit of its own.
func shownLimit(n int) *Int {
	if n == math.MaxInt32 {
		return nil
	}
	return new(Int(n))
}

// numbers adds what only viewers for all tenants may see.
func (x *exchange) numbers(f *Function, info *faas.Info, minutes minutes) {
	f.Numbers = numbersOf(info, minutes.of(info.Name, ""))
	versions, _ := x.h.router.Versions(info.Name) // none if the function was removed meanwhile
	for i := range versions {
		for j := range f.Versions {
			if v := &f.Versions[j]; v.Version == versions[i].Version {
				v.Numbers = numbersOf(&versions[i], minutes.of(info.Name, v.Version))
				v.Numbers.Jobs = nil
			}
		}
	}
	f.State = stateOf(f.Limit, f.Numbers)
}

func numbersOf(info *faas.Info, last *point) *Numbers {
	return &Numbers{
		InFlight: count(info.InFlight), Queued: count(info.Queued), Runaways: count(info.Runaways),
		Instances: count(info.Instances), Ready: count(info.Ready), Admitted: Count(info.Admitted),
		Refused: reasons(info.Rejected), JobsRefused: reasons(info.JobsRejected), Jobs: jobNumbers(&info.Jobs),
		Minute: last.window(),
	}
}

// count converts a number that should not be negative.
func count(n int) Count { return Count(max(0, n)) }

func reasons(m map[faas.Reason]uint64) map[string]Count {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]Count, len(m))
	for why, n := range m {
		out[string(why)] = Count(n)
	}
	return out
}

func jobNumbers(c *faas.JobCount) *JobNumbers {
	if *c == (faas.JobCount{}) {
		return nil
	}
	return &JobNumbers{
		Scheduled: count(c.Scheduled), Ready: count(c.Ready), Running: count(c.Running), Parked: count(c.Parked),
		Succeeded: count(c.Succeeded), Dead: count(c.Dead), Canceled: count(c.Canceled), Bytes: Int(c.Bytes), Oldest: c.Oldest,
	}
}

func policyOf(p faas.JobPolicy) *JobPolicy {
	return &JobPolicy{
		Retries: Int(p.Retry.Max), FirstNS: Int(p.Retry.First), Factor: p.Retry.Factor, LongestNS: Int(p.Retry.Longest),
		MaxAgeNS: Int(p.MaxAge), KeepDoneNS: Int(p.KeepDone), KeepDeadNS: Int(p.KeepDead),
		OnSuccess: p.OnSuccess.String(), OnFailure: p.OnFailure.String(),
	}
}

// stateOf returns the state of a function with these numbers. It is a pure function.
func stateOf(limit *Int, n *Numbers) string {
	var last Window
	if n.Minute != nil {
		last = *n.Minute
	}
	switch {
	case limit != nil && *limit == 0:
		return StateOff
	case n.Runaways > 0:
		return StateStuck
	case last.Refused > 0 && last.Refused*10 >= last.Calls+last.Refused:
		return StateRefusing
	case last.Failures > 0 && last.Failures*100 >= last.Calls:
		return StateFailing
	case last.Calls == 0 && n.InFlight == 0 && n.Queued == 0:
		return StateIdle
	}
	return StateWell
}

// point counts what has ended within a period, of one version or of several.
type point struct{ observe.Point }

// window returns the counts for the API, or nil if p is nil.
func (p *point) window() *Window {
	if p == nil {
		return nil
	}
	return &Window{
		Calls: Count(p.Outcomes.Calls()), Failures: Count(p.Outcomes.Failures()), Refused: Count(p.Refused), Cold: Count(p.Cold),
		Wait: timesOf(&p.Wait), Run: timesOf(&p.Run),
	}
}

func timesOf(h *observe.Histogram) Times {
	return Times{P50: Int(h.Quantile(0.5)), P95: Int(h.Quantile(0.95)), P99: Int(h.Quantile(0.99))}
}

// minutes counts what has ended within the last minute, by function and version. The empty
// version has the sum over all versions of a function.
type minutes map[[2]string]*point

func (m minutes) of(function, version string) *point { return m[[2]string{function, version}] }

// minutes reads the last minute from the recorder. It is empty without a recorder.
func (h *handler) minutes() minutes {
	m := minutes{}
	if h.recorder == nil {
		return m
	}
	for l := range h.recorder.Live(observe.TenSeconds, time.Now().Add(-time.Minute)) {
		for _, key := range [][2]string{{l.Function, l.Version}, {l.Function, ""}} {
			p := cmp.Or(m[key], &point{})
			for i := range l.Points {
				p.Merge(&l.Points[i])
			}
			m[key] = p
		}
	}
	return m
}

// totals computes Totals.
type totals struct {
	Totals

	minute point
}

func newTotals(x *exchange) *totals {
	t := &totals{Totals: Totals{Refused: map[string]Count{}}}
	if x.allowsAll(access.See, "") {
		t.Capacity = new(Int(x.h.router.Stats().Capacity))
	}
	return t
}

func (t *totals) add(n *Numbers, last *point) {
	t.Functions++
	t.InFlight += n.InFlight
	t.Queued += n.Queued
	t.Runaways += n.Runaways
	t.Admitted += n.Admitted
	for why, more := range n.Refused {
		t.Refused[why] += more
	}
	if n.Jobs != nil {
		t.Jobs.add(n.Jobs)
	}
	if last != nil {
		t.minute.Merge(&last.Point)
	}
}

func (t *totals) result() Totals {
	t.Minute = *t.minute.window()
	return t.Totals
}

func (j *JobNumbers) add(o *JobNumbers) {
	j.Scheduled += o.Scheduled
	j.Ready += o.Ready
	j.Running += o.Running
	j.Parked += o.Parked
	j.Succeeded += o.Succeeded
	j.Dead += o.Dead
	j.Canceled += o.Canceled
	j.Bytes += o.Bytes
	if !o.Oldest.IsZero() && (j.Oldest.IsZero() || o.Oldest.Before(j.Oldest)) {
		j.Oldest = o.Oldest
	}
}

// versions lists the versions of a function.
func (x *exchange) versions() (any, error) {
	out, err := x.function()
	if err != nil {
		return nil, err
	}
	f, _ := out.(Function)
	return Versions{Function: f.Name, Versions: f.Versions}, nil
}

// Versions is the answer of GET /v1/functions/{name}/versions, with $LATEST first, and then by
// number.
type Versions struct {
	Function string    `json:"function"`
	Versions []Version `json:"versions"`
}

// isVisible reports whether the viewer may see the numbers of the function. The empty name
// means the host. seen caches the authorizer's answers.
func (x *exchange) isVisible(seen map[string]bool, function string) bool {
	yes, known := seen[function]
	if !known {
		yes = x.allowsAll(access.See, function)
		seen[function] = yes
	}
	return yes
}
