package faashttp

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/inproc/faas"
)

// invocation is a call over the Lambda wire, after its request has been checked.
type invocation struct {
	target

	info faas.Signature
	body []byte
}

// receive reads a request and makes the checks that all types of invocation share.
//
// The order of the checks decides what a caller can learn. If requests are signed, the
// signature is checked before any answer that depends on a function. A caller that may not know
// of the function gets the answer for an unknown one, even if its body is too large or
// malformed. Its body is then read as that of an unknown function would be (discardBody), so
// that the connection does not show a difference either.
func (l *Lambda) receive(x *exchange) (c invocation, apiErr *apiError) {
	t, apiErr := targetOf(x.r)
	known := false
	if apiErr == nil && l.address.isHere(t) {
		info, err := l.router.Signature(t.call())
		c.info, known = info, err == nil
	}
	limit := l.limit(known, c.info)
	body, err := x.body(limit)
	if l.secret != nil {
		if err != nil {
			x.closeConnection()
			return c, bodyError(err, limit)
		}
		if forged := l.verifier.verify(x.r, body); forged != nil {
			return c, forged
		}
	}
	switch {
	case apiErr != nil:
		return c, apiErr
	case !known || err != nil && x.isHidden(l.router, t.call()):
		x.discardBody(err)
		return c, l.address.notFound(t)
	case err != nil:
		x.closeConnection()
		return c, bodyError(err, limit)
	}
	c.target, c.body = t, body
	return c, l.inspect(x, &c)
}

// limit returns how many bytes of the body are read at most. If requests are signed, the limit
// is never below the default limit. With a lower one, a caller that can't sign could send a
// large body and learn from the error that a function with a low limit exists. The router
// enforces the function's own limit after the signature is checked.
func (l *Lambda) limit(known bool, info faas.Signature) int {
	switch {
	case !known:
		return unknownLimit
	case l.secret != nil:
		return max(unknownLimit, info.MaxIn)
	}
	return info.MaxIn
}

// inspect checks the form of the body and of the client context.
func (l *Lambda) inspect(x *exchange, c *invocation) *apiError {
	apiErr := x.clientContext()
	switch {
	case apiErr != nil:
	case len(c.body) == 0: // Lambda passes an empty object to the handler
		c.body = []byte("{}")
	case !isJSON(c.body):
		apiErr = invalidContent("Could not parse request body into json: " + syntaxError(c.body))
	}
	if apiErr != nil && x.isHidden(l.router, c.call()) {
		return l.address.notFound(c.target)
	}
	return apiErr
}

// syntaxError returns the reason why doc is not JSON.
func syntaxError(doc []byte) string {
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		return err.Error()
	}
	return "invalid UTF-8"
}

// clientContext reads the header with the client context: JSON in base64, of bounded size.
func (x *exchange) clientContext() *apiError {
	encoded := x.r.Header.Get("X-Amz-Client-Context")
	if encoded == "" {
		return nil
	}
	doc, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !isClientContext(doc) {
		return invalidContent("The client context must be JSON in base64, of at most 3583 bytes.")
	}
	x.carried.ClientContext = string(doc)
	return nil
}

// invoke serves Invoke.
func (l *Lambda) invoke(x *exchange) { l.dispatch(x, l.answer, l.accept) }

// invokeStream serves InvokeWithResponseStream, which has no type Event.
func (l *Lambda) invokeStream(x *exchange) { l.dispatch(x, l.answerStream, nil) }

// dispatch calls the function for the invocation's type. A nil event means that the operation
// has no type Event.
func (l *Lambda) dispatch(x *exchange, answer, event func(*exchange, invocation)) {
	c, apiErr := l.receive(x)
	if apiErr != nil {
		x.refuse(apiErr)
		return
	}
	kinds := "[RequestResponse, DryRun]"
	if event != nil {
		kinds = "[Event, RequestResponse, DryRun]"
	}
	switch kind := x.r.Header.Get("X-Amz-Invocation-Type"); {
	case kind == "", kind == "RequestResponse":
		answer(x, c)
	case kind == "DryRun":
		l.dryRun(x, c)
	case kind == "Event" && event != nil:
		event(x, c)
	default:
		x.refuse(invalidField("invocationType", kind, "Member must satisfy enum value set: "+kinds))
	}
}

// answer calls the function and writes its output. It writes an empty output as null: Lambda's
// runtimes send null for a handler without a return value.
func (l *Lambda) answer(x *exchange, c invocation) {
	x.startLog()
	out, err := l.router.Invoke(x.resolving(), c.call(), c.body)
	h, kind := x.w.Header(), c.info.ContentType
	if err != nil {
		if apiErr := l.apiErrorOf(x, err, c.target, c.info); apiErr != nil {
			x.refuse(apiErr)
			return
		}
		h.Set("X-Amz-Function-Error", "Unhandled")
		out, kind = functionErrorBody(err, c.info, x.carried.ID), "application/json"
	} else if len(out) == 0 && !c.info.Stream {
		out = []byte("null")
	}
	h.Set("X-Amz-Executed-Version", x.executed.Version)
	if log := x.endLog(); log != "" {
		h.Set("X-Amz-Log-Result", log)
	}
	x.reply(http.StatusOK, kind, out)
}

