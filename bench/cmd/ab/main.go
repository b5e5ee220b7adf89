// Command ab measures a change: it builds the library as it is in the working tree and as
// it was at another revision into one program, each under a module path of its own, and lets
// them call in turn.
//
//	go run ./cmd/ab -base HEAD~1      # every peer of faas, with 1, 2, 16 and 128 callers on 2 processors
//	go run ./cmd/ab -base v1.2.0 -peers faas,faas/bytes -rounds 15
//
// Two programs that run one after the other differ by more than most changes gain, for
// example because the linker placed a loop differently or the machine was busy. Here both
// sides run in one program and take turns, and a ratio is the median of the ratios of single
// rounds. Both sides use the working tree's package peers, compiled for each side, so the
// revision must have the API that package peers uses.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("ab", flag.ExitOnError)
	base := flags.String("base", "", "the revision to compare with")
	rounds := flags.Int("rounds", 9, "how often each cell is measured on each side")
	each := flags.Duration("time", 120*time.Millisecond, "how long, each time")
	names := flags.String("peers", "faas,faas/cancellable-parent,faas/inline,faas/bytes", "of package peers, with commas between")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *base == "" || *rounds < 1 || *each <= 0 {
		return errors.New("-base names a revision; -rounds and -time must be positive")
	}
	dir, err := os.MkdirTemp("", "faas-ab-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, err := build(ctx, dir, *base)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, strconv.Itoa(*rounds), each.String(), *names)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// build makes the program that has both sides, in dir, and returns its path.
func build(ctx context.Context, dir, base string) (program string, err error) {
	top, err := output(ctx, ".", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return "", err
	}
	s := sides{root: strings.TrimSpace(top), dir: dir}
	if err := s.checkOut(ctx, base); err != nil {
		return "", err
	}
	if err := s.write(); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "ab")
	_, err = output(ctx, s.main(), "go", "build", "-mod=mod", "-o", program, ".")
	return program, err
}

// output runs a command in dir and returns its standard output. Its error contains the
// command's standard error.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, exit.Stderr)
	}
	return string(out), err
}
