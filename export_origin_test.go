package faas

// WithDelivery is what a job's retries give their calls.
var WithDelivery = withDelivery
