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

// Tools are the functions of a router as tools of a server. Its methods may be
// called concurrently.
type Tools struct {
	settings

	server *mcp.Server
	router *faas.Router

	// mu guards known, and is held for a whole Refresh, including edits and filters. If two
	// calls of Refresh ran at once, the one that looked at the router first could update the
	// server last, and undo the other's changes.
	mu    sync.Mutex
	known map[string]signature // the functions of the last Refresh, by name
}

// signature is the part of a function from which its tool is made. If it changes, the tool is
// made anew.
type signature struct {
	in, out reflect.Type
	labels  map[string]string
	bad     bool // the function can't be a tool, and the server does not have it
}

func (s signature) equal(t signature) bool {
	return s.in == t.in && s.out == t.out && maps.Equal(s.labels, t.labels)
}

// AddTools makes the functions of r tools of server. After functions were registered or
// removed, call [Tools.Refresh]. Other tools of the server stay, unless a function has the same
// name.
//
// It panics with a [*faas.Error] in the cases in which [TryAddTools] returns an error. The
// error's text says what to correct.
func AddTools(server *mcp.Server, r *faas.Router, opts ...Option) *Tools {
	t, err := TryAddTools(server, r, opts...)
	if err != nil {
		panic(err)
	}
	return t
}

// TryAddTools is like [AddTools] but returns an error instead of panicking, for functions and
// options that come from outside. Its error Is [faas.ErrInput]. If the error concerns only some
// of the functions, the others are offered and the returned Tools are not nil.
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
	if err := s.check(); err != nil {
		return nil, mistake("", err)
	}
	t := &Tools{settings: s, server: server, router: r, known: map[string]signature{}}
	return t, t.Refresh()
}

// Refresh compares the router's functions with the server's tools. It adds new functions,
// replaces changed ones, and removes those that no longer exist. If that changes the list of
// tools, the server notifies its clients. Call Refresh after registering or removing functions
// while the server runs. A call of a removed function fails as unknown even before the next
// Refresh.
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
		if err := t.update(info); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	t.removeExcept(seen)
	return errors.Join(mistakes...)
}

// removeExcept removes the tools of all functions that were not seen, in one change
// of the server's list. t.mu must be held.
func (t *Tools) removeExcept(seen map[string]bool) {
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
}

// wanted reports whether the function is offered: a call without a version must find one, and
// all filters must keep the function. A function that has only numbered versions is not
// offered.
func (t *Tools) wanted(info faas.Info) bool {
	if _, err := t.router.Signature(info.Name); err != nil {
		return false
	}
	return !slices.ContainsFunc(t.keep, func(keep func(faas.Info) bool) bool { return !keep(info) })
}

// update adds or replaces the tool of a function that is new or has changed. If the function
// can't be a tool any more, update removes the tool, because its schemas are those of the old
// function. t.mu must be held.
func (t *Tools) update(info faas.Info) error {
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
	t.server.AddTool(tool, (&call{shape: shape, router: t.router, settings: &t.settings, name: info.Name}).handle)
	t.known[info.Name] = now
	return nil
}

// describe makes the tool of a function. An edit is foreign code, and the schema library may
// panic. describe returns both panics as errors of set-up.
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

// mistake returns an error of set-up about a function. If function is empty, the error is about
// the options.
func mistake(function string, err error) error {
	return &faas.Error{Op: "add tools", Function: function, Err: fmt.Errorf("%w: %w", faas.ErrInput, err)}
}
