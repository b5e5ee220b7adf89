// Package faastest tests handlers, and what is plugged into a [faas.Router]:
// with plain go test, through the real pipeline, and in virtual time.
//
// A handler by itself, called once as a router would:
//
//	func TestGreet(t *testing.T) {
//		res := faastest.Invoke(t.Context(), t, Greet, "Ada", faas.WithTimeout(time.Second))
//		if res.Err != nil || res.Output != "Hello, Ada" {
//			t.Errorf("got %q, %v", res.Output, res.Err)
//		}
//	}
//
// [Stateless] calls a handler with the same inputs in many orders, and fails
// where an answer depends on what was called before.
//
// A router, closed at the end of the test, with a meter that remembers:
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
// Two rules of bubbles matter here. Call [testing/synctest.Wait], and not
// time.Sleep, to let goroutines get as far as they can. And every goroutine of a
// bubble has to end: a handler that never returns must be let go by the test, or
// the bubble reports a deadlock.
//
// # Conformance
//
// [TestMeter], [TestGate] and [TestScaler] are for those who implement a
// [faas.Meter], a [faas.Gate] or a [faas.Scaler]: they check what the router
// relies on.
//
// # Scaling
//
// [Drive] puts a scaling policy through a load curve, and returns what it decided
// and why: an hour takes about a millisecond.
//
// # Leaks
//
// For goleak, see [AntsGoroutines].
package faastest
