package faasprom

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// desc is the description of a metric, and what is needed to make its time series.
type desc struct {
	*prometheus.Desc

	kind   prometheus.ValueType
	labels []string // their names, in the order in which send gets the values
	order  []int    // the position of each label when they are sorted by name
}

// pairs returns labels with these values, sorted by name.
func (d *desc) pairs(values []string) []*dto.LabelPair {
	made, all := make([]dto.LabelPair, len(values)), make([]*dto.LabelPair, len(values))
	for i := range values {
		made[i].Name, made[i].Value = &d.labels[i], &values[i]
		all[d.order[i]] = &made[i]
	}
	return all
}

// sample is a [prometheus.Metric] with one time series. Making one of client_golang's costs
// several times as much.
type sample struct {
	desc   *desc
	labels []*dto.LabelPair
	value  float64
}

// Desc implements [prometheus.Metric].
func (s sample) Desc() *prometheus.Desc { return s.desc.Desc }

// Write implements [prometheus.Metric].
func (s sample) Write(to *dto.Metric) error {
	to.Label = s.labels
	if s.desc.kind == prometheus.CounterValue {
		to.Counter = &dto.Counter{Value: &s.value}
	} else {
		to.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}

// descs has the descriptions of all metrics.
type descs struct {
	all []*desc

	calls, wait, init, run, cold, received, answered, refusals, overruns, overrun, decisions *desc
	tenantCalls, tenantRun, billed, price                                                    *desc
	inFlight, queued, limit, runaways, instances, capacity, jobs, oldest, hookPanics, folded *desc
}

func newDesc(name, help string, labels []string) *desc {
	d := &desc{Desc: prometheus.NewDesc(name, help, labels, nil), kind: prometheus.GaugeValue, labels: labels, order: make([]int, len(labels))}
	if strings.HasSuffix(name, "_total") {
		d.kind = prometheus.CounterValue
	}
	sorted := slices.Sorted(slices.Values(labels))
	for i, l := range labels {
		d.order[i], _ = slices.BinarySearch(sorted, l)
	}
	return d
}

func newDescs() (d descs) {
	describe := func(name, help string, labels ...string) *desc {
		made := newDesc("faas_"+name, help, labels)
		d.all = append(d.all, made)
		return made
	}
	const f, v = "function", "version"
	d.calls = describe("calls_total", "Calls that ended, by outcome.", f, v, "outcome")
	d.wait = describe("call_wait_seconds", "How long calls waited for a slot before their handler started.", f, v)
	d.init = describe("call_init_seconds", "How long cold calls waited for an instance.", f, v)
	d.run = describe("call_run_seconds", "From the start of the handler to the end of the call.", f, v)
	d.cold = describe("cold_starts_total", "Calls that had to wait for a new instance.", f, v)
	d.received = describe("received_bytes_total", "Payloads of calls by name.", f, v)
	d.answered = describe("sent_bytes_total", "Encoded outputs of calls by name.", f, v)
	d.refusals = describe("refusals_total", "Calls that were refused before their handler could run.", f, v, "kind", "reason")
	d.overruns = describe("overruns_total", "Handlers that outlived their calls, and have ended.", f, v)
	d.overrun = describe("overrun_seconds_total", "How long handlers ran beyond their calls.", f, v)
	d.decisions = describe("decisions_total", "Changes of scale.", f, v, "direction")
	d.tenantCalls = describe("tenant_calls_total", "Calls that ended, by tenant.", f, v, "tenant")
	d.tenantRun = describe("tenant_run_seconds_total", "How long calls and overruns ran, by tenant.", f, v, "tenant")
	d.billed = describe("billed_seconds_total", "How long calls and overruns ran, by tenant, with each call rounded as the price list says.", f, v, "tenant", "book")
	d.price = describe("list_price_total", "What the usage costs at list prices, without free amounts per month and tiers of prices.", f, v, "tenant", "book", "currency")
	d.inFlight = describe("calls_in_flight", "Calls that were admitted and have not ended.", f)
	d.queued = describe("calls_queued", "Calls that wait for a slot.", f)
	d.limit = describe("concurrency_limit", "How many calls may run at once.", f)
	d.runaways = describe("runaways", "Handlers that run although their calls are over.", f)
	d.instances = describe("instances", "Instances.", f, v, "state")
	d.capacity = describe("capacity", "How many calls of all functions may run at once.")
	d.jobs = describe("jobs", "Jobs, by state.", "state")
	d.oldest = describe("job_oldest_seconds", "For how long the oldest job that could run has been due; 0 if there is none.")
	d.hookPanics = describe("hook_panics_total", "Panics of meters, gates and other hooks.")
	d.folded = describe("folded_tenants", "Tenants of functions that are counted under other, because there would be too many series.")
	return d
}

// valid returns a text that can be a label's value: bytes that are not UTF-8 are replaced.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// sortedOwners returns the keys in a fixed order, so that chance does not decide which tenants
// are folded.
func sortedOwners(all map[owner]*owned) []owner {
	return slices.SortedFunc(maps.Keys(all), func(a, b owner) int {
		return cmp.Or(strings.Compare(a.function, b.function), strings.Compare(a.version, b.version), strings.Compare(a.tenant, b.tenant))
	})
}
