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

// settings are the values of the options. They are not changed after AddTools, so that calls
// read them without a lock.
type settings struct {
	edits  map[string][]func(*mcp.Tool) // the edits of WithTool, by function
	keep   []func(faas.Info) bool       // all of them must return true
	tenant func(context.Context, *mcp.CallToolRequest) string
	limit  int // the bound of a result, in bytes
}

const (
	// defaultLimit is well below the limits of clients: for example, the TypeScript SDK closes
	// a session over stdio at 10 MiB.
	defaultLimit = 4 << 20
	// leastLimit is enough for every failure.
	leastLimit = 4 << 10
)

// WithTool changes the tool of a function: its title, description, annotations or schemas. A
// schema that edit sets is used instead of the inferred one, which the Tool does not have yet.
// Without WithTool, the title and the description are the function's labels "title" and
// "description", see [faas.WithLabels].
//
// Each [Tools.Refresh] that finds the function new or changed calls edit, with a Tool of its
// own. edit must not call Refresh.
func WithTool(function string, edit func(t *mcp.Tool)) Option {
	return option(func(s *settings) { s.edits[function] = append(s.edits[function], edit) })
}

// WithFilter offers only functions for which keep returns true. Without it, all of a router's
// functions are tools. Refresh calls keep; keep must not call Refresh.
func WithFilter(keep func(faas.Info) bool) Option {
	return option(func(s *settings) { s.keep = append(s.keep, keep) })
}

// WithResultLimit bounds a result, in bytes of the JSON that is sent. That JSON has the answer
// twice: as text and as structured content. If an answer is longer, the agent gets a failure
// with the answer's length, although the function's record says OK. If the text of an error is
// longer, the text is cut. The limit protects the client's session: a client that gets a longer
// message than it accepts may end its session, and lose all calls that it waits for. n must be
// at least 4096. Default: 4 MiB.
func WithResultLimit(n int) Option { return option(func(s *settings) { s.limit = n }) }

// WithTenant chooses the tenant of a call, see [faas.WithTenant]. The default is the first of
// these that the call has:
//
//   - the user of the verified bearer token (auth.RequireBearerToken of the SDK), unchanged;
//   - "session:" and the id of the HTTP session;
//   - "client:" and the name that the client states, cut to 64 bytes and without
//     characters that can't be printed. This is for stdio, and for a stateless HTTP
//     handler, which has no sessions. With a protocol before 2026-07-28, clients of
//     a stateless handler do not state a name with each call; their tenant is "".
//
// Only the first of these is verified. A client can open another session, or state another
// name, and so get new limits and a new budget. A server that untrusted clients can reach
// should require credentials, and use their principal as the tenant:
//
//	faasmcp.WithTenant(func(ctx context.Context, _ *mcp.CallToolRequest) string {
//		return access.Caller(ctx).String() // behind access.Authenticate
//	})
//
// Many goroutines call f at once. If f panics, the call is refused with faas.ReasonDenied.
func WithTenant(f func(ctx context.Context, req *mcp.CallToolRequest) string) Option {
	return option(func(s *settings) { s.tenant = f })
}

// check returns an error if an option is impossible. The error says how to correct it.
func (s *settings) check() error {
	if s.tenant == nil || slices.ContainsFunc(s.keep, func(f func(faas.Info) bool) bool { return f == nil }) {
		return errors.New("WithTenant and WithFilter need a function; leave the option out for the default")
	}
	if s.limit < leastLimit {
		return fmt.Errorf("WithResultLimit(%d): must be at least %d bytes", s.limit, leastLimit)
	}
	return nil
}

// printable removes the characters that could mislead a reader of the records, for example line
// breaks and escape sequences of terminals.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// maxName bounds the name of a client, in bytes, because the name is stored in records.
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
