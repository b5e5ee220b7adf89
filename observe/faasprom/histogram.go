package faasprom

import (
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/inproc/faas/observe"
)

// histogram is a [prometheus.Metric] with both native and classic buckets. client_golang's
// constant metrics have only one of the two kinds. The recorder's buckets are finer than both
// kinds. A bucket that contains a bound is counted where its middle is.
type histogram struct {
	desc      *desc
	labels    []*dto.LabelPair
	from      *observe.Histogram
	bounds    []float64
	exemplars []observe.Exemplar // the shortest call first
	created   time.Time
}

// histogram sends a histogram. It adds to s.sent the time series that the histogram has with
// classic buckets: one for each bucket, the sum and the count.
func (s *scrape) histogram(d *desc, h *observe.Histogram, ex []observe.Exemplar, function, version string) {
	s.sent += len(s.buckets) + 3 // 3: the infinite bucket, the sum and the count
	own := *h
	s.to <- histogram{
		desc: d, from: &own, bounds: s.buckets, exemplars: ex, created: s.recorder.Started(),
		labels: d.pairs([]string{function, version}),
	}
}

// Desc implements [prometheus.Metric].
func (h histogram) Desc() *prometheus.Desc { return h.desc.Desc }

// Write implements [prometheus.Metric].
func (h histogram) Write(to *dto.Metric) error {
	to.Label = h.labels
	to.Histogram = &dto.Histogram{
		SampleCount: new(h.from.Count()), SampleSum: new(h.from.Seconds()), CreatedTimestamp: timestamppb.New(h.created),
		Bucket: h.classic(), Schema: new(int32(schema)), ZeroThreshold: new(zeroThreshold),
	}
	h.native(to.Histogram)
	return nil
}

// classic returns the buckets with these bounds, each with the last exemplar in it.
func (h histogram) classic() []*dto.Bucket {
	all := make([]*dto.Bucket, 0, len(h.bounds)+1)
	for i := range h.bounds {
		all = append(all, &dto.Bucket{UpperBound: &h.bounds[i], CumulativeCount: new(uint64)})
	}
	for b := range h.from.Buckets() {
		if i, _ := slices.BinarySearch(h.bounds, b.Mid().Seconds()); i < len(all) {
			*all[i].CumulativeCount += b.Count
		}
	}
	for i := 1; i < len(all); i++ {
		*all[i].CumulativeCount += *all[i-1].CumulativeCount
	}
	for _, e := range h.exemplars {
		i, _ := slices.BinarySearch(h.bounds, e.Run.Seconds())
		if i == len(all) {
			all = append(all, &dto.Bucket{UpperBound: new(math.Inf(1)), CumulativeCount: new(h.from.Count())})
		}
		if made := exemplar(e); made != nil && (all[i].Exemplar == nil || e.Time.After(all[i].Exemplar.GetTimestamp().AsTime())) {
			all[i].Exemplar = made
		}
	}
	return all
}

// exemplar returns an exemplar, or nil if the trace's name can't be its label: OpenMetrics
// allows 128 characters for all labels of an exemplar.
func exemplar(e observe.Exemplar) *dto.Exemplar {
	name := "trace_id"
	if !utf8.ValidString(e.Trace) || utf8.RuneCountInString(e.Trace) > 128-len(name) {
		return nil
	}
	return &dto.Exemplar{
		Label: []*dto.LabelPair{{Name: new(name), Value: new(e.Trace)}},
		Value: new(e.Run.Seconds()), Timestamp: timestamppb.New(e.Time),
	}
}

// The resolution of the native buckets: there are 2^3 for each power of two, so each is 9 %
// wide. Durations of 0 are in the zero bucket.
const (
	schema        = 3
	zeroThreshold = 1e-10 // seconds
)

// native adds the native buckets. Bucket i has the durations above 2^((i-1)/8) seconds, up to
// 2^(i/8).
func (h histogram) native(to *dto.Histogram) {
	to.ZeroCount = new(uint64)
	var w sparse
	for b := range h.from.Buckets() {
		if at := b.Mid().Seconds(); at > zeroThreshold {
			w.add(int32(math.Ceil(math.Log2(at)*(1<<schema))), int64(b.Count))
		} else {
			*to.ZeroCount += b.Count
		}
	}
	to.PositiveSpan, to.PositiveDelta = w.spans, w.deltas
	if w.spans == nil { // an empty span marks the histogram as a native one, even without durations
		to.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32), Length: new(uint32)}}
	}
	for _, e := range h.exemplars {
		if made := exemplar(e); made != nil {
			to.Exemplars = append(to.Exemplars, made)
		}
	}
}

// sparse writes counts in the form of native histograms: spans of adjacent buckets, and each
// count as the difference from the bucket before.
type sparse struct {
	spans       []*dto.BucketSpan
	deltas      []int64
	index       int32 // the last bucket's
	last, count int64 // the counts of the bucket before the last, and of the last
}

// add adds n to bucket i. i must not be less than in the call before.
func (w *sparse) add(i int32, n int64) {
	switch {
	case w.spans == nil:
		w.spans = []*dto.BucketSpan{{Offset: new(i), Length: new(uint32(1))}}
	case i == w.index:
		w.count += n
		w.deltas[len(w.deltas)-1] += n
		return
	case i == w.index+1:
		*w.spans[len(w.spans)-1].Length++
	default:
		w.spans = append(w.spans, &dto.BucketSpan{Offset: new(i - w.index - 1), Length: new(uint32(1))})
	}
	w.index, w.last, w.count = i, w.count, n
	w.deltas = append(w.deltas, n-w.last)
}
