package faasotel

import (
	"context"
	"reflect"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// rule is what is known of a sampler. For the SDK's samplers it is enough to decide without
// calling the sampler, which would take about a tenth of the time of a call.
type rule struct {
	isKnown        bool   // calls without a parent are sampled according to below
	below          uint64 // IDs are sampled whose right half, without its lowest bit, is less than this
	followsParents bool   // a call with a parent is sampled if the parent is
}

// samples decides about a call without a parent. random is the random part of the call's ID.
func (r rule) samples(random uint64) bool { return rightHalf(random)>>1 < r.below }

// ruleOf finds out by what rule a sampler decides. It knows only samplers that are deeply equal
// to one of the SDK's, since others may decide by anything. It finds the value of below by a
// binary search with calls of the sampler. Then it tests the rule with more calls, since a
// release of the SDK may change how its samplers decide.
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

// choosesRoot returns the sampler's decision about a call without a parent, whose ID has this
// right half.
func choosesRoot(s sdktrace.Sampler, right uint64) bool {
	return s.ShouldSample(sdktrace.SamplingParameters{ParentContext: context.Background(), TraceID: idOf(1, right), Kind: trace.SpanKindServer}).Decision != sdktrace.Drop
}

// isOfSDK reports whether a sampler is one of the SDK's that decide by the ID alone.
// parentBased says that it is inside a ParentBased without options. The ratio of a
// TraceIDRatioBased can only be read from its description.
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
