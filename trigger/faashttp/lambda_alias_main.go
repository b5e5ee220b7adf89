package faashttp

import (
	"sync"

	"github.com/inproc/faas"
)

// mains stores the main version of each alias, which the API calls FunctionVersion. The
// router's aliases have none, but clients of the API need one that stays the same: they take a
// release back by removing the version that is not the main one. So a version stays the main
// one as long as the alias routes calls to it. For an alias that the API did not set, the first
// main version is the one with the greatest weight.
type mains struct {
	mu sync.Mutex        // guards m
	m  map[[2]string]int // the main version, by function and alias
}

// maxMains bounds the memory for aliases that are removed. At this size the map starts anew.
const maxMains = 10_000

// of returns the main version of an alias.
func (m *mains) of(a faas.Alias) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	version, known := m.m[[2]string{a.Function, a.Name}]
	if _, has := a.Weights[version]; !known || !has {
		version = heaviest(a.Weights)
		m.put(a.Function, a.Name, version)
	}
	return version
}

// set stores the main version that a client has set.
func (m *mains) set(function, alias string, version int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(function, alias, version)
}

func (m *mains) put(function, alias string, version int) {
	key := [2]string{function, alias}
	if _, has := m.m[key]; m.m == nil || !has && len(m.m) >= maxMains {
		m.m = map[[2]string]int{}
	}
	m.m[key] = version
}
