package faashttp

import (
	"errors"
	"net/http"
	"time"

	"github.com/inproc/faas"
)

// ProblemOf returns the HTTP answer for the error of a call, the same that [Handler] gives. err
// must be the error that the call of function returned, unwrapped ([faas.EndOf] says why). The
// problem has the status, the reason, and when to try again; its ServeHTTP answers a request
// with it. ProblemOf returns nil for a nil error. Of the options only [WithForbidden] has an
// effect. It is for handlers of your own:
//
//	out, err := resize.Invoke(r.Context(), in)
//	if err != nil {
//		faashttp.ProblemOf(err, "resize").ServeHTTP(w, r)
//		return
//	}
//
// If the function's handler returned a [Problem], ProblemOf returns that Problem itself; do not
// change it.
func ProblemOf(err error, function string, opts ...Option) *Problem {
	if err == nil {
		return nil
	}
	s := frontSettings(opts)
	return s.problemOf(err, function)
}

func (s *settings) problemOf(err error, function string) *Problem {
	switch end := faas.EndOf(err, function); {
	case end.Kind != faas.KindNone:
		return s.refusalProblem(end.Kind, end.Err)
	case end.Outcome == faas.Failed:
		return ownProblem(err)
	default:
		return outcomeProblem(end.Outcome, end.Err)
	}
}

// refusalProblem returns the problem of a call that was refused.
func (s *settings) refusalProblem(k faas.Kind, e *faas.Error) *Problem {
	p := &Problem{Reason: string(e.Reason)}
	switch k {
	case faas.KindNotFound:
		return unknown()
	case faas.KindDenied:
		if !s.forbidden {
			return unknown()
		}
		p.Status, p.Detail = http.StatusForbidden, "You may not call this function."
	case faas.KindInvalid:
		p.Status, p.Detail = http.StatusBadRequest, "The body is not an input of this function."
	case faas.KindTooLarge:
		return problemOfRequest(errTooLarge)
	case faas.KindBusy:
		p.Status, p.Detail, p.RetryAfter = http.StatusTooManyRequests, "No room for the call; try again later.", max(e.RetryAfter, time.Second)
	case faas.KindUnavailable:
		p.Status, p.Detail, p.RetryAfter = http.StatusServiceUnavailable, "The function can't be called now; try again later.", max(e.RetryAfter, time.Second)
	case faas.KindNesting:
		p.Status, p.Detail = http.StatusLoopDetected, "The call is part of a loop, or of too long a chain."
	case faas.KindClosed:
		p.Status, p.Detail, p.RetryAfter = http.StatusServiceUnavailable, "The host is shutting down.", time.Second
	case faas.KindCanceled:
		return canceledProblem()
	case faas.KindNone: // can't happen: the caller has checked that the call was refused
	}
	return p
}

// outcomeProblem returns the problem of a call that was admitted and did not succeed.
func outcomeProblem(o faas.Outcome, e *faas.Error) *Problem {
	failed := &Problem{Status: http.StatusInternalServerError, Reason: "failed", Detail: "The function failed."}
	switch o {
	case faas.OK, faas.Failed:
	case faas.Panicked:
		failed.Reason = "panicked"
	case faas.Exited:
		failed.Reason = "exited"
	case faas.TimedOut:
		return &Problem{Status: http.StatusGatewayTimeout, Reason: "timed_out", Detail: "The function did not answer in time."}
	case faas.Canceled:
		return canceledProblem()
	case faas.OutputInvalid:
		failed.Reason, failed.Detail = "output", "The function's answer could not be encoded."
		if isTooLarge(e) {
			failed.Reason, failed.Detail = "output_too_large", "The function's answer is too large."
		}
	case faas.InitFailed:
		failed.Reason, failed.Detail = "init_failed", "The function could not be started."
	}
	return failed
}

// canceledProblem answers a call that the host has canceled. A call is also canceled when its
// client disconnects; that client does not read the answer.
func canceledProblem() *Problem {
	return &Problem{Status: http.StatusServiceUnavailable, Reason: "canceled", Detail: "The call was canceled.", RetryAfter: time.Second}
}

// ownProblem returns the [Problem] that the handler has returned. For any other error, and for
// an error whose methods panic, it returns the problem of a failed function.
func ownProblem(err error) (p *Problem) {
	p = outcomeProblem(faas.Failed, nil)
	defer func() { _ = recover() }()
	if own, ok := errors.AsType[*Problem](err); ok && own != nil {
		p = own
	}
	return p
}

// isTooLarge reports whether an output is invalid because of its size. errors.Is may run
// methods of the handler's own error type, and these may panic.
func isTooLarge(e *faas.Error) (is bool) {
	defer func() { _ = recover() }()
	return errors.Is(e, faas.ErrTooLarge)
}

// unknown returns the answer for a function that does not exist, and for one that the caller
// must not learn of. Both use this function, so that the answers are equal byte for byte.
func unknown() *Problem {
	return &Problem{Status: http.StatusNotFound, Reason: string(faas.ReasonNotFound), Detail: "There is no such function."}
}

// problemOfRequest returns the problem of a request that is refused before it reaches the
// router.
func problemOfRequest(err error) *Problem {
	switch {
	case errors.Is(err, errTooLarge):
		return &Problem{Status: http.StatusRequestEntityTooLarge, Reason: "too_large", Detail: "The body is larger than the function takes."}
	case errors.Is(err, errEncoding):
		return &Problem{Status: http.StatusUnsupportedMediaType, Reason: "encoding", Detail: "Bodies are taken without Content-Encoding."}
	case errors.Is(err, errSlow):
		return &Problem{Status: http.StatusRequestTimeout, Reason: "slow", Detail: "The body did not come in time."}
	case errors.Is(err, errTenant):
		return &Problem{Status: http.StatusBadRequest, Reason: "tenant", Detail: "The tenant header is malformed."}
	}
	return &Problem{Status: http.StatusBadRequest, Reason: "body", Detail: "The body could not be read."}
}

// fail answers with a problem.
func (x *exchange) fail(p *Problem) {
	x.extendWriteDeadline()
	p.write(x.w, x.carried.ID)
}
