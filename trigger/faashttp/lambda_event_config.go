package faashttp

import (
	"cmp"
	"iter"
	"math"
	"net/http"
	"strings"

	"github.com/inproc/faas"
)

// eventConfig is the API's JSON document about a function's events.
type eventConfig struct {
	FunctionArn              string
	LastModified             float64 // seconds since 1970
	MaximumRetryAttempts     int
	MaximumEventAgeInSeconds int64
	DestinationConfig        struct{ OnSuccess, OnFailure eventDestination }
}

type eventDestination struct {
	Destination string `json:",omitempty"`
}

// eventConfig describes how the jobs of a version are retried. The API allows at most 2 retries
// and 6 hours; the values here are those of the function's options and may be greater.
func (l *Lambda) eventConfig(i faas.Info, qualifier string) eventConfig {
	p := i.JobPolicy
	c := eventConfig{
		FunctionArn: l.address.arn(i.Name, qualifier), LastModified: float64(l.since.UnixMilli()) / 1000,
		MaximumRetryAttempts: p.Retry.Max, MaximumEventAgeInSeconds: int64(math.Ceil(p.MaxAge.Seconds())),
	}
	c.DestinationConfig.OnSuccess.Destination = l.destination(p.OnSuccess)
	c.DestinationConfig.OnFailure.Destination = l.destination(p.OnFailure)
	return c
}

// destination returns the API's name of a destination: the ARN of a function, or the name of a
// Go func. For [ToURL] that name is the URL.
func (l *Lambda) destination(d faas.Destination) string {
	name, qualifier, _ := strings.Cut(d.Function(), ":")
	if name == "" {
		return d.String()
	}
	return l.address.arn(name, qualifier)
}

// getEventConfig answers for every function, because every function has a policy for its jobs.
// AWS answers 404 for a function without a configuration.
func (l *Lambda) getEventConfig(x *exchange) {
	_, info, ok := l.find(x)
	if !ok {
		return
	}
	t, _ := targetOf(x.r) // can't fail: find has parsed the same request
	x.reply(http.StatusOK, "application/json", mustJSON(l.eventConfig(info, cmp.Or(t.qualifier, info.Version))))
}

// listEventConfigs answers with an entry for each version of the function.
func (l *Lambda) listEventConfigs(x *exchange) {
	t, size, after, ok := l.manageVersions(x)
	if !ok {
		return
	}
	var doc struct {
		FunctionEventInvokeConfigs []eventConfig
		NextMarker                 *string
	}
	doc.FunctionEventInvokeConfigs, doc.NextMarker = cut(l.eventConfigs(x, t.name, after), size, func(c eventConfig) string {
		return c.FunctionArn[strings.LastIndexByte(c.FunctionArn, ':')+1:]
	})
	x.reply(http.StatusOK, "application/json", mustJSON(doc))
}

// eventConfigs yields the configurations of a function's versions whose number is greater than
// after.
func (l *Lambda) eventConfigs(x *exchange, name, after string) iter.Seq[eventConfig] {
	return func(yield func(eventConfig) bool) {
		for info := range l.infosAfter(x, name, after) {
			if !yield(l.eventConfig(info, info.Version)) {
				return
			}
		}
	}
}

// setInCode refuses to put, update or delete a configuration. If the caller may not know of the
// function, manage has answered before.
func (l *Lambda) setInCode(x *exchange) {
	var doc any
	if x.r.Method != http.MethodDelete {
		doc = &struct{}{}
	}
	if _, ok := l.manage(x, doc); ok {
		x.refuse(invalidParameter("What happens to events is set in the host's code: register the function with " +
			"faas.WithRetry, faas.WithMaxAge, faas.WithOnSuccess and faas.WithOnFailure."))
	}
}
