// Package sim simulates scaling policies on your traffic, so that you can choose one
// by its results. It runs the real router, scheduler and scaler in a bubble of
// testing/synctest, where an hour takes seconds:
//
//	func TestWhichPolicy(t *testing.T) {
//		file, _ := os.Open("testdata/tuesday.csv")
//		w, err := sim.ReadTrace(file) // for cold starts, set w.ColdStart
//		if err != nil {
//			t.Fatal(err)
//		}
//		report := sim.Run(t, w, sim.Policies()...)
//		t.Log(report)
//	}
//
// The cost of a policy is the time for which it keeps instances, used or not, in
// slot-seconds; its quality is how short calls wait. A policy is good if no other is
// better in one of these and at least as good in the other: [Report.OnFront] reports
// that (the Pareto front).
//
// Handlers and inits only sleep. The effects of load on processors and memory are not
// simulated.
package sim
