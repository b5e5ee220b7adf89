package faasmcp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/inproc/faas"
)

// Option is an option of [AddTools]. Nil options are ignored.
type Option interface{ apply(*settings) }

type option func(*settings)

func (o option) apply(s *settings) { o(s) }

// settings is what the options say. It is not changed after AddTools, so that
// calls read it without a lock.
type settings struct {
	edits  map[string][]func(*mcp.Tool) // by function
	keep   []func(faas.Info) bool       // all of them must be true
	tenant func(context.Context, *mcp.CallToolRequest) string
	limit  int // bytes of a result
}

const (
	// defaultLimit is well below what clients read: the TypeScript SDK closes a
	// session over stdio at 10 MiB.
	defaultLimit = 4 << 20
	// leastLimit has room for every failure.
	leastLimit = 4 << 10
)

// WithTool lets edit complete what agents are told about a function: a title, a
// description, annotations, or schemas. The inferred schemas are not set yet; what
// edit sets takes their place. Without WithTool, the title and the description are
// the function's labels of those names, see [faas.WithLabels].
//
// edit is called by each [Tools.Refresh] that finds the function new or changed,
// with a Tool of its own, and must not call Refresh.
func WithTool(function string, edit func(t *mcp.Tool)) Option {
	return option(func(s *settings) { s.edits[function] = append(s.edits[function], edit) })
}

// WithFilter offers only functions for which keep returns true. Without it, all of
// a router's functions are tools. keep is called by Refresh, and must not call it.
func WithFilter(keep func(faas.Info) bool) Option {
	return option(func(s *settings) { s.keep = append(s.keep, keep) })
}

// WithResultLimit bounds a result, in bytes of the JSON that is sent. That JSON has
// the answer twice: as text and as structured content. If an answer is longer, the
// agent gets a failure that says how long it was, though the function's record says
// OK. If the text of an error is longer, it is cut. The limit protects the client's
// session: a client that is sent more than it reads may end its session, and lose
// all calls that it waits for. n must be at least 4096. Default: 4 MiB.
func WithResultLimit(n int) Option { return option(func(s *settings) { s.limit = n }) }

// WithTenant chooses the tenant of a call, see [faas.WithTenant]. The default is, in
// this order:
//
//   - the user of the verified bearer token (auth.RequireBearerToken of the SDK),
//     as it is;
//   - "session:" and the id of the HTTP session;
//   - "client:" and the name that the client states, cut to 64 bytes and without
//     characters that can't be printed. This is for stdio, and for a stateless HTTP
//     handler, which has no sessions. With a protocol before 2026-07-28, clients of
//     a stateless handler do not state a name with each call; their tenant is "".
//
// Only the first is proven. A client can open another session, or state another
// name: it then escapes its limits and has a budget that begins anew. A server that
// is open to others should require credentials, and take the principal that they
// prove for the tenant:
//
//	faasmcp.WithTenant(func(ctx context.Context, _ *mcp.CallToolRequest) string {
//		return access.Caller(ctx).String() // behind access.Authenticate
//	})
//
// f is called by many goroutines at once. If it panics, the call is refused with
// faas.ReasonDenied.
func WithTenant(f func(ctx context.Context, req *mcp.CallToolRequest) string) Option {
	return option(func(s *settings) { s.tenant = f })
}

// check returns what is impossible about the options, with the cure.
func (s *settings) check() error {
	if s.tenant == nil || slices.ContainsFunc(s.keep, func(f func(faas.Info) bool) bool { return f == nil }) {
		return errors.New("WithTenant and WithFilter need a function; leave the option out for the default")
	}
	if s.limit < leastLimit {
		return fmt.Errorf("WithResultLimit(%d): must be at least %d bytes", s.limit, leastLimit)
	}
	return nil
}

// printable leaves out characters that could mislead a reader of the records, for
// example line breaks and escape sequences of terminals.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// maxName bounds the name of a client, in bytes: it goes into records.
const maxName = 64

// tenantOf is the default of WithTenant.
func tenantOf(_ context.Context, req *mcp.CallToolRequest) string {
	if req.Extra != nil && req.Extra.TokenInfo != nil && req.Extra.TokenInfo.UserID != "" {
		return req.Extra.TokenInfo.UserID
	}
	if req.Session != nil && req.Session.ID() != "" {
		return "session:" + req.Session.ID()
	}
	if c := req.ClientInfo(); c != nil && c.Name != "" {
		return "client:" + printable(c.Name[:min(len(c.Name), maxName)])
	}
	return ""
}
