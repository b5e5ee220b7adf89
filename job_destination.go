package faas

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"
)

// Destination receives the end of a job: see [WithOnSuccess] and [WithOnFailure]. Make one with
// [ToFunction] or [ToFunc]. With the zero value, the end is reported nowhere.
//
// A delivery to a destination is a job of its own. The queue accepts it in the same step that
// settles the first job, so no crash loses it. Its ID is computed from the first job's ID, so it
// is accepted once. It is retried like other jobs. If a delivery to a Go func ends as dead, no
// destination is told of that.
type Destination struct {
	function string
	deliver  func(ctx context.Context, e JobEnvelope) error
	name     string        // set by WithName
	timeout  time.Duration // set by WithTimeout; 0: that of the function
	retry    *Retry        // set by WithRetry; nil: that of the function
}

// ToFunction returns a destination that sends the envelope, as JSON, to a function of the same
// queue. That delivery is a job like any other, with that function's policy of retries and its
// destinations. The function need not be registered yet. The name may have a version or an alias.
func ToFunction(name string) Destination { return Destination{function: name} }

// ToFunc returns a destination that calls f with the envelope, on a host of the function whose
// job has ended. f is called like a handler: many goroutines may call it at once, its context
// ends at the function's timeout, an error or a panic of f is a failed attempt of the delivery,
// and f may return [RetryAfter] and [Permanent]. The timeout and the policy of retries are those
// of the function whose job has ended, unless WithTimeout and WithRetry set others. A package
// with a destination of its own, for example an HTTP client, returns one with a method of its
// client as f.
//
// f is part of the host and not a function: it needs no slot, and has no record and no price. In
// each process at most 32 such funcs run at once for one function. A further delivery waits as
// long as a call may wait for a slot ([WithQueueTimeout]); then it is put off, which is no
// attempt. f's context has the job's tenant and what carriers have saved. When that context ends,
// the delivery does not wait for f any more. But an f that does not return still counts among the
// 32, and the next attempt waits for it. [Router.Close] ends the context. [Router.Shutdown] ends
// it when its own context has ended; the delivery is then one of the jobs that are left. f must
// not call Shutdown of the router: there Shutdown returns an error.
//
// If f is nil, ToFunc returns the zero Destination.
func ToFunc(f func(ctx context.Context, e JobEnvelope) error) Destination {
	return Destination{deliver: f}
}

// WithName returns d with a name for its Go func, which String returns. It changes nothing in a
// destination that is a function.
func (d Destination) WithName(name string) Destination {
	d.name = name
	return d
}

// WithTimeout returns d with the time that each delivery to its Go func may take, in place of the
// timeout of the function whose job has ended; t must be positive. It changes nothing in a
// destination that is a function, which has a timeout of its own.
func (d Destination) WithTimeout(t time.Duration) Destination {
	d.timeout = t
	return d
}

// WithRetry returns d with a policy of retries for the deliveries to its Go func, in place of
// that of the function whose job has ended. It changes nothing in a destination that is a
// function.
func (d Destination) WithRetry(r Retry) Destination {
	d.retry = &r
	return d
}

// String returns the name of the function; for a Go func the name of WithName, or "func" if it
// has none; for the zero Destination "".
func (d Destination) String() string {
	if d.deliver == nil {
		return d.function
	}
	return cmp.Or(d.name, "func")
}

// Function returns the name of the function of [ToFunction]; for a Go func it returns "".
func (d Destination) Function() string { return d.function }

// check returns an error, made by bad, if a value is out of range.
func (d Destination) check(bad func(format string, args ...any) error) error {
	if d.timeout < 0 {
		return bad("Destination.WithTimeout(%v): must be positive", d.timeout)
	}
	if d.retry != nil {
		return d.retry.check(bad)
	}
	return nil
}

// IsZero reports whether d is the zero Destination, which reports nowhere.
func (d Destination) IsZero() bool { return d.function == "" && d.deliver == nil }

