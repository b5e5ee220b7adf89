// Command quickstart hosts two functions, a thumbnailer and a word counter, and calls them for every photograph and
// document that ships with Go, or for those of a directory of yours:
//
//	go run ./examples/quickstart [-rounds n] [-workers n] [-out directory] [directory]
//
// At the end it prints what a serverless platform would report: how each call ended, how long it waited and ran,
// and what is billed. It also prints what hosting costs for each call. Ctrl-C ends it early: the calls that have
// begun are finished and counted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/examples/thumbs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from then on a second Ctrl-C ends the program at once

	// Small functions make much garbage and keep almost no memory, so Go's default would collect hundreds of times
	// a second here. In a loop, idle cores do that work. A host that uses all cores would be slowed down by it.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// config has the values of the command line.
type config struct {
	rounds  int    // how often each file is used
	workers int    // how many calls run at once
	out     string // where thumbnails are written; nowhere if empty
	base    string // the directory that names of files are relative to
	dirs    []string
}

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&c.rounds, "rounds", 0, "how often to go through the files (default 80; 1 for a directory of yours)")
	flags.IntVar(&c.workers, "workers", runtime.GOMAXPROCS(0), "how many calls run at once")
	flags.StringVar(&c.out, "out", "", "a `directory` to write the thumbnails to")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if c.rounds < 0 || c.workers < 1 || flags.NArg() > 1 {
		return c, errors.New("usage: quickstart [-rounds n] [-workers n] [-out directory] [directory]")
	}
	if flags.NArg() == 1 {
		c.base, c.dirs = flags.Arg(0), flags.Args()
		c.rounds = max(c.rounds, 1)
		return c, nil
	}
	if c.rounds == 0 {
		c.rounds = 80
	}
	var err error
	c.base, c.dirs, err = goTestdata()
	return c, err
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	set, err := collect(cfg.base, cfg.dirs)
	if err != nil {
		return err
	}
	jobs := cfg.rounds * len(set.files)
	fmt.Fprintf(stdout, "%s and %s (%s skipped), %s: %s, at most %d at once\n\n", plural(set.images, "image"),
		plural(set.texts, "text"), plural(set.skipped, "other file"), plural(cfg.rounds, "round"), plural(jobs, "call"), cfg.workers)

	// The host: two functions that share as many slots as there are workers, and a meter that gets a record of each
	// call.
	meter := newRecorder()
	router := faas.New(faas.WithCapacity(cfg.workers), faas.WithQueue(callersPerWorker*cfg.workers), faas.WithMeter(meter))
	defer router.Close()
	hosted := functions{
		thumbnail: faas.Register(router, "thumbnail", thumbs.Make, faas.WithTimeout(10*time.Second)).Invoke,
		words:     faas.Register(router, "words", countWords, faas.WithTimeout(5*time.Second)).Invoke,
	}

	res := newResults()
	wall, err := runHosted(ctx, router, hosted, set.files, cfg, res, progress(stderr, jobs, "hosted"))
	if err != nil {
		return err
	}
	interrupted := ctx.Err() != nil
	alone := runAlone(ctx, set.files, cfg.rounds, stderr)
	each := measureHosting(ctx)

	meter.print(stdout)
	res.print(stdout)
	printSpeed(stdout, wall, alone, cfg.rounds, interrupted)
	if !interrupted && ctx.Err() == nil {
		printHosting(stdout, each, meter.meanRun())
	}
	if cfg.out != "" {
		return res.write(stdout, cfg.out)
	}
	return nil
}
