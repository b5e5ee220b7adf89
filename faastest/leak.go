package faastest

// AntsGoroutines names the functions of the two goroutines that run in every
// process that imports faas. They are not a router's: the package ants, which
// supplies routers with goroutines, makes a pool of its own when it is
// imported, and offers no way not to. Goleak would report them; two lines let
// a test of yours ignore them:
//
//	goleak.VerifyNone(t,
//		goleak.IgnoreAnyFunction(faastest.AntsGoroutines()[0]),
//		goleak.IgnoreAnyFunction(faastest.AntsGoroutines()[1]),
//	)
//
// IgnoreTopFunction does as well: they wait in just these functions. A router
// that was not closed has two goroutines of the same names, which these lines
// ignore too; once it has been called, its idle workers give it away. Where
// there is a TestMain, what ignores only the goroutines of the import is
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