// JobEnvelope is the JSON value that a destination gets. It is the invocation record of AWS
// Lambda's destinations, field by field (Developer Guide, "Capturing records of Lambda
// asynchronous invocations"). Its conditions are Lambda's, and those of [JobCondition].
type JobEnvelope struct {
	Version         string              `json:"version"` // "1.0"
	Timestamp       string              `json:"timestamp"`
	RequestContext  JobRequestContext   `json:"requestContext"`
	RequestPayload  json.RawMessage     `json:"requestPayload"`            // a payload that is not JSON is a string, in base64 if it is not UTF-8
	ResponseContext *JobResponseContext `json:"responseContext,omitempty"` // nil: there was no delivery, or the function was switched off
	ResponsePayload json.RawMessage     `json:"responsePayload,omitempty"`
}

// JobRequestContext says which job has ended, and why.
type JobRequestContext struct {
	RequestID              string       `json:"requestId"`   // the job's ID
	FunctionARN            string       `json:"functionArn"` // with the region and the account that package faashttp has by default
	Condition              JobCondition `json:"condition"`
	ApproximateInvokeCount int          `json:"approximateInvokeCount"` // the job's attempts
}

// JobResponseContext describes the last delivery of the job.
type JobResponseContext struct {
	StatusCode      int    `json:"statusCode"`                // 200 if the function ran, even if it failed; 429, 404 and so on if the call was refused
	ExecutedVersion string `json:"executedVersion,omitempty"` // empty: the call was refused
	FunctionError   string `json:"functionError,omitempty"`   // "Unhandled" if it failed
}

// jobFailure is the response payload of a failed call.
type jobFailure struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType,omitempty"`
}

// envelope returns the envelope of a settled job.
func (rec *JobRecord) envelope() JobEnvelope {
	e := JobEnvelope{
		Version:   "1.0",
		Timestamp: rec.Settled.UTC().Format("2006-01-02T15:04:05.000Z"),
		RequestContext: JobRequestContext{
			RequestID: rec.ID.String(), FunctionARN: rec.arn(), Condition: rec.Condition, ApproximateInvokeCount: rec.Attempts,
		},
		RequestPayload: payloadJSON(rec.Payload),
	}
	if last := rec.Last; last != nil && rec.Condition != ConditionZeroReservedConcurrency {
		e.ResponseContext, e.ResponsePayload = rec.response(last)
	}
	return e
}

// response returns the parts of an envelope about the last delivery.
func (rec *JobRecord) response(last *JobEnd) (*JobResponseContext, json.RawMessage) {
	if last.Kind != KindNone { // a refusal has no payload
		return &JobResponseContext{StatusCode: last.Kind.status()}, nil
	}
	c := &JobResponseContext{StatusCode: 200, ExecutedVersion: last.Version}
	if c.ExecutedVersion == "" {
		c.ExecutedVersion = versionLatest
	}
	if last.Outcome == OK {
		return c, payloadJSON(rec.Output)
	}
	c.FunctionError = "Unhandled"
	data, err := json.Marshal(jobFailure{last.Error, last.ErrorType})
	if err != nil {
		return c, nil // can't happen: two strings always encode
	}
	return c, data
}

// status returns the status code with which Lambda's Invoke refuses a call for a reason of this
// kind; 200 for KindNone.
func (k Kind) status() int {
	switch k {
	case KindNotFound:
		return 404
	case KindDenied:
		return 403
	case KindInvalid, KindNesting:
		return 400
	case KindTooLarge:
		return 413
	case KindBusy:
		return 429
	case KindUnavailable, KindClosed, KindCanceled:
		return 503
	case KindNone, kinds:
	}
	return 200
}

// arn returns the function's name in Lambda's form, with the qualifier.
func (rec *JobRecord) arn() string {
	name := rec.calledName()
	if baseName(name) == name {
		name += ":" + versionLatest
	}
	return "arn:aws:lambda:us-east-1:000000000000:function:" + name
}

// payloadJSON makes a JSON value of a payload that any codec has encoded.
func payloadJSON(data []byte) json.RawMessage {
	switch {
	case len(data) == 0:
		return json.RawMessage("null")
	case json.Valid(data):
		return data
	}
	text := string(data)
	if !utf8.Valid(data) {
		text = base64.StdEncoding.EncodeToString(data)
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return json.RawMessage("null") // can't happen: a string always encodes
	}
	return quoted
}
