package main

import (
	"context"

	"github.com/spf13/cobra"
)

// run executes the command line args, and returns the exit code.
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
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}, // completionCommand replaces it
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
		a.limitCommand(), a.sourceCommand(), a.auditCommand(), a.completionCommand(root))
	return root
}
