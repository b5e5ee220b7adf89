package sim

// Sorted is what Run does first.
var Sorted = Workload.sorted
