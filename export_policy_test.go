package faas

// CheckScaler is what registration asks of a policy.
func CheckScaler(s Scaler) error { return checkScaler(s) }

// KnownPaces returns how many functions the router knows the pace of jobs of.
func KnownPaces(r *Router) int {
	j := r.jobHost()
	j.paces.mu.Lock()
	defer j.paces.mu.Unlock()
	return len(j.paces.byFunction)
}
