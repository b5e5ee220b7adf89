package sim

// Sorted and Differ are what Run begins with.
var (
	Sorted = Workload.sorted
	Differ = differ
)
