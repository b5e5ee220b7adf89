package faasprom

import _ "embed"

//go:embed dashboard.json
var dashboard string

//go:embed alerts.yml
var alerts string

// Dashboard returns a dashboard of the metrics, as JSON for Grafana's import, which lets you
// choose the data source. It works with native and with classic histograms.
func Dashboard() string { return dashboard }

// Alerts returns alerting rules, as a rule file for Prometheus.
func Alerts() string { return alerts }
