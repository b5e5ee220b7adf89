package faas

import "context"

// InfoFor is Info for a caller of a front door. It makes the checks of [Router.DryRun]: whether
// ctx's caller may call the job's function. If not, it returns the refusal. If a call with ctx
// would be of another tenant than the job, the error Is [ErrNotFound], as for a job that does not
// exist. InfoFor does not check which of the tenant's callers has sent the job.
func (j *Job[Out]) InfoFor(ctx context.Context) (JobInfo, error) {
	if ctx == nil {
		return JobInfo{}, usageError("job", "", ErrInput, "%v", errNilContext)
	}
	rec, err := j.router.jobHost().queue.get(viewOf(ctx), j.id)
	if err != nil {
		return JobInfo{}, err
	}
	to, unknown := j.router.peek("job", rec.calledName())
	if unknown != nil {
		return JobInfo{}, unknown
	}
	var q caller
	c, refused := to.askDry(&q, ctx)
	if refused != nil {
		return JobInfo{}, refused
	}
	if c.tenant != rec.Tenant {
		return JobInfo{}, usageError("job", rec.Function, ErrNotFound, "there is no such job of this tenant")
	}
	return j.router.jobInfo(&rec), nil
}
