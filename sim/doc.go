// Package sim shows what a scaling policy would do with your traffic, before you
// choose one. It runs the real router, scheduler and scaler in a bubble of
// testing/synctest, where an hour takes seconds:
//
//	func TestWhichPolicy(t *testing.T) {
//		file, _ := os.Open("testdata/tuesday.csv")
//		w, err := sim.ReadTrace(file) // and how long is a cold start?
//		if err != nil {
//			t.Fatal(err)
//		}
//		report := sim.Run(t, w, sim.Policies()...)
//		t.Log(report)
//	}
//
// What a policy costs is how many slot-seconds its instances were held, used or
// not; what it is worth is how long calls wait. Neither alone says anything: a
// policy is good if no other is better in one and as good in the other, which is
// what [Report.OnFront] tells.
//
// Handlers do nothing but take their time, and so does an init. What processors and
// memory do under load is not simulated.
package sim