// startLog begins the log of a call if its client has asked for it.
func (x *exchange) startLog() {
	if x.r.Header.Get("X-Amz-Log-Type") == "Tail" {
		x.carried.log = &faas.LogTail{}
		x.ctx = faas.WithLogTail(x.ctx, x.carried.log)
	}
}

// endLog returns the log in base64, or "" if the client has not asked for it. The START line is
// made here and not at the start, because it has the version that ran.
func (x *exchange) endLog() string {
	if x.carried.log == nil {
		return ""
	}
	const size = 4096 // as much as Lambda returns
	first, last := "START RequestId: "+x.carried.ID+" Version: "+x.executed.Version+"\n", "END RequestId: "+x.carried.ID+"\n"
	log := slices.Concat([]byte(first), x.carried.log.Bytes(), []byte(last))
	return base64.StdEncoding.EncodeToString(log[max(0, len(log)-size):])
}

func (l *Lambda) dryRun(x *exchange, c invocation) {
	if err := l.router.DryRun(x.ctx, c.call()); err != nil {
		x.refuse(l.refusal(x, err, c))
		return
	}
	x.reply(http.StatusNoContent, "", nil)
}

// refusal is like apiErrorOf for the error of a dry run. It never returns nil, because a dry
// run fails only with a refusal.
func (l *Lambda) refusal(x *exchange, err error, c invocation) *apiError {
	if apiErr := l.apiErrorOf(x, err, c.target, c.info); apiErr != nil {
		return apiErr
	}
	return serviceError("The call could not be made.", time.Second)
}

// answerStream calls the function and writes its pieces as messages. The status is sent with
// the first piece. After that, the function's own error goes into the last message, and an
// error of the platform breaks off the connection.
func (l *Lambda) answerStream(x *exchange, c invocation) {
	x.startLog()
	s := &streamWriter{x: x, frame: payloadChunks, head: func(h http.Header) {
		h.Set("Content-Type", "application/vnd.amazon.eventstream")
		h.Set("X-Amz-Executed-Version", x.executed.Version)
		h.Set("X-Amzn-Remapped-Content-Type", c.info.ContentType)
	}}
	err := l.router.InvokeStream(x.resolving(), c.call(), c.body, s)
	end := completion{}
	if err != nil {
		if apiErr := l.apiErrorOf(x, err, c.target, c.info); apiErr != nil {
			if s.started { // the status 200 is sent already; breakOff does not return
				x.breakOff()
			}
			x.refuse(apiErr)
			return
		}
		end.ErrorCode, end.ErrorDetails = "Unhandled", string(functionErrorBody(err, c.info, x.carried.ID))
	}
	end.LogResult = x.endLog()
	_ = s.send(eventMessage("InvokeComplete", "application/json", mustJSON(end))) // an error means that the client has disconnected
}

// apiErrorOf returns the API error for a call that the platform refused or canceled. It returns
// nil if the function itself ended the call, for example by an error: that answer has the
// status 200 and a functionError as its body.
func (l *Lambda) apiErrorOf(x *exchange, err error, t target, info faas.Signature) *apiError {
	end := faas.EndOf(err, t.call())
	switch end.Kind {
	case faas.KindNone:
		if end.Outcome == faas.Canceled {
			return serviceError("The call was canceled.", time.Second)
		}
	case faas.KindNotFound:
		return l.address.notFound(t)
	case faas.KindDenied:
		return l.denial(t)
	case faas.KindInvalid, faas.KindTooLarge:
		return l.badInput(x, end, t, info)
	case faas.KindBusy:
		return throttle(l.router, t.name, end.Err.Reason, end.Err.RetryAfter)
	case faas.KindUnavailable:
		return serviceError("The function can't be called now.", end.Err.RetryAfter)
	case faas.KindNesting:
		return &apiError{
			status: http.StatusBadRequest, kind: "RecursiveInvocationException", capitalKey: true, source: "User",
			message: "The invocation is part of a loop, or of too long a chain.",
		}
	case faas.KindClosed:
		return serviceError("The host is shutting down.", time.Second)
	case faas.KindCanceled:
		return serviceError("The call was canceled.", time.Second)
	}
	return nil
}

// denial returns the answer to a denied call: that of an unknown function, or with
// [WithForbidden] an AccessDeniedException.
func (l *Lambda) denial(t target) *apiError {
	if !l.forbidden {
		return l.address.notFound(t)
	}
	return &apiError{
		status: http.StatusForbidden, kind: "AccessDeniedException", capitalKey: true, source: "User",
		message: "User is not authorized to perform: lambda:InvokeFunction on resource: " + l.address.arn(t.name, t.qualifier),
	}
}

// badInput returns nil if only the input's JSON does not fit the function. On Lambda the
// function's runtime decodes the input, so this is an error of the function. badInput returns
// an API error if the call would be invalid with any input, for example because of its tenant.
func (l *Lambda) badInput(x *exchange, end faas.End, t target, info faas.Signature) *apiError {
	before := x.before(l.router, t.call())
	switch {
	case before == faas.KindDenied && !l.forbidden:
		return l.address.notFound(t)
	case end.Kind == faas.KindTooLarge:
		return requestTooLarge(info.MaxIn)
	case before == faas.KindInvalid, end.Err.Reason != faas.ReasonInput:
		return invalidParameter("The invocation is not valid.")
	}
	return nil
}
