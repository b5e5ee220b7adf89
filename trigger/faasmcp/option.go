package faasmcp

import (
	"context"
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

type settings struct {
	edits  map[string][]func(*mcp.Tool)
	keep   []func(faas.Info) bool
	tenant func(context.Context, *mcp.CallToolRequest) string
	limit  int
}

// defaultLimit is well below where clients give up: the TypeScript SDK closes a
// session over stdio at 10 MiB.
const (
	defaultLimit = 4 << 20
	leastLimit   = 4 << 10 // which a failure fits into
)

// WithTool has edit complete what agents are told about a function: a title, a
// description, annotations, or schemas in place of the inferred ones, which are
// not yet there. It is called at each [Tools.Refresh] that finds the function
// new or changed, with a Tool of its own, and must not call Refresh. Without it, the title and the
// description are the function's labels of those names, see [faas.WithLabels].
func WithTool(function string, edit func(t *mcp.Tool)) Option {
	return option(func(s *settings) { s.edits[function] = append(s.edits[function], edit) })
}

// WithFilter offers only functions for which keep is true. Without it, all of a
// router's functions are tools. keep is called by Refresh, and must not call it.
func WithFilter(keep func(faas.Info) bool) Option {
	return option(func(s *settings) { s.keep = append(s.keep, keep) })
}

// WithResultLimit bounds a result in bytes, as it is sent: in JSON, with the text
// and the structured content, which hold the same answer twice. A tool that answers
// more has failed for its agent, who is told how much it was, though its record says
// OK; the text of an error that is longer is cut. Clients bound what they read, and
// one that is sent more may end its session, and lose all calls that it has waiting.
// n is at least 4096. Default: 4 MiB.
func WithResultLimit(n int) Option { return option(func(s *settings) { s.limit = n }) }

// WithTenant decides on whose behalf a call is made, see [faas.WithTenant]. The
// default is, in this order:
//
//   - the user of the verified bearer token (auth.RequireBearerToken of the SDK),
//     as it is;
//   - "session:" and the id of the HTTP session;
//   - "client:" and the name that the client states, of 64 bytes at most and
//     without what can't be printed: for
//     stdio, and for a stateless HTTP handler, which has no sessions; its clients
//     of a protocol before 2026-07-28 do not state a name with each call, and
//     are the empty tenant.
//
// Only the first is proven. A client that can open sessions, or call itself
// something else, escapes its limits, and a budget of its session begins anew with
// the next: a server that is open to others requires credentials, and has who they
// belong to as tenant:
//
//	faasmcp.WithTenant(func(ctx context.Context, _ *mcp.CallToolRequest) string {
//		return access.Caller(ctx).String() // behind access.Authenticate
//	})
//
// f is called by many goroutines at once. If it panics, the call is refused
// with faas.ReasonDenied.
func WithTenant(f func(ctx context.Context, req *mcp.CallToolRequest) string) Option {
	return option(func(s *settings) { s.tenant = f })
}

// printable leaves out what could mislead whoever reads a record.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// maxName bounds what a client calls itself: it goes into records.
const maxName = 64

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
