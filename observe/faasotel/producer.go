package faasotel

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/faasconv"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe"
)

// ProducerOption is an option of [Producer]. Nil options are ignored.
type ProducerOption interface{ applyProducer(*producer) }

type producerOption func(*producer)

func (o producerOption) applyProducer(p *producer) { o(p) }

// WithDelta makes each collection contain what was counted since the one before. Such a
// Producer is for one reader, since two readers would each get a part. By default the sums are
// cumulative, and begin when the recorder was made.
func WithDelta() ProducerOption { return producerOption(func(p *producer) { p.delta = true }) }

// WithExponential exports durations as exponential histograms. Their buckets are at most 5 %
// wide, or wider if there would be more than 160. By default the buckets are those of the
// convention, from 5 ms to 10 s.
func WithExponential() ProducerOption {
	return producerOption(func(p *producer) { p.exponential = true })
}

// Producer returns the metrics of what rec has counted, see the package documentation. Pass it
// to a reader of the SDK by sdkmetric.WithProducer. rec must be a meter of r. From r the
// Producer learns which functions have had no call yet, and exports their counters as 0, so
// that a first failure shows as an increase. r may be nil if the recorder is that of several
// routers, or if the provider is made before the router.
//
// If calls have an [Exemplar], it is exported for functions that only one kind of trigger has
// started, because the recorder doesn't know the trigger of an exemplar. The Producer may be
// used concurrently.
func Producer(r *faas.Router, rec *observe.Recorder, opts ...ProducerOption) sdkmetric.Producer {
	p := &producer{router: r, recorder: rec, since: rec.Started()}
	for _, o := range opts {
		if o != nil {
			o.applyProducer(p)
		}
	}
	return p
}

type producer struct {
	router             *faas.Router
	recorder           *observe.Recorder
	delta, exponential bool

	mu    sync.Mutex // guards what follows, which only WithDelta uses; held while such a collection runs
	since time.Time
	told  map[key]counted
}

// key has the attributes by which metrics are split.
type key struct{ function, version, trigger string }

func (k key) attributes() attribute.Set {
	return attribute.NewSet(semconv.FaaSTriggerKey.String(k.trigger), semconv.FaaSName(k.function), semconv.FaaSVersion(k.version))
}

// counted is what was counted for a key.
type counted struct {
	outcomes  observe.Outcomes
	cold      uint64
	run, init observe.Histogram
	exemplars []observe.Exemplar
}

// Produce implements sdkmetric.Producer.
func (p *producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	c := collection{exponential: p.exponential, temporality: metricdata.CumulativeTemporality}
	if p.delta {
		p.mu.Lock()
		defer p.mu.Unlock()
		c.temporality = metricdata.DeltaTemporality
	}
	c.since, c.now = p.since, time.Now() // a call that ends during the collection may be in it, although it is later than now
	all := p.read()
	for k, n := range all {
		c.add(k.attributes(), n, p.told[k])
	}
	if p.delta {
		p.since, p.told = c.now, all
	}
	return []metricdata.ScopeMetrics{{
		Scope:   instrumentation.Scope{Name: scope, SchemaURL: semconv.SchemaURL},
		Metrics: c.metrics(),
	}}, nil
}

// read returns what was counted for each key.
func (p *producer) read() map[key]counted {
	all := map[key]counted{}
	if p.router != nil {
		for info := range p.router.Functions() {
			all[key{info.Name, info.Version, "other"}] = counted{}
		}
	}
	for s := range p.recorder.Snapshot() {
		for _, t := range s.Triggers {
			n := counted{outcomes: t.Outcomes, cold: t.Cold, run: t.Run, init: t.Init}
			if len(s.Triggers) == 1 {
				n.exemplars = s.Exemplars
			}
			all[key{s.Function, s.Version, t.Trigger}] = n
		}
	}
	return all
}

// collection has the points of one Produce.
type collection struct {
	exponential bool
	temporality metricdata.Temporality
	since, now  time.Time

	cold, errors, invocations, timeouts []metricdata.DataPoint[int64]
	run, init                           histograms
}

// add adds the points of a key: the counts in n without those in told, which were exported
// before.
func (c *collection) add(of attribute.Set, n, told counted) {
	for i := range n.outcomes {
		n.outcomes[i] -= told.outcomes[i]
	}
	ok, late := n.outcomes[faas.OK], n.outcomes[faas.TimedOut]
	c.count(&c.cold, of, n.cold-told.cold)
	c.count(&c.errors, of, n.outcomes.Failures()-late)
	c.count(&c.invocations, of, ok)
	c.count(&c.timeouts, of, late)
	c.run.add(c, of, &n.run, &told.run, n.exemplars)
	c.init.add(c, of, &n.init, &told.init, nil)
}

func (c *collection) count(to *[]metricdata.DataPoint[int64], of attribute.Set, n uint64) {
	*to = append(*to, metricdata.DataPoint[int64]{Attributes: of, StartTime: c.since, Time: c.now, Value: int64(n)})
}

// metric is the description that package faasconv has of an instrument.
type metric interface {
	Name() string
	Unit() string
	Description() string
}

func (c *collection) metrics() []metricdata.Metrics {
	of := func(m metric, data metricdata.Aggregation) metricdata.Metrics {
		return metricdata.Metrics{Name: m.Name(), Unit: m.Unit(), Description: m.Description(), Data: data}
	}
	sum := func(points []metricdata.DataPoint[int64]) metricdata.Aggregation {
		return metricdata.Sum[int64]{DataPoints: points, Temporality: c.temporality, IsMonotonic: true}
	}
	return []metricdata.Metrics{
		of(faasconv.InvokeDuration{}, c.run.data(c)),
		of(faasconv.InitDuration{}, c.init.data(c)),
		of(faasconv.Coldstarts{}, sum(c.cold)),
		of(faasconv.Errors{}, sum(c.errors)),
		of(faasconv.Invocations{}, sum(c.invocations)),
		of(faasconv.Timeouts{}, sum(c.timeouts)),
	}
}
