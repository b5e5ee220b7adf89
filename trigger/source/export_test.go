package source

// These functions are exported for the tests of how a function's answer is read.
var (
	FailedOf = failedOf
	Pick     = pick
)
