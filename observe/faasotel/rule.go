package faasotel

import (
	"context"
	"reflect"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// rule is what is known of a sampler. For the samplers of the SDK it is enough to decide without
// asking the sampler, which would take about a tenth of the time of a call.
type rule struct {
	isKnown        bool   // calls without a parent are sampled by below
	below          uint64 // the upper 63 bits of the right half of an ID, of those that are sampled
	followsParents bool   // a call with a parent is sampled as that
}

// samples decides about a call without a parent. random is the random part of its ID.
func (r rule) samples(random uint64) bool { return rightHalf(random)>>1 < r.below }

// ruleOf finds out what a sampler does. Only samplers that are deeply equal to ones of the
// SDK are known, since others may go by anything. How those choose is found by asking, and
// then tried: a release of the SDK may choose in another way.
func ruleOf(s sdktrace.Sampler) (r rule) {
	if r.isKnown, r.followsParents = isOfSDK(s); !r.isKnown {
		return rule{}
	}
	for above := uint64(1) << 63; r.below < above; {
		if middle := r.below + (above-r.below)/2; choosesRoot(s, middle<<1) {
			r.below = middle + 1
		} else {
			above = middle
		}
	}
	for n := range uint64(256) {
		if random := n * 0x2545f4914f6cdd1d >> 2; choosesRoot(s, rightHalf(random)) != r.samples(random) {
			return rule{}
		}
	}
	return r
}

// choosesRoot asks the sampler about a call without a parent, by the right half of its ID.
func choosesRoot(s sdktrace.Sampler, right uint64) bool {
	return s.ShouldSample(sdktrace.SamplingParameters{ParentContext: context.Background(), TraceID: idOf(1, right), Kind: trace.SpanKindServer}).Decision != sdktrace.Drop
}

// isOfSDK tells whether a sampler is one of the SDK's that always decide alike about one
// ID, and whether that is inside ParentBased, without options of it. The part of a
// TraceIDRatioBased can be learned from its description alone.
func isOfSDK(s sdktrace.Sampler) (known, parentBased bool) {
	_, text, _ := strings.Cut(s.Description(), "TraceIDRatioBased{")
	text, _, _ = strings.Cut(text, "}")
	part, _ := strconv.ParseFloat(text, 64)
	for _, root := range []sdktrace.Sampler{sdktrace.AlwaysSample(), sdktrace.NeverSample(), sdktrace.TraceIDRatioBased(part)} {
		if reflect.DeepEqual(s, root) {
			return true, false
		}
		if reflect.DeepEqual(s, sdktrace.ParentBased(root)) {
			return true, true
		}
	}
	return false, false
}
