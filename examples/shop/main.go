// Shop hosts the eight functions of a shop under lively traffic: bursts, a release with a fault in it, a driver that hangs,
// a mail server that refuses mails, and a tenant whose budget is spent. It serves the admin API and a page that shows them:
//
//	go run ./examples/shop [-addr 127.0.0.1:8080] [-seed 1] [-speed 1] [-release 20s]
//
// Open the address that it prints. It can be reached only from this machine, needs no token, and runs until Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/observe/faasconsole"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1) //nolint:gocritic // the deferred stop need not run, because the process ends
	}
}

// config has the values of the flags.
type config struct {
	addr    string
	seed    uint64
	speed   float64
	release time.Duration
}

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	var c config
	flags := flag.NewFlagSet("shop", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&c.addr, "addr", "127.0.0.1:8080", "the `address` of the page, on this machine")
	flags.Uint64Var(&c.seed, "seed", 1, "of the traffic: the same `number` makes the same calls")
	flags.Float64Var(&c.speed, "speed", 1, "how many `times` as fast the customers are")
	flags.DurationVar(&c.release, "release", 20*time.Second, "when the release comes that has a fault; 0: never")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	s, err := newShop(errOut)
	if err != nil {
		return err
	}
	defer s.end(ctx)
	return s.open(ctx, c, out)
}

// open serves the page and makes the shop's traffic until ctx ends.
func (s *shop) open(ctx context.Context, c config, out io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the shop is open: http://%s/\n", listener.Addr())
	server := &http.Server{Handler: faasconsole.Handler(s.admin()), ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	if c.release > 0 {
		go s.release(ctx, c.release)
	}
	s.play(ctx, c.seed, c.speed)
	err = server.Close()
	return errors.Join(err, ignore(<-stopped, http.ErrServerClosed))
}

// end shuts the shop down. Jobs that are left are lost with the process.
func (s *shop) end(ctx context.Context) {
	close(s.closed)
	_ = s.Shutdown(context.WithoutCancel(ctx))
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// admin returns the admin API of the shop. It accepts changes from all programs on this machine. A host that others can
// reach needs rules and tokens instead: admin.WithAuthorize and access.Bearer.
func (s *shop) admin() http.Handler {
	return admin.Handler(s.Router, admin.WithName("shop"), admin.WithInsecureLoopback(), admin.WithWrites(),
		admin.WithRecorder(s.recorder), admin.WithLedger(s.ledger, s.book), admin.WithBudgets(s.budgets), admin.WithRing(s.ring), admin.WithTail(s.tail),
		admin.WithDrivers(s.timer.Driver))
}
