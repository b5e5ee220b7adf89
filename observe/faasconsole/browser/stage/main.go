// Command stage runs a host for tests in a browser. Its tenants, labels, errors and inputs are
// as hostile as text can be, and each of its viewers may see another part. It prints one line
// with its address and the viewers' tokens, and runs until it gets a signal to end:
//
//	the stage is open: http://127.0.0.1:41234/console/ root=… acme=… letters=… none=… demoted=…
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/observe/faasconsole"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "stage:", err)
		os.Exit(1) //nolint:gocritic // os.Exit skips the deferred calls, which is fine at the end of the process
	}
}

// run serves the host and makes calls until ctx ends.
func run(ctx context.Context, out io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h := newHost()
	defer h.Close()
	tokens, line, err := viewers()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	console := http.StripPrefix("/console", faasconsole.Handler(h.admin(), faasconsole.WithLogin(tokens)))
	server := &http.Server{Handler: console, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	fmt.Fprintf(out, "the stage is open: http://%s/console/%s\n", listener.Addr(), line)
	h.play(ctx)
	err = server.Close()
	if served := <-stopped; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// rules has the rights of the viewers. The viewer none has a token and no rights.
var rules = access.Rules{
	{Functions: []string{"*"}, Roles: []string{"root"}, AnyTenant: true, Rights: access.Rights()},
	{Functions: []string{"*"}, Roles: []string{"acme"}, Rights: []access.Right{access.See, access.SeeInputs}},
	{Functions: []string{"letters"}, Roles: []string{"letters"}, AnyTenant: true, Rights: []access.Right{access.See}},
}

// viewers issues a token for each viewer. It also returns the tokens as a line of text.
func viewers() (*access.Tokens, string, error) {
	tokens, err := access.NewTokens()
	var line strings.Builder
	for _, name := range []string{"root", "acme", "letters", "none", "demoted"} {
		p := access.Principal{Kind: access.User, ID: name, Roles: []string{name}}
		switch name {
		case "acme":
			p.Tenant = "acme"
		case "demoted": // the principal of root, with another role
			p.ID, p.Roles = "root", []string{"letters"}
		}
		secret, _, issued := tokens.Issue(p, time.Hour)
		err = errors.Join(err, issued)
		fmt.Fprintf(&line, " %s=%s", name, secret.Reveal())
	}
	return tokens, line.String(), err
}

func (h *host) admin() http.Handler {
	return admin.Handler(h.Router, admin.WithName(markup), admin.WithAuthorize(rules.Permit), admin.WithWrites(),
		admin.WithRecorder(h.recorder), admin.WithLedger(h.ledger, h.book), admin.WithRing(h.ring), admin.WithTail(h.tail))
}
