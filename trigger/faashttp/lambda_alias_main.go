package faashttp

import (
	"sync"

	"github.com/inproc/faas"
)

// mains knows which version of each alias is its FunctionVersion. The router's aliases
// have no such version, but clients of the API rely on one: they take a release back by
// removing the other. So a version once told stays the main one as long as it is an
// alias's, and for an alias that the API did not set it is the one with most of the
// calls.
type mains struct {
	mu sync.Mutex        // guards m
	m  map[[2]string]int // by function and alias
}

// maxMains bounds the memory of names that are gone.
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

// set notes the main version that a client sets.
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
