// Command faas shows and manages a running host of functions through its admin API:
//
//	export FAAS_URL=http://127.0.0.1:8080
//	faas ls
//
// Its manual is docs/command.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/term"
)

func main() {
	lipgloss.EnableLegacyWindowsANSI(os.Stdout) // does nothing on other systems
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, system(), os.Args[1:])
	stop()
	os.Exit(code)
}

// system returns the app with the streams and the environment of this process.
func system() *app {
	return &app{
		in: os.Stdin, out: os.Stdout, errOut: os.Stderr,
		env: os.Getenv, now: time.Now, sleep: sleep,
		asks: term.IsTerminal(os.Stdin.Fd()) && term.IsTerminal(os.Stderr.Fd()),
		size: func() (width, height int, ok bool) {
			if !term.IsTerminal(os.Stdout.Fd()) {
				return 0, 0, false
			}
			width, height, err := term.GetSize(os.Stdout.Fd())
			return width, height, err == nil && width > 0
		},
	}
}

// sleep waits for d. It returns false if ctx has ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
