package observe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
)

// Profiler measures which functions use the processor, and for which tenants, while
// [Profiler.Profile] runs. It is made by [NewProfiler]. It is an option of a router or of a
// function, which adds a middleware. While no profile runs, the middleware only checks that.
type Profiler struct {
	faas.Option

	on atomic.Bool
}

// NewProfiler returns a profiler. One profiler may serve several routers.
func NewProfiler() *Profiler {
	p := &Profiler{}
	p.Option = faas.WithMiddleware(p.around)
	return p
}

// ErrProfiling is wrapped by the error of [Profiler.Profile] if another CPU profile of the
// process runs, because the Go runtime can make only one at a time.
var ErrProfiling = errors.New("another CPU profile runs")

// CPUProfile says which functions have used the processor, according to samples. The runtime
// takes 100 samples for each second of processor time. So small numbers are inexact: a function
// with 50 ms was seen five times.
type CPUProfile struct {
	Start    time.Time
	Duration time.Duration // how long the profile ran
	Samples  int           // of the whole process
	Uses     []CPUUse      // the largest first
	Rest     time.Duration // of calls that had begun before the profile, and of code outside of handlers
	Pprof    []byte        // the profile for go tool pprof; its flags -tagfocus and -tagroot take the names of the labels
}

// CPUUse is the processor time that a function and version has used for a tenant. It includes
// the goroutines that the handler has started. The functions that it has called have their own
// CPUUse.
type CPUUse struct {
	Function, Version, Tenant string

	Time    time.Duration
	Samples int
}

// The names of the labels.
const (
	functionLabel = "faas.function"
	versionLabel  = "faas.version"
	tenantLabel   = "faas.tenant"
)

// Profile makes a CPU profile of the process, and returns when d is over. The goroutines of
// calls that begin meanwhile have the labels faas.function, faas.version and faas.tenant. If
// ctx ends first, Profile returns the error of ctx and no profile. If another profile runs, the
// error Is [ErrProfiling].
func (p *Profiler) Profile(ctx context.Context, d time.Duration) (*CPUProfile, error) {
	if d <= 0 {
		return nil, fmt.Errorf("observe: a profile must last longer than %v", d)
	}
	var out bytes.Buffer
	start := time.Now()
	if err := pprof.StartCPUProfile(&out); err != nil { // its only error: another profile runs
		return nil, fmt.Errorf("observe: %w", ErrProfiling)
	}
	err := p.during(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("observe: profile: %w", err)
	}
	all := &CPUProfile{Start: start, Duration: time.Since(start), Pprof: out.Bytes()}
	if err := all.read(); err != nil {
		return nil, fmt.Errorf("observe: profile: %w", err)
	}
	return all, nil
}

// during labels the calls until d is over, and stops the profile.
func (p *Profiler) during(ctx context.Context, d time.Duration) error {
	defer pprof.StopCPUProfile()
	p.on.Store(true)
	defer p.on.Store(false)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// around is the middleware. It labels the goroutine of a call while a profile runs.
func (p *Profiler) around(next faas.Runner) faas.Runner {
	return func(ctx context.Context, inv faas.Invocation) (err error) {
		if !p.on.Load() {
			return next(ctx, inv)
		}
		labels := pprof.Labels(functionLabel, inv.Function, versionLabel, inv.Version, tenantLabel, inv.Tenant)
		pprof.Do(ctx, labels, func(ctx context.Context) { err = next(ctx, inv) })
		return err
	}
}

// read adds up the samples of the profile.
func (c *CPUProfile) read() error {
	samples, err := readSamples(c.Pprof)
	if err != nil {
		return err
	}
	uses := map[[3]string]*CPUUse{}
	for _, s := range samples {
		c.Samples += s.count
		function, ours := s.labels[functionLabel]
		if !ours {
			c.Rest += s.time
			continue
		}
		key := [3]string{function, s.labels[versionLabel], s.labels[tenantLabel]}
		use := uses[key]
		if use == nil {
			use = &CPUUse{Function: key[0], Version: key[1], Tenant: key[2]}
			uses[key] = use
		}
		use.Samples += s.count
		use.Time += s.time
	}
	for _, use := range uses {
		c.Uses = append(c.Uses, *use)
	}
	slices.SortFunc(c.Uses, func(a, b CPUUse) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), strings.Compare(a.Function, b.Function), strings.Compare(a.Version, b.Version), strings.Compare(a.Tenant, b.Tenant))
	})
	return nil
}
