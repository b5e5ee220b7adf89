package admin

import (
	"slices"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
)

// Decisions is the answer of GET /v1/decisions, with the newest first.
type Decisions struct {
	Decisions []Decision `json:"decisions"`
}

// Decision is a change of scale and why it was made, or a move of an alias.
type Decision struct {
	Time     time.Time `json:"time"`
	Function string    `json:"function,omitempty"` // empty: the router's capacity, in calls
	Version  string    `json:"version,omitempty"`
	From     Int       `json:"from"`
	To       Int       `json:"to"`
	Wanted   Int       `json:"wanted"` // by the policy, before the limits were applied
	Rule     string    `json:"rule"`   // the rule that has decided; for a move of an alias, what was done
	Load     *Load     `json:"load,omitempty"`

	// For a move of an alias.
	Alias  *string          `json:"alias,omitempty"` // null: this is a change of scale
	By     string           `json:"by,omitempty"`
	Before map[string]Count `json:"before,omitempty"` // null: the alias did not exist
	After  map[string]Count `json:"after,omitempty"`  // null: the alias was removed
}

// Load is the input of a policy's decision.
type Load struct {
	Stable    float64 `json:"stable"` // average concurrency over the long window
	Burst     float64 `json:"burst"`  // average concurrency over the short window
	Instances Int     `json:"instances"`
	Ready     Int     `json:"ready"`
	InFlight  Int     `json:"inFlight"`
	Queued    Int     `json:"queued"`
	Peak      Int     `json:"peak"`
	Per       Int     `json:"per"`
	Min       Int     `json:"min"`
	Max       Int     `json:"max"`
	Arrival   bool    `json:"arrival,omitempty"`
	CPU       float64 `json:"cpu,omitempty"`
	LatencyNS Int     `json:"latencyNS,omitempty"`
}

func shownDecision(d *faas.Decision) Decision {
	out := Decision{
		Time: d.Time, Function: d.Function, Version: d.Version, From: Int(d.From), To: Int(d.To), Wanted: Int(d.Wanted), Rule: d.Rule,
	}
	if d.Before != nil || d.After != nil {
		out.Alias, out.By, out.Before, out.After = &d.Alias, d.By, shownWeights(d.Before), shownWeights(d.After)
		return out
	}
	l := d.Load
	out.Load = &Load{
		Stable: l.Stable, Burst: l.Burst, Instances: Int(l.Instances), Ready: Int(l.Ready), InFlight: Int(l.InFlight),
		Queued: Int(l.Queued), Peak: Int(l.Peak), Per: Int(l.Per), Min: Int(l.Min), Max: Int(l.Max), Arrival: l.Arrival,
		CPU: l.CPU, LatencyNS: Int(l.Latency),
	}
	return out
}

// decisions lists the decisions about one function, or about the router and all functions that
// the viewer sees.
func (x *exchange) decisions() (any, error) {
	limit, err := x.limit(100)
	if err != nil {
		return nil, err
	}
	names := []string{x.param("function")}
	if x.has("function") {
		if err := x.needNumbers(names[0]); err != nil {
			return nil, err
		}
	} else {
		names = x.visible()
	}
	out := Decisions{Decisions: []Decision{}}
	for _, name := range names {
		all, err := x.h.router.Decisions(name)
		if err != nil && x.has("function") {
			return nil, absent()
		}
		for i := range all {
			out.Decisions = append(out.Decisions, shownDecision(&all[i]))
		}
	}
	slices.Reverse(out.Decisions) // so that of one moment, too, the last decision comes first
	slices.SortStableFunc(out.Decisions, func(a, b Decision) int { return b.Time.Compare(a.Time) })
	out.Decisions = out.Decisions[:min(limit, len(out.Decisions))]
	return out, nil
}

// visible returns the functions whose numbers over all tenants the viewer may see, and "" if
// the viewer may see the host.
func (x *exchange) visible() []string {
	var names []string
	if x.allowsAll(access.See, "") {
		names = append(names, "")
	}
	for info := range x.h.router.Functions() {
		if x.allowsAll(access.See, info.Name) {
			names = append(names, info.Name)
		}
	}
	return names
}
