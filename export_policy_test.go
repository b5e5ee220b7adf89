package faas

// CheckScaler is what registration asks of a policy.
func CheckScaler(s Scaler) error { return checkScaler(s) }
