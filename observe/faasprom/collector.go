package faasprom

import (
	"errors"
	"math"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/observe"
)

// Collector is a [prometheus.Collector] of a router and its recorder. The only state that it
// keeps is which tenants have series of their own. It may be used concurrently.
type Collector struct {
	router   *faas.Router
	recorder *observe.Recorder
	buckets  []float64
	book     *cost.Book
	descs    descs
	guard    guard
}

// Option is an option of [NewCollector]. Nil options are ignored.
type Option interface{ applyCollector(*Collector) }

type option func(*Collector)

func (o option) applyCollector(c *Collector) { o(c) }

// WithBook prices usage by a book, which must be one of those by which the recorder counts
// (observe.WithBooks). Without it there are no billed seconds and no prices.
func WithBook(b *cost.Book) Option { return option(func(c *Collector) { c.book = b }) }

// WithBuckets sets the upper bounds of the classic buckets of all histograms, in seconds. They
// must be finite and ascending, or WithBuckets panics. The last bucket, with the bound +Inf, is
// always added. By default the bounds go from 1 ms to 5 min, with about three for each power of
// ten.
func WithBuckets(bounds ...float64) Option {
	if !slices.IsSorted(bounds) || len(slices.Compact(slices.Clone(bounds))) < len(bounds) || slices.ContainsFunc(bounds, notFinite) {
		panic("faasprom: WithBuckets: the bounds must be ascending and finite")
	}
	bounds = slices.Clone(bounds)
	return option(func(c *Collector) { c.buckets = bounds })
}

func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

// WithSeries sets the number of time series above which further tenants are counted together,
// under [observe.Other]. Each bucket of a histogram counts as one series. The series of
// functions are always there. If there is no room for the series of a tenant of a function, the
// tenant is counted under Other for ever. A tenant that has series of its own keeps them. So no
// count ever gets smaller, and sums over all tenants are exact. The default is 10,000.
func WithSeries(n int) Option { return option(func(c *Collector) { c.guard.most = n }) }

// NewCollector returns a collector of what the recorder has counted and of the present state of
// the router. rec must be a meter of the router. All metrics are there only if it also gets the
// router's refusals and decisions, see the package documentation. If r is nil, there are no
// metrics of the present state; that is for a recorder of several routers.
func NewCollector(r *faas.Router, rec *observe.Recorder, opts ...Option) *Collector {
	c := &Collector{
		router: r, recorder: rec, descs: newDescs(),
		buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300},
		guard:   guard{most: 10_000, named: map[owner]bool{}, folded: map[owner]bool{}},
	}
	for _, o := range opts {
		if o != nil {
			o.applyCollector(c)
		}
	}
	return c
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.descs.all {
		to <- d.Desc
	}
}

// Collect implements [prometheus.Collector]. If some usage has no price in the book, the
// metrics of that usage are absent, and the scrape reports an error that says why.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	s := &scrape{Collector: c, to: to}
	for one := range c.recorder.Snapshot() {
		s.series(&one)
	}
	if c.router != nil {
		s.state(c.router)
	}
	s.usage()
}

// scrape is one call of Collect.
type scrape struct {
	*Collector
	to   chan<- prometheus.Metric
	sent int // the number of time series so far
}

// send sends a metric that has one time series.
func (s *scrape) send(d *desc, v float64, labels ...string) {
	s.sent++
	s.to <- sample{d, d.pairs(labels), v}
}

func (s *scrape) count(d *desc, n uint64, labels ...string) { s.send(d, float64(n), labels...) }

func (s *scrape) gauge(d *desc, n int, labels ...string) { s.send(d, float64(n), labels...) }

// series sends the counts of a function and version.
func (s *scrape) series(one *observe.Series) {
	d, f, v := &s.descs, valid(one.Function), one.Version
	for _, c := range one.Refusals {
		s.count(d.refusals, c.Count, f, v, c.Kind.String(), valid(string(c.Reason)))
	}
	if one.Grown+one.Shrunk > 0 {
		s.count(d.decisions, one.Grown, f, v, "up")
		s.count(d.decisions, one.Shrunk, f, v, "down")
	}
	if one.Function == "" {
		return
	}
	for outcome, n := range one.Outcomes {
		s.count(d.calls, n, f, v, faas.Outcome(outcome).String())
	}
	s.histogram(d.wait, &one.Wait, nil, f, v)
	s.histogram(d.init, &one.Init, nil, f, v)
	s.histogram(d.run, &one.Run, one.Exemplars, f, v)
	s.count(d.cold, one.Cold, f, v)
	s.count(d.received, one.BytesIn, f, v)
	s.count(d.answered, one.BytesOut, f, v)
	s.count(d.overruns, one.Overruns, f, v)
	s.send(d.overrun, one.Overrun, f, v)
}

// state sends the present state of the router.
func (s *scrape) state(r *faas.Router) {
	d := &s.descs
	for info := range r.Functions() {
		s.gauge(d.inFlight, info.InFlight, info.Name)
		s.gauge(d.queued, info.Queued, info.Name)
		s.gauge(d.runaways, info.Runaways, info.Name)
		limit := float64(info.Limit)
		if info.Limit == math.MaxInt32 {
			limit = math.Inf(1)
		}
		s.send(d.limit, limit, info.Name)
		versions, _ := r.Versions(info.Name) // an error means that the function was removed meanwhile: it has no versions
		for _, v := range versions {
			s.gauge(d.instances, v.Instances, v.Name, v.Version, "wanted")
			s.gauge(d.instances, v.Ready, v.Name, v.Version, "ready")
		}
	}
	stats := r.Stats()
	s.gauge(d.capacity, stats.Capacity)
	s.count(d.hookPanics, stats.HookPanics)
	s.jobs(&stats.Jobs)
}

