package faas

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"
)

// Destination is where the end of a job is told: see [WithOnSuccess] and [WithOnFailure].
// Make one with [ToFunction] or [ToFunc]. The zero value is nowhere.
//
// A delivery is a job of its own. It is put in the same step in which the first job is
// settled, so that no crash loses it, and its ID follows from the first job's, so that it
// is put once. It is retried as other jobs are. If a delivery to a Go func is dead in
// the end, no destination is told of that.
type Destination struct {
	function string
	deliver  func(ctx context.Context, e JobEnvelope) error
	name     string        // of WithName
	timeout  time.Duration // of WithTimeout; 0: the function's
	retry    *Retry        // of WithRetry; nil: the function's
}

// ToFunction sends the envelope, as JSON, to a function of the same queue: a job like any
// other, with that function's policy of retries and its destinations. The function need
// not be registered yet. The name may have a version or an alias.
func ToFunction(name string) Destination { return Destination{function: name} }

// ToFunc gives the envelope to f, on a host of the function whose job has ended. f is
// called as a handler is: many goroutines may call it at once, its context ends at the
// function's timeout, an error or a panic of it is a failed attempt of the delivery, and
// it may return [RetryAfter] and [Permanent]. Timeout and policy of retries are those of
// the function whose job has ended, unless WithTimeout and WithRetry say otherwise. A
// package with a destination of its own, for example an HTTP client, returns one with a
// method of its client as f.
//
// f is a part of the host and no function: it needs no slot, and has no record and no price.
// In each process at most 32 of a function's run at once; beyond that a delivery waits as
// long as a call may wait for a slot ([WithQueueTimeout]), and is put off then, which is no
// attempt. Its context has the job's tenant and what carriers have saved. When it ends, f is
// left; if f does not return it keeps its place, and the next attempt waits for it.
// [Router.Close] ends the context, and so does [Router.Shutdown] when its own has ended: the
// delivery is one of the jobs that are left then. f must not call Shutdown of the router,
// which answers an error there.
//
// A nil f is the zero Destination.
func ToFunc(f func(ctx context.Context, e JobEnvelope) error) Destination {
	return Destination{deliver: f}
}

// WithName returns d with a name to be shown by: see String. For a function it changes
// nothing.
func (d Destination) WithName(name string) Destination {
	d.name = name
	return d
}

// WithTimeout returns d with a time that each delivery to its Go func may take, in place
// of the timeout of the function whose job has ended; t must be positive. For a function it
// changes nothing: that has a timeout of its own.
func (d Destination) WithTimeout(t time.Duration) Destination {
	d.timeout = t
	return d
}

// WithRetry returns d with a policy of retries for the deliveries to its Go func, in place
// of that of the function whose job has ended. For a function it changes nothing.
func (d Destination) WithRetry(r Retry) Destination {
	d.retry = &r
	return d
}

// String returns the name of the function, or what WithName has set for a Go func, or
// else "func". The zero Destination is "".
func (d Destination) String() string {
	if d.deliver == nil {
		return d.function
	}
	return cmp.Or(d.name, "func")
}

// Function returns the name of the function of [ToFunction]; of a Go func it is "".
func (d Destination) Function() string { return d.function }

// check returns what is wrong with it, made by bad.
func (d Destination) check(bad func(format string, args ...any) error) error {
	if d.timeout < 0 {
		return bad("Destination.WithTimeout(%v): must be positive", d.timeout)
	}
	if d.retry != nil {
		return d.retry.check(bad)
	}
	return nil
}

// IsZero reports whether the destination is nowhere.
func (d Destination) IsZero() bool { return d.function == "" && d.deliver == nil }

// JobEnvelope is what a destination gets: the invocation record of AWS Lambda's
// destinations, field by field (Developer Guide, "Capturing records of Lambda
// asynchronous invocations"). Its conditions are Lambda's words and those of
// [JobCondition].
type JobEnvelope struct {
	Version         string              `json:"version"` // "1.0"
	Timestamp       string              `json:"timestamp"`
	RequestContext  JobRequestContext   `json:"requestContext"`
	RequestPayload  json.RawMessage     `json:"requestPayload"`            // what is not JSON is a string, in base64 if it is no text
	ResponseContext *JobResponseContext `json:"responseContext,omitempty"` // nil: no delivery has reached the function
	ResponsePayload json.RawMessage     `json:"responsePayload,omitempty"`
}

// JobRequestContext says which job it was and why it ended.
type JobRequestContext struct {
	RequestID              string       `json:"requestId"`   // the job's ID
	FunctionARN            string       `json:"functionArn"` // in the region and the account of package faashttp's default
	Condition              JobCondition `json:"condition"`
	ApproximateInvokeCount int          `json:"approximateInvokeCount"` // attempts
}

// JobResponseContext says how the function has answered.
type JobResponseContext struct {
	StatusCode      int    `json:"statusCode"`                // 200, also if the function failed; 429, 404 and so on if it could not be called
	ExecutedVersion string `json:"executedVersion,omitempty"` // empty: it could not be called
	FunctionError   string `json:"functionError,omitempty"`   // "Unhandled" if it failed
}

// jobFailure is the response payload of a call that failed.
type jobFailure struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType,omitempty"`
}

// envelope describes a settled job.
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

// response is the part of an envelope about the last delivery.
func (rec *JobRecord) response(last *JobEnd) (*JobResponseContext, json.RawMessage) {
	if last.Kind != KindNone { // the platform's answer: it has no payload
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
		return c, nil // two strings always encode
	}
	return c, data
}

// status is the status code with which Lambda's Invoke refuses such a call.
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

// arn is the function's name as Lambda writes it, with the qualifier.
func (rec *JobRecord) arn() string {
	name := rec.calledName()
	if baseName(name) == name {
		name += ":" + versionLatest
	}
	return "arn:aws:lambda:us-east-1:000000000000:function:" + name
}

// payloadJSON makes a payload of any codec a JSON value.
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
		return json.RawMessage("null") // a string always encodes
	}
	return quoted
}
