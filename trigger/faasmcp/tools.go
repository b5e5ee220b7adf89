package faasmcp

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/inproc/faas"
)

// Tools are a router's functions as tools of a server. Its methods may be
// called concurrently.
type Tools struct {
	settings

	server *mcp.Server
	router *faas.Router

	// mu guards known. It is one Refresh at a time, edits and filters included: of
	// two, the one that looked first must not be the last to tell the server.
	mu    sync.Mutex
	known map[string]signature
}

// signature is what a tool was made of: when it changes, the tool does.
type signature struct {
	in, out reflect.Type
	labels  map[string]string
	bad     bool // it has no schema, and is not offered
}

func (s signature) equal(t signature) bool {
	return s.in == t.in && s.out == t.out && maps.Equal(s.labels, t.labels)
}

// AddTools makes the functions of r tools of server. Those that are registered
// or removed later are followed by [Tools.Refresh]. Tools that the server has
// from elsewhere are left alone, unless a function has the same name.
//
// It panics with a [*faas.Error] that names the cure where [TryAddTools]
// returns one.
func AddTools(server *mcp.Server, r *faas.Router, opts ...Option) *Tools {
	t, err := TryAddTools(server, r, opts...)
	if err != nil {
		panic(err)
	}
	return t
}

// TryAddTools is [AddTools] for functions and options that come from outside.
// Its error Is [faas.ErrInput]. If it is about single functions, the others are
// offered, and the Tools are not nil.
func TryAddTools(server *mcp.Server, r *faas.Router, opts ...Option) (*Tools, error) {
	if server == nil || r == nil {
		return nil, mistake("", errors.New("AddTools needs a server and a router, neither may be nil"))
	}
	s := settings{edits: map[string][]func(*mcp.Tool){}, tenant: tenantOf, limit: defaultLimit}
	for _, o := range opts {
		if o != nil {
			o.apply(&s)
		}
	}
	if s.tenant == nil || slices.ContainsFunc(s.keep, func(f func(faas.Info) bool) bool { return f == nil }) {
		return nil, mistake("", errors.New("WithTenant and WithFilter need a function; leave the option out for the default"))
	}
	if s.limit < leastLimit {
		return nil, mistake("", fmt.Errorf("WithResultLimit(%d): must be at least %d bytes", s.limit, leastLimit))
	}
	t := &Tools{settings: s, server: server, router: r, known: map[string]signature{}}
	return t, t.Refresh()
}

// Refresh compares the router's functions with the server's tools: new ones are
// added, changed ones replaced, and those that are gone removed. Clients are
// told that the list has changed, if it has. To be called after registering or
// removing functions while the server runs; a removed function's tool answers
// as if it were unknown in any case.
//
// Its error names all functions that can't be tools, and Is [faas.ErrInput].
func (t *Tools) Refresh() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var mistakes []error
	seen := map[string]bool{}
	for info := range t.router.Functions() {
		if !t.wanted(info) {
			continue
		}
		seen[info.Name] = true
		if err := t.follow(info); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	var gone []string
	for name, s := range t.known {
		if !seen[name] {
			delete(t.known, name)
			if !s.bad {
				gone = append(gone, name)
			}
		}
	}
	if gone != nil {
		t.server.RemoveTools(gone...)
	}
	return errors.Join(mistakes...)
}

func (t *Tools) wanted(info faas.Info) bool {
	return !slices.ContainsFunc(t.keep, func(keep func(faas.Info) bool) bool { return !keep(info) })
}

func (t *Tools) follow(info faas.Info) error {
	now := signature{in: info.In, out: info.Out, labels: info.Labels}
	was, there := t.known[info.Name]
	if there && was.equal(now) && !was.bad {
		return nil
	}
	tool, shape, err := t.describe(info)
	if err != nil {
		if there && !was.bad {
			t.server.RemoveTools(info.Name)
		}
		now.bad = true
		t.known[info.Name] = now
		return mistake(info.Name, err)
	}
	t.server.AddTool(tool, (&call{tools: t, name: info.Name, shape: shape}).handle)
	t.known[info.Name] = now
	return nil
}

// describe makes the tool, and stops what the SDK or an edit panics with: here
// it is a mistake of set-up like any other.
func (t *Tools) describe(info faas.Info) (tool *mcp.Tool, s shape, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	tool = &mcp.Tool{Name: info.Name, Title: info.Labels["title"], Description: info.Labels["description"]}
	for _, edit := range t.edits[info.Name] {
		edit(tool)
	}
	tool.Name = info.Name
	s, err = shapeOf(info.In, info.Out, tool)
	return tool, s, err
}

func mistake(function string, err error) error {
	return &faas.Error{Op: "add tools", Function: function, Err: fmt.Errorf("%w: %w", faas.ErrInput, err)}
}
