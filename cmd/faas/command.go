package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

// completes requests from the host the names that can be completed at one place of the command
// line. After an error the shell gets no names, since it can't show an error there.
type completes func(ctx context.Context, c *client) ([]string, error)

// completeTime is the longest wait for names after the Tab key was pressed.
const completeTime = 2 * time.Second

// completion completes each argument by its own function. Arguments after the last function are
// not completed.
func (a *app) completion(args ...func(before []string) completes) cobra.CompletionFunc {
	return func(cmd *cobra.Command, before []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(before) >= len(args) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.names(cmd, args[len(before)](before), begun)
	}
}

// names requests the names from the host that begin with begun.
func (a *app) names(cmd *cobra.Command, ask completes, begun string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTime)
	defer cancel()
	c, err := a.host()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := ask(ctx, c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all = slices.DeleteFunc(all, func(name string) bool { return !strings.HasPrefix(name, begun) })
	for i, name := range all {
		text, about, ok := strings.Cut(name, "\t")
		all[i] = printable(text)
		if ok {
			all[i] += "\t" + printable(about)
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// flagNames completes a flag by names from the host.
func (a *app) flagNames(cmd *cobra.Command, flag string, ask completes) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return a.names(cmd, ask, begun)
	})
}

// choices completes a flag by fixed names, without the host.
func choices(cmd *cobra.Command, flag string, names ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
}

// always is for an argument whose names don't depend on the arguments before it.
func always(ask completes) func([]string) completes {
	return func([]string) completes { return ask }
}

// between returns a check of the number of arguments; most < 0 means no limit. Its error says
// how the command is used.
func between(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		return &exitError{code: exitUsage, text: cmd.CommandPath() + " takes " + arguments(least, most), hint: "Usage: " + cmd.UseLine()}
	}
}

// arguments returns in words how many arguments a command takes.
func arguments(least, most int) string {
	switch {
	case most == 0:
		return "no arguments"
	case most < 0:
		return "at least " + plural(admin.Count(least), "argument", "arguments")
	case least < most:
		return strconv.Itoa(least) + " to " + plural(admin.Count(most), "argument", "arguments")
	}
	return plural(admin.Count(most), "argument", "arguments")
}

// when parses the value of a flag that is a time, or a duration before now.
func (a *app) when(flag, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return a.now().Add(-d).UTC().Format(time.RFC3339), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Format(time.RFC3339), nil
		}
	}
	return "", usagef("--%s is a time such as 2026-01-31T12:00:00Z, or how long ago: 30m", flag)
}

// functionNames returns the names of the functions, each with its state.
func functionNames(ctx context.Context, c *client) ([]string, error) {
	all, err := get[admin.Functions](ctx, c, path("functions"), nil)
	var names []string
	for i := range all.Functions {
		names = append(names, all.Functions[i].Name+"\t"+all.Functions[i].State)
	}
	return names, err
}

// targetNames returns the functions, and each of their versions and aliases, in the form in
// which they are called.
func targetNames(ctx context.Context, c *client) ([]string, error) {
	all, err := get[admin.Functions](ctx, c, path("functions"), nil)
	var names []string
	for _, f := range all.Functions {
		names = append(names, f.Name+"\t"+f.State)
		for _, v := range f.Versions {
			names = append(names, f.Name+":"+v.Version+"\tversion")
		}
		for _, al := range f.Aliases {
			if al.Name != "" {
				names = append(names, f.Name+":"+al.Name+"\talias, "+weights(al.Weights))
			}
		}
	}
	return names, err
}

// meant adds a hint to the error about a function that does not exist: a similar name, if there
// is one.
func meant(ctx context.Context, c *client, err error, name string) error {
	var f *exitError
	if !errors.As(err, &f) || !isAbsent(f) {
		return err
	}
	base, _, _ := strings.Cut(name, ":")
	f.hint = "faas ls shows the functions that you may see."
	all, listErr := get[admin.Functions](ctx, c, path("functions"), nil)
	if listErr != nil {
		return err
	}
	for i := range all.Functions {
		if near := all.Functions[i].Name; near != base && isNear(near, base) {
			f.hint = "Did you mean " + near + "? faas ls shows the functions that you may see."
			break
		}
	}
	return err
}

// isNear reports whether one name is the beginning of the other, or both differ by at most two
// typing errors (fewer if b is short).
func isNear(a, b string) bool {
	if b != "" && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a)) {
		return true
	}
	return distance([]rune(a), []rune(b)) <= min(2, len(b)/2)
}

// distance returns the Levenshtein distance: how many characters must be inserted, deleted or
// replaced.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		before := row[0]
		row[0] = i + 1
		for j := range b {
			d := before
			if a[i] != b[j] {
				d = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}

// group returns a command that only has subcommands.
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
