package faastest

// AntsGoroutines names the functions of two goroutines that run in every process
// that imports faas. They do not belong to a router: the package ants, from which
// routers get their goroutines, starts a pool of its own when it is imported, and
// has no option against that. Goleak reports them, unless a test ignores them:
//
//	goleak.VerifyNone(t,
//		goleak.IgnoreAnyFunction(faastest.AntsGoroutines()[0]),
//		goleak.IgnoreAnyFunction(faastest.AntsGoroutines()[1]),
//	)
//
// IgnoreTopFunction works too, since they wait in these very functions. A router
// that was not closed has two goroutines of the same names, which these lines
// also ignore; goleak still finds its idle workers if it was ever called. A
// TestMain can ignore the goroutines of the import alone:
//
//	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
//
// The slice is the caller's. For goleak, see
// https://pkg.go.dev/go.uber.org/goleak.
func AntsGoroutines() []string {
	return []string{
		"github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers",
		"github.com/panjf2000/ants/v2.(*poolCommon).ticktock",
	}
}
