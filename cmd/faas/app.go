package main

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// app is one run of the command: its streams, what it knows of the terminal, and its flags.
type app struct {
	in          io.Reader
	out, errOut io.Writer
	env         func(name string) string
	now         func() time.Time
	sleep       func(context.Context, time.Duration) bool
	size        func() (width, height int, ok bool) // of the terminal; ok is false if out is none
	asks        bool                                // there is a person to ask

	output string // text, json, jsonl or csv
	yes    bool
	begun  bool // the command line is right: what fails from here on is no usage
	api    *client
}

// run does what args say and returns the exit code.
func run(ctx context.Context, a *app, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if a.api != nil {
		a.api.close()
	}
	return a.report(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "faas", Short: "See and manage a running host of functions",
		Long:          "See and manage a running host of functions by its admin API.\n\n" + setUp,
		SilenceErrors: true, SilenceUsage: true, Version: version(),
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.begin() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	flags := root.PersistentFlags()
	flags.StringVarP(&a.output, "output", "o", "text", "the `format`: text, json, jsonl or csv")
	flags.BoolVarP(&a.yes, "yes", "y", false, "do it without asking")
	choices(root, "output", formats()...)
	root.AddCommand(a.lsCommand(), a.describeCommand(), a.invokeCommand(), a.logsCommand(), a.topCommand(), a.decisionsCommand(),
		a.costsCommand(), a.tenantsCommand(), a.failuresCommand(), a.replayCommand(), a.jobsCommand(), a.aliasCommand(),
		a.limitCommand(), a.sourceCommand(), a.auditCommand())
	return root
}

// begin checks the flags that all commands have.
func (a *app) begin() error {
	for _, f := range formats() {
		a.begun = a.begun || f == a.output
	}
	if !a.begun {
		return usagef("there is no format %q: -o is %s", a.output, strings.Join(formats(), ", "))
	}
	return nil
}

func formats() []string { return []string{"text", "json", "jsonl", "csv"} }

// group is a command that is nothing without one of its own.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	var names []string
	for _, c := range commands {
		names = append(names, c.Name())
	}
	g := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	g.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("there is no %q in faas %s: it has %s", args[0], g.Name(), strings.Join(names, ", "))
		}
		return usagef("faas %s has %s: say which", g.Name(), strings.Join(names, ", "))
	}
	g.AddCommand(commands...)
	return g
}

// width is how wide a table may be; 0: as wide as it is.
func (a *app) width() int {
	if width, _, ok := a.size(); ok {
		return width
	}
	width, err := strconv.Atoi(a.env("COLUMNS"))
	if err != nil || width < 1 {
		return 0
	}
	return width
}

// colours tells whether the output has colours; see https://no-color.org.
func (a *app) colours() bool {
	_, _, ok := a.size()
	return ok && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"
}

// text tells whether the output is for a person.
func (a *app) text() bool { return a.output == "text" }

// host is the client of the host that the environment or the file names.
func (a *app) host() (*client, error) {
	if a.api != nil {
		return a.api, nil
	}
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	a.api = newClient(c)
	return a.api, nil
}
