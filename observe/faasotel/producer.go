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

// WithDelta has each collection tell what was counted since the one before. Such a Producer
// is for one reader: a second one would get what the first has not got. By default sums
// are cumulative, and their start is when the recorder was made.
func WithDelta() ProducerOption { return producerOption(func(p *producer) { p.delta = true }) }

// WithExponential has durations in exponential histograms, whose buckets are at most 5 %
// wide, or wider if there would be more than 160. By default they are in the buckets that
// the convention says, from 5 ms to 10 s.
func WithExponential() ProducerOption {
	return producerOption(func(p *producer) { p.exponential = true })
}

// Producer returns the metrics of what rec has counted, see the package documentation, for a
// reader of the SDK: sdkmetric.WithProducer takes it. rec must be the meter of r. r adds
// which of its functions have had no call yet: their counters are there and 0, so that a
// first failure is seen as an increase. It may be nil: for a recorder of several routers, or
// where the provider is made before the router.
//
// A trace of [Exemplar] is on the histogram of a function that only one kind of trigger has
// started: the recorder does not tell which it was. The Producer may be used concurrently.
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

	mu    sync.Mutex // guards what follows, which only deltas use; held during a collection of these
	since time.Time
	told  map[key]counted
}

// key is what metrics are told by.
type key struct{ function, version, trigger string }

func (k key) attributes() attribute.Set {
	return attribute.NewSet(semconv.FaaSTriggerKey.String(k.trigger), semconv.FaaSName(k.function), semconv.FaaSVersion(k.version))
}

// counted is what was counted of a key.
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
	c.since, c.now = p.since, time.Now() // what is recorded from now on may be in it: then it is a little too young
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

// read returns what was counted of each key.
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

// collection is the points of one Produce.
type collection struct {
	exponential bool
	temporality metricdata.Temporality
	since, now  time.Time

	cold, errors, invocations, timeouts []metricdata.DataPoint[int64]
	run, init                           histograms
}

// add adds the points of a key: what was counted less what was told before.
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

// metric is what package faasconv says of an instrument.
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