func (s *scrape) jobs(j *faas.JobCount) {
	for _, c := range []struct {
		state faas.JobState
		n     int
	}{
		{faas.JobScheduled, j.Scheduled},
		{faas.JobReady, j.Ready},
		{faas.JobRunning, j.Running},
		{faas.JobParked, j.Parked},
		{faas.JobSucceeded, j.Succeeded},
		{faas.JobDead, j.Dead},
		{faas.JobCanceled, j.Canceled},
	} {
		s.gauge(s.descs.jobs, c.n, c.state.String())
	}
	var age time.Duration
	if !j.Oldest.IsZero() {
		age = max(time.Since(j.Oldest), 0)
	}
	s.send(s.descs.oldest, age.Seconds())
}

// usage sends the usage by tenant. If there are too many tenants, some are counted together.
func (s *scrape) usage() {
	all, err := s.byOwner()
	if err != nil {
		s.to <- prometheus.NewInvalidMetric(s.descs.price.Desc, err)
	}
	folded := s.guard.fold(all, s.sent+1, s.perOwner())
	for _, u := range all {
		f, v, t := valid(u.function), u.version, valid(u.tenant)
		s.count(s.descs.tenantCalls, u.calls, f, v, t)
		s.send(s.descs.tenantRun, seconds(u.run), f, v, t)
		if s.book != nil {
			name := s.book.About().Name
			s.send(s.descs.billed, seconds(u.billed), f, v, t, name)
			price, _ := u.price.Float64()
			s.send(s.descs.price, price, f, v, t, name, s.book.About().Currency)
		}
	}
	s.gauge(s.descs.folded, folded)
}

// perOwner returns how many time series each tenant of a function has.
func (s *scrape) perOwner() int {
	if s.book == nil {
		return 2
	}
	return 4
}

func seconds(nanoseconds *big.Int) float64 {
	s, _ := new(big.Rat).SetFrac(nanoseconds, big.NewInt(1e9)).Float64()
	return s
}

// owner is the key by which usage is exported.
type owner struct{ function, version, tenant string }

// owned is the usage of an owner.
type owned struct {
	owner
	calls       uint64
	run, billed *big.Int // nanoseconds
	price       *big.Rat
}

// byOwner adds up the recorder's usage of each owner: over declared memories, overruns and
// changes of prices. An overrun is not a call, but it has a duration and a price.
func (s *scrape) byOwner() (map[owner]*owned, error) {
	var spent []observe.Spend
	var err error
	if s.book != nil {
		spent, err = s.recorder.Spend(s.book)
		if err != nil {
			err = errors.Join(errors.New("faasprom: some usage has no price"), err)
		}
	} else {
		for _, u := range s.recorder.Usage() {
			spent = append(spent, observe.Spend{Usage: u})
		}
	}
	all := map[owner]*owned{}
	for i := range spent {
		s.add(all, &spent[i])
	}
	return all, err
}

func (s *scrape) add(all map[owner]*owned, u *observe.Spend) {
	key := owner{u.Function, u.Version, u.Tenant}
	own := &owned{key, u.Calls, u.Duration(), new(big.Int), u.List.Amount()}
	if u.Overrun {
		own.calls = 0
	}
	if s.book != nil {
		by := s.bookOf(u)
		if quanta, err := u.Quanta(by.Rounding()); err == nil { // no error is possible: usage that has a price was counted by this rounding
			own.billed = quanta.Mul(quanta, big.NewInt(int64(max(by.Rounding().Granularity, 1))))
		}
	}
	if o := all[key]; o != nil {
		o.plus(own)
		return
	}
	all[key] = own
}

// bookOf returns the book of a series of books by which this usage was rounded.
func (s *scrape) bookOf(u *observe.Spend) *cost.Book {
	all := s.book.Series()
	for _, b := range slices.Backward(all) {
		if since, err := time.Parse(time.DateOnly, b.About().Effective); err != nil || u.Period.Start.IsZero() || !since.After(u.Period.Start) {
			return b
		}
	}
	return all[0]
}

// guard bounds how many tenants have series of their own. A decision about a tenant is never
// changed.
type guard struct {
	most int

	mu            sync.Mutex // guards what follows
	named, folded map[owner]bool
}

// fold counts the tenants for which there is no room under Other, and returns how many there
// are. sent is the number of time series that are not those of tenants.
func (g *guard) fold(all map[owner]*owned, sent, perOwner int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key := range all {
		if isShared(key.tenant) {
			g.named[key] = true
		}
	}
	for _, key := range sortedOwners(all) {
		if g.named[key] {
			continue
		}
		if !g.folded[key] && sent+(len(g.named)+2)*perOwner <= g.most { // 2: this tenant, and Other if it is needed
			g.named[key] = true
			continue
		}
		g.folded[key] = true
		other := owner{key.function, key.version, observe.Other}
		if g.named[other] = true; all[other] == nil {
			all[other] = &owned{other, 0, new(big.Int), new(big.Int), new(big.Rat)}
		}
		all[other].plus(all[key])
		delete(all, key)
	}
	return len(g.folded)
}

// isShared reports whether a tenant stands for several, or for none. Such a tenant is always
// counted by its name.
func isShared(tenant string) bool { return tenant == "" || tenant == observe.Other }

func (o *owned) plus(p *owned) {
	o.calls += p.calls
	o.run.Add(o.run, p.run)
	o.billed.Add(o.billed, p.billed)
	o.price.Add(o.price, p.price)
}
