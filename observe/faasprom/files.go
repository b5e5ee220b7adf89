package faasprom

import _ "embed"

//go:embed dashboard.json
var dashboard string

//go:embed alerts.yml
var alerts string

// Dashboard returns a dashboard of the metrics, as JSON that Grafana imports. It asks for
// the data source, and works with native histograms and without.
func Dashboard() string { return dashboard }

// Alerts returns rules to alert by, as a file of rules for Prometheus.
func Alerts() string { return alerts }
