package faas

// CheckScaler is the check of a policy at its registration.
func CheckScaler(s Scaler) error { return checkScaler(s) }

// KnownPaces returns for how many functions the router knows the pace of jobs.
func KnownPaces(r *Router) int {
	j := r.jobHost()
	j.paces.mu.Lock()
	defer j.paces.mu.Unlock()
	return len(j.paces.byFunction)
}
