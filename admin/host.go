package admin

import (
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/inproc/faas/access"
)

// apiVersion is the version of the API, and with a "v" the first part of each path. Fields,
// paths and values may be added to a version, and none is removed.
const apiVersion = "1"

// Host is the answer of GET /v1/host: a description of the host and of the viewer. Each viewer
// gets it; the fields that the viewer may not see are empty.
type Host struct {
	API    string    `json:"api"`    // the version of the API, "1"
	Epoch  string    `json:"epoch"`  // different after each start of the host: counts begin anew then
	Now    time.Time `json:"now"`    // by the host's clock
	Writes bool      `json:"writes"` // the host takes changes
	Parts  []string  `json:"parts"`  // the options that the host has set: recorder, ledger, budgets, ring, tail, drivers
	Viewer Viewer    `json:"viewer"`

	Name    string    `json:"name,omitempty"`
	Started time.Time `json:"started,omitzero"` // when the API was made
	Build   *Build    `json:"build,omitempty"`
	// Capacity is how many calls may run at once in the whole router.
	Capacity *Int `json:"capacity,omitempty"`
	Closing  bool `json:"closing,omitempty"` // the host is shutting down
}

// Viewer is the principal of the request, with its rights to the host as a whole. Its rights to
// a function are in [Function].
type Viewer struct {
	Principal

	Rights []string `json:"rights"`
}

// Build is what the program was built from.
type Build struct {
	Module   string `json:"module"`
	Version  string `json:"version,omitempty"`
	Revision string `json:"revision,omitempty"` // the commit in the version control
	Modified bool   `json:"modified,omitempty"` // the source had changes since that commit
	Go       string `json:"go"`
}

// parts returns the names of the options that were set.
func (s *settings) parts() []string {
	parts := []string{}
	for _, p := range []struct {
		name string
		has  bool
	}{
		{"recorder", s.recorder != nil},
		{"ledger", s.ledger != nil},
		{"budgets", len(s.budgets) > 0},
		{"ring", s.ring != nil},
		{"tail", s.tail != nil},
		{"drivers", len(s.drivers) > 0},
	} {
		if p.has {
			parts = append(parts, p.name)
		}
	}
	return parts
}

func (x *exchange) host() (any, error) {
	rights := x.rights("")
	out := Host{
		API: apiVersion, Epoch: x.h.epoch, Now: time.Now(), Writes: x.h.writes, Parts: x.h.parts(),
		Viewer: Viewer{Principal: shownPrincipal(x.who), Rights: append([]string{}, rights...)},
	}
	if slices.Contains(rights, string(access.See)) {
		stats := x.h.router.Stats()
		out.Name, out.Started, out.Build = x.h.name, x.h.started, build()
		out.Capacity, out.Closing = new(Int(stats.Capacity)), stats.Closing
	}
	return out, nil
}

func build() *Build {
	b := &Build{Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Module, b.Version = info.Main.Path, info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// Process is the answer of GET /v1/process.
type Process struct {
	Now        time.Time `json:"now"`
	Started    time.Time `json:"started"` // when the API was made
	Goroutines Count     `json:"goroutines"`
	Processors Count     `json:"processors"` // how many threads may run Go code at once
	HeapInUse  Count     `json:"heapInUse"`  // bytes
	HeapLive   Count     `json:"heapLive"`   // bytes of objects
	Obtained   Count     `json:"obtained"`   // bytes obtained from the operating system
	GCs        Count     `json:"gcs"`
	GCPauseNS  Count     `json:"gcPauseNS"` // the sum of all pauses
	GCShare    float64   `json:"gcShare"`   // the garbage collector's share of the processor time since the start

	Capacity    Int              `json:"capacity"`
	InFlight    Count            `json:"inFlight"`
	Queued      Count            `json:"queued"`
	Runaways    Count            `json:"runaways"`
	Admitted    Count            `json:"admitted"`
	Refused     map[string]Count `json:"refused,omitempty"`
	JobsRefused map[string]Count `json:"jobsRefused,omitempty"`
	HookPanics  Count            `json:"hookPanics"`
	Closing     bool             `json:"closing"`
	Modules     []Module         `json:"modules"`
	// Streams is how many streams of this API are open.
	Streams Count `json:"streams"`
}

// Module is a module that the program was built with.
type Module struct {
	Path    string `json:"path"`
	Version string `json:"version,omitempty"`
}

// process reads the memory statistics, for which the runtime stops the world for a moment.
func (x *exchange) process() (any, error) {
	if err := x.need(Action{Right: access.See, AllTenants: true}); err != nil {
		return nil, err
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	stats := x.h.router.Stats()
	out := Process{
		Now: time.Now(), Started: x.h.started, Goroutines: count(runtime.NumGoroutine()), Processors: count(runtime.GOMAXPROCS(0)),
		HeapInUse: Count(m.HeapInuse), HeapLive: Count(m.HeapAlloc), Obtained: Count(m.Sys), GCs: Count(m.NumGC),
		GCPauseNS: Count(m.PauseTotalNs), GCShare: m.GCCPUFraction,
		Capacity: Int(stats.Capacity), InFlight: count(stats.InFlight), Queued: count(stats.Queued), Runaways: count(stats.Runaways),
		Admitted: Count(stats.Admitted), Refused: reasons(stats.Rejected), JobsRefused: reasons(stats.JobsRejected),
		HookPanics: Count(stats.HookPanics), Closing: stats.Closing, Modules: []Module{}, Streams: count(x.h.live.open()),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			out.Modules = append(out.Modules, Module{Path: dep.Path, Version: dep.Version})
		}
	}
	return out, nil
}
