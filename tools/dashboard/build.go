package main

import (
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// panel is the content of one panel. Each of its lines has an expression and the legend of
// the series.
type panel struct {
	title, about, unit string
	lines              []line
}

type line struct{ expr, legend string }

// The parts of expressions that many panels have in common. Grafana replaces words that begin
// with $.
const (
	of     = `{function=~"$function"}`
	window = `[$__rate_interval]`
)

// rate returns the expression for the rate of a counter, by labels.
func rate(counter, by string) string {
	return fmt.Sprintf("sum by (%s) (rate(%s%s%s))", by, counter, of, window)
}

// quantile returns the expression for a quantile of a histogram, by function. It uses native
// buckets if Prometheus has stored them, and otherwise classic ones.
func quantile(q, histogram string) string {
	return fmt.Sprintf("histogram_quantile(%s, sum by (function) (rate(%s%s%s))) or histogram_quantile(%s, sum by (function, le) (rate(%s_bucket%s%s)))",
		q, histogram, of, window, q, histogram, of, window)
}

// rows returns the panels, grouped by rows.
func rows() []struct {
	title  string
	panels []panel
} {
	return []struct {
		title  string
		panels []panel
	}{
		{"Calls", []panel{
			{"Calls", "Calls that ended.", units.RequestsPerSecond, []line{{rate("faas_calls_total", "function"), "{{function}}"}}},
			{
				"Failures", "The part of calls that ended in another way than OK or Canceled.", units.PercentUnit,
				[]line{{`sum by (function) (rate(faas_calls_total{function=~"$function", outcome!~"OK|Canceled"}` + window + `)) / ` + rate("faas_calls_total", "function"), "{{function}}"}},
			},
			{"Ends", "Calls by how they ended.", units.RequestsPerSecond, []line{{rate("faas_calls_total", "outcome") + " > 0", "{{outcome}}"}}},
			{
				"Refusals", "Calls that were refused before their handler could run, also those of names that are not registered.", units.RequestsPerSecond,
				[]line{{"sum by (kind, reason) (rate(faas_refusals_total" + window + "))", "{{kind}}: {{reason}}"}},
			},
		}},
		{"Time", []panel{
			{"Run", "From the start of the handler to the end of the call.", units.Seconds, []line{{quantile("0.5", "faas_call_run_seconds"), "{{function}} p50"}, {quantile("0.99", "faas_call_run_seconds"), "{{function}} p99"}}},
			{"Wait", "For a slot, an instance included.", units.Seconds, []line{{quantile("0.99", "faas_call_wait_seconds"), "{{function}} p99"}}},
			{"Cold starts", "Calls that had to wait for a new instance.", units.RequestsPerSecond, []line{{rate("faas_cold_starts_total", "function"), "{{function}}"}}},
			{"Initialization", "How long cold calls waited for an instance.", units.Seconds, []line{{quantile("0.99", "faas_call_init_seconds"), "{{function}} p99"}}},
		}},
		{"Room", []panel{
			{"In flight", "Calls that run, and how many may.", units.Short, []line{{"faas_calls_in_flight" + of, "{{function}}"}, {"faas_concurrency_limit" + of, "{{function}}: limit"}, {"faas_capacity", "all functions: limit"}}},
			{"Queue", "Calls that wait for a slot.", units.Short, []line{{"faas_calls_queued" + of, "{{function}}"}}},
			{"Instances", "How many there are, and how many the policy wants.", units.Short, []line{{"sum by (function, state) (faas_instances" + of + ")", "{{function}}: {{state}}"}}},
			{"Changes of scale", "", units.Short, []line{{rate("faas_decisions_total", "function, direction"), "{{function}} {{direction}}"}}},
			{"Runaways", "Handlers that run although their calls are over.", units.Short, []line{{"faas_runaways" + of, "{{function}}"}}},
			{"Overruns", "Slots that are held by handlers whose calls were over.", units.Short, []line{{rate("faas_overrun_seconds_total", "function"), "{{function}}"}, {rate("faas_overruns_total", "function"), "{{function}}: ended per second"}}},
		}},
		{"Jobs", []panel{
			{"Jobs", "By state.", units.Short, []line{{"faas_jobs", "{{state}}"}}},
			{"Late", "For how long the oldest job that could run has been due.", units.Seconds, []line{{"faas_job_oldest_seconds", "oldest"}}},
		}},
		{"Cost", []panel{
			{"Price per hour", "At list prices, without free amounts per month.", units.Dollars, []line{{"3600 * " + rate("faas_list_price_total", "function, currency"), "{{function}} ({{currency}})"}}},
			{"Tenants by price per hour", "", units.Dollars, []line{{"topk(10, 3600 * " + rate("faas_list_price_total", "tenant, currency") + ")", "{{tenant}} ({{currency}})"}}},
			{"Billed time", "Seconds that are billed, per second, and seconds that calls and overruns ran.", units.Short, []line{{rate("faas_billed_seconds_total", "function"), "{{function}}: billed"}, {rate("faas_tenant_run_seconds_total", "function"), "{{function}}: ran"}}},
			{"Tenants by calls", "", units.RequestsPerSecond, []line{{"topk(10, " + rate("faas_tenant_calls_total", "tenant") + ")", "{{tenant}}"}}},
			{"Bytes", "Payloads and outputs of calls by name.", units.BytesPerSecondSI, []line{{rate("faas_received_bytes_total", "function"), "{{function}}: in"}, {rate("faas_sent_bytes_total", "function"), "{{function}}: out"}}},
			{"The host", "What should be 0.", units.Short, []line{{"increase(faas_hook_panics_total" + window + ")", "panics of hooks"}, {"faas_folded_tenants", "tenants without series"}}},
		}},
	}
}

// build returns the dashboard as JSON.
func build() ([]byte, error) {
	source := "${datasource}"
	b := dashboard.NewDashboardBuilder("Functions (faas)"). //nolint:staticcheck // it is deprecated for a form that only Grafana 12 reads
								Uid("faas").Tags([]string{"faas"}).Readonly().
								Description("What the functions of a process do. Built by tools/dashboard.").
								Refresh("10s").Time("now-30m", "now").Tooltip(dashboard.DashboardCursorSyncCrosshair).
								WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")).
								WithVariable(dashboard.NewQueryVariableBuilder("function").Label("Function").
									Datasource(common.DataSourceRef{Uid: &source}).
									Query(dashboard.StringOrMap{String: new("label_values(faas_calls_total, function)")}).
									Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Multi(true).IncludeAll(true).AllValue(".*"))
	for _, r := range rows() {
		b.WithRow(dashboard.NewRowBuilder(r.title))
		for _, p := range r.panels {
			b.WithPanel(p.build(source))
		}
	}
	made, err := b.Build()
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(made, "", "  ")
	return append(text, '\n'), err
}

func (p panel) build(source string) *timeseries.PanelBuilder {
	b := timeseries.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Min(0).
		Datasource(common.DataSourceRef{Uid: &source}).Height(8).Span(12).LineWidth(1).FillOpacity(8).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true))
	for i, l := range p.lines {
		b.WithTarget(prometheus.NewDataqueryBuilder().RefId(string(rune('A' + i))).Expr(l.expr).LegendFormat(l.legend).Range())
	}
	return b
}
