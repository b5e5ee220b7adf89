// Package faasprom shows Prometheus what the functions of a router do.
//
//	rec := observe.NewRecorder(observe.WithBooks(lambda))
//	r := faas.New(faas.WithMeter(rec), faas.WithRefusals(rec.Refused), faas.WithDecisions(rec.Decided))
//	registry := prometheus.NewRegistry()
//	registry.MustRegister(faasprom.NewCollector(r, rec, faasprom.WithBook(lambda)))
//	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
//
// All metrics are made when Prometheus asks: no code of its library runs when a function is
// called. Times are in seconds and sizes in bytes, and a name that ends in _total is that of
// a count which only grows while the process lives.
//
//	name                            type       labels (function, version: f, v)
//	faas_calls_total                counter    f, v, outcome
//	faas_call_wait_seconds          histogram  f, v: for a slot, before the handler starts
//	faas_call_init_seconds          histogram  f, v: of that, for an instance; cold calls only
//	faas_call_run_seconds           histogram  f, v: from the start of the handler to the end of the call
//	faas_cold_starts_total          counter    f, v
//	faas_received_bytes_total       counter    f, v: payloads
//	faas_sent_bytes_total           counter    f, v: encoded outputs
//	faas_refusals_total             counter    f, v, kind, reason
//	faas_overruns_total             counter    f, v: runaways that have ended
//	faas_overrun_seconds_total      counter    f, v: how long they ran beyond their calls
//	faas_decisions_total            counter    f, v, direction: changes of scale
//	faas_tenant_calls_total         counter    f, v, tenant
//	faas_tenant_run_seconds_total   counter    f, v, tenant
//	faas_billed_seconds_total       counter    f, v, tenant, book
//	faas_list_price_total           counter    f, v, tenant, book, currency
//	faas_calls_in_flight            gauge      f
//	faas_calls_queued               gauge      f
//	faas_concurrency_limit          gauge      f: +Inf if only the router limits it
//	faas_runaways                   gauge      f: handlers that run although their calls are over
//	faas_instances                  gauge      f, v, state: wanted, ready
//	faas_capacity                   gauge      how many calls may run at once
//	faas_jobs                       gauge      state
//	faas_job_oldest_seconds         gauge      since when the oldest job that could run is due
//	faas_hook_panics_total          counter
//	faas_folded_tenants             gauge      tenants of functions that go to "other", see WithSeries
//
// The list price is that of package cost: what a month has free and tiers of prices are
// not in it. Refusals of names that are not registered, and changes of the router's
// capacity, have the empty function.
//
// dashboard.json beside this file is a dashboard for Grafana, and alerts.yml has rules for
// Prometheus to alert by. Both read native histograms where Prometheus keeps them, and else
// classic ones.
package faasprom
