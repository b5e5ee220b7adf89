package source

// Seams for the tests of what a function's answer is taken for.
var (
	FailedOf = failedOf
	Pick     = pick
)
