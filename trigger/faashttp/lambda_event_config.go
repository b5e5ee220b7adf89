package faashttp

import (
	"cmp"
	"iter"
	"math"
	"net/http"
	"strings"

	"github.com/inproc/faas"
)

// eventConfig is what happens to a function's events, as the API tells it.
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

// eventConfig describes the policy of a version's jobs. The API has numbers up to 2
// retries and 6 hours; here they are what the function's options say.
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

// destination names a destination: a function by its ARN, a Go func by its name, which for
// one of [ToURL] is the URL.
func (l *Lambda) destination(d faas.Destination) string {
	name, qualifier, _ := strings.Cut(d.Function(), ":")
	if name == "" {
		return d.String()
	}
	return l.address.arn(name, qualifier)
}

// getEventConfig answers for each function, since each has a policy. On AWS one that was not
// set is not found.
func (l *Lambda) getEventConfig(x *exchange) {
	_, info, ok := l.find(x)
	if !ok {
		return
	}
	t, _ := targetOf(x.r) // which find has read
	x.reply(http.StatusOK, "application/json", mustJSON(l.eventConfig(info, cmp.Or(t.qualifier, info.Version))))
}

// listEventConfigs has an entry for each version.
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

// eventConfigs yields those of a function's versions, after the one with that number.
func (l *Lambda) eventConfigs(x *exchange, name, after string) iter.Seq[eventConfig] {
	return func(yield func(eventConfig) bool) {
		for info := range l.infosAfter(x, name, after) {
			if !yield(l.eventConfig(info, info.Version)) {
				return
			}
		}
	}
}

// setInCode refuses to put, update or delete a configuration, once it is sure that the
// caller may know of the function.
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
