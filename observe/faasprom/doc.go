// Package faasprom exports what the functions of a router do to Prometheus.
//
//	rec := observe.NewRecorder(observe.WithBooks(lambda))
//	r := faas.New(faas.WithMeter(rec), faas.WithRefusals(rec.Refused), faas.WithDecisions(rec.Decided))
//	registry := prometheus.NewRegistry()
//	registry.MustRegister(faasprom.NewCollector(r, rec, faasprom.WithBook(lambda)))
//	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
//
// All metrics are made when Prometheus scrapes: no code of its library runs when a function is
// called. Times are in seconds, and sizes in bytes. A metric whose name ends in _total is a
// count that only grows while the process lives.
//
//	name                            type       labels (function, version: f, v)
//	faas_calls_total                counter    f, v, outcome
//	faas_call_wait_seconds          histogram  f, v: the wait for a slot, before the handler starts
//	faas_call_init_seconds          histogram  f, v: the part of it that is for an instance; cold calls only
//	faas_call_run_seconds           histogram  f, v: from the start of the handler to the end of the call
//	faas_cold_starts_total          counter    f, v
//	faas_received_bytes_total       counter    f, v: payloads
//	faas_sent_bytes_total           counter    f, v: encoded outputs
//	faas_refusals_total             counter    f, v, kind, reason
//	faas_overruns_total             counter    f, v: runaways that have ended
//	faas_overrun_seconds_total      counter    f, v: how long these ran after the end of their calls
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
//	faas_job_oldest_seconds         gauge      for how long the oldest job that could run has been due
//	faas_hook_panics_total          counter
//	faas_folded_tenants             gauge      tenants of functions counted under "other", see WithSeries
//
// The list price is the one of package cost, without free amounts per month and tiers of
// prices. Refusals of names that are not registered, and changes of the router's capacity, have
// an empty function label.
//
// The file dashboard.json beside this one is a dashboard for Grafana, and alerts.yml has
// alerting rules for Prometheus. Both use native histograms if Prometheus stores them, and
// classic ones otherwise.
package faasprom
