// Package faastest tests handlers, jobs and the extensions of a [faas.Router] (meters,
// gates, scalers, queues of jobs): with plain go test, through the real router, in virtual time.
//
// This calls one handler once, as a router does:
//
//	func TestGreet(t *testing.T) {
//		res := faastest.Invoke(t.Context(), t, Greet, "Ada", faas.WithTimeout(time.Second))
//		if res.Err != nil || res.Output != "Hello, Ada" {
//			t.Errorf("got %q, %v", res.Output, res.Err)
//		}
//	}
//
// [Stateless] calls a handler with the same inputs in many orders. It fails if an
// answer depends on earlier calls.
//
// This makes a router that is closed at the end of the test, with a meter that
// keeps its records for the test to read:
//
//	var rec faastest.Recorder
//	r := faastest.New(t, faas.WithMeter(&rec))
//
// # Virtual time
//
// All of it works inside a bubble of [testing/synctest], where a second of
// waiting takes no time: a timeout of 30 s is asserted in 0.00 s, and an hour of
// traffic in milliseconds. Make the router inside the bubble; [New] closes it
// there too.
//
//	func TestDeafHandler(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			res := faastest.Invoke(t.Context(), t, Deaf, "Ada") // the default timeout: 30 s
//			if !errors.Is(res.Err, faas.ErrTimeout) || res.Execution.Duration != 30*time.Second {
//				t.Errorf("got %v after %v", res.Err, res.Execution.Duration)
//			}
//		})
//	}
//
// Two rules of bubbles matter here. To let goroutines run until they block, call
// [testing/synctest.Wait], not time.Sleep. And every goroutine of a bubble must
// end: if a handler waits for ever, for example on a channel, the test must
// release it, or the bubble reports a deadlock.
//
// # Jobs
//
// [NewJobs] runs the jobs that a service sends, with their retries, within the test: Drain
// waits until all of them have ended, Advance lets time pass, Dead returns the dead ones, and
// Crash loses the jobs that a crash of the process would lose.
//
// # Conformance
//
// [TestMeter], [TestGate], [TestScaler] and [TestJobQueue] test an implementation of
// [faas.Meter], [faas.Gate], [faas.Scaler] or [faas.JobQueue]: they check what the router
// relies on. [TestSource] does that for a source.Source.
//
// # Scaling
//
// [Drive] runs a scaling policy over a load curve and returns what it decided and
// why. An hour of load takes about a millisecond.
//
// # Leaks
//
// For goleak, see [AntsGoroutines].
package faastest
