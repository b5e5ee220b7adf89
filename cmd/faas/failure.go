package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

func (a *app) failuresCommand() *cobra.Command {
	var tenant, outcome, since string
	var most int
	cmd := &cobra.Command{
		Use: "failures [FUNCTION]", Short: "List the last calls that failed, or show one", Args: between(0, 1),
		Long: `List the last calls that failed, the newest first. To find out why one did, and to make it again:

  faas failures show ID
  faas failures input ID > input.json
  faas replay ID -d @input.json`,
		ValidArgsFunction: a.completion(always(functionNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{"limit": {strconv.Itoa(most)}}
			if len(args) > 0 {
				query.Set("function", args[0])
			}
			if cmd.Flags().Changed("tenant") {
				query.Set("tenant", tenant)
			}
			setIf(query, "outcome", outcome)
			from, err := a.when("since", since)
			if err != nil {
				return err
			}
			setIf(query, "since", from)
			return a.listFailures(cmd.Context(), query)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&tenant, "tenant", "", "of that `tenant` only")
	flags.StringVar(&outcome, "outcome", "", "Failed, Panicked, TimedOut, …")
	flags.StringVar(&since, "since", "", "that began after a `time`, or so long ago: 30m")
	flags.IntVarP(&most, "limit", "n", 20, "how many at most, up to 1000")
	a.flagNames(cmd, "tenant", tenantNames)
	choices(cmd, "outcome", "Failed", "Panicked", "Exited", "TimedOut", "OutputInvalid", "InitFailed")
	cmd.AddCommand(a.failureShowCommand(), a.failureInputCommand())
	return cmd
}

func setIf(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func (a *app) listFailures(ctx context.Context, query url.Values) error {
	c, err := a.host()
	if err != nil {
		return err
	}
	all, err := get[admin.Failures](ctx, c, path("failures"), query)
	if err != nil {
		return err
	}
	return list(a, all, all.Failures, failureColumns(a), "No call that you may see has failed, of those that the host keeps.")
}

func failureColumns(a *app) []column[admin.Failure] {
	return []column[admin.Failure]{
		{title: "TIME", field: "start", text: func(f admin.Failure) string { return moment(f.Start, a.now()) }, raw: func(f admin.Failure) string { return stamp(f.Start) }},
		{title: "ID", field: "id", text: func(f admin.Failure) string { return f.ID }},
		{title: "FUNCTION", field: "function", flex: true, text: func(f admin.Failure) string { return f.Function }},
		{title: "VERSION", field: "version", drop: 2, text: func(f admin.Failure) string { return f.Version }},
		{title: "TENANT", field: "tenant", drop: 3, flex: true, text: func(f admin.Failure) string { return f.Tenant }},
		{title: "OUTCOME", field: "outcome", text: func(f admin.Failure) string { return f.Outcome }, tone: func(admin.Failure) tone { return bad }},
		timed("TOOK", "durationNS", 1, func(f admin.Failure) admin.Int { return f.DurationNS }),
		{title: "ERROR", field: "error", flex: true, text: errorText, raw: func(f admin.Failure) string { return deref(f.Error) }},
	}
}

// errorText returns the text of an error, without what other columns show.
func errorText(f admin.Failure) string {
	if f.Error == nil {
		return "–"
	}
	return strings.TrimPrefix(*f.Error, fmt.Sprintf("faas: invoke %q: ", f.Function))
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (a *app) failureShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show a call that failed: its error, its stack and its input", Args: between(1, 1),
		ValidArgsFunction: a.completion(always(failureNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.host()
			if err != nil {
				return err
			}
			f, err := get[admin.Failure](cmd.Context(), c, path("failures", args[0]), nil)
			if err != nil {
				return hinted(err, "faas failures lists those that the host still keeps.")
			}
			return single(a, f, failureColumns(a), func() error { return a.describeFailure(cmd.Context(), c, &f) })
		},
	}
}

func (a *app) describeFailure(ctx context.Context, c *client, f *admin.Failure) error {
	err := a.describe(
		pair{"call", f.ID}, pair{"function", f.Function + ":" + f.Version}, pair{"tenant", f.Tenant}, pair{"outcome", f.Outcome},
		pair{"began", f.Start.UTC().Format("2006-01-02 15:04:05.000 UTC")}, pair{"took", duration(float64(f.DurationNS))},
		pair{"waited", duration(float64(f.QueuedNS))}, pair{"from", from(f.Origin)}, pair{"job", f.Job}, pair{"replay of", f.ReplayOf},
		pair{"error", deref(f.Error)}, pair{"type", f.ErrorType}, pair{"input", inputState(&f.Input)},
	)
	if err != nil {
		return err
	}
	if f.HasStack {
		if err := a.showStack(ctx, c, f.ID); err != nil {
			return err
		}
	}
	if f.Input.Kept {
		return a.showInput(ctx, c, f.ID)
	}
	return nil
}

// showStack prints the stack, if it is permitted.
func (a *app) showStack(ctx context.Context, c *client, id string) error {
	stack, err := get[admin.Stack](ctx, c, path("failures", id, "stack"), nil)
	if err != nil {
		return unlessAbsent(err)
	}
	if err := a.title("Stack"); err != nil {
		return err
	}
	return a.print(lines(stack.Stack))
}

// redacted is the value in an input that replaces one which the host's Ring has removed.
const redacted = "[redacted]"

// showInput prints the input, if it is permitted.
func (a *app) showInput(ctx context.Context, c *client, id string) error {
	data, err := get[admin.Data](ctx, c, path("failures", id, "input"), nil)
	if err != nil {
		return unlessAbsent(err)
	}
	if err := a.title("Input"); err != nil {
		return err
	}
	if data.Text == nil {
		return a.print(fmt.Sprintf("%d bytes that are no text; faas failures input %s writes them", len(data.Base64), printable(id)))
	}
	again := "To make it again with another input: faas replay " + printable(id) + " --edit"
	if strings.Contains(*data.Text, redacted) {
		again += "\nThe host has not kept what is " + redacted + ", and would send it as it stands: it has to be given anew."
	}
	return a.print(lines(*data.Text), "", again)
}

// unlessAbsent returns nil for the error about something that does not exist or may not be
// seen.
func unlessAbsent(err error) error {
	if isAbsent(err) {
		return nil
	}
	return err
}

func from(o admin.Origin) string {
	return strings.TrimSpace(o.Trigger + " " + o.Door)
}

func inputState(in *admin.InputState) string {
	text := in.State + ", " + size(in.Bytes)
	if in.Truncated {
		text += ", cut"
	}
	return text
}

func (a *app) failureInputCommand() *cobra.Command {
	return &cobra.Command{
		Use: "input ID", Short: "Write the input of a call that failed, as it was", Args: between(1, 1), ValidArgsFunction: a.completion(always(failureNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.host()
			if err != nil {
				return err
			}
			data, err := get[admin.Data](cmd.Context(), c, path("failures", args[0], "input"), nil)
			if err != nil {
				return hinted(err, "The call or its input is not kept, or you may not see inputs: faas failures show "+args[0]+" tells.")
			}
			return single(a, data, dataColumns(), func() error { return a.showOutput(&data) })
		},
	}
}

func dataColumns() []column[admin.Data] {
	return []column[admin.Data]{
		{field: "id", text: func(d admin.Data) string { return d.ID }},
		{field: "contentType", text: func(d admin.Data) string { return d.ContentType }},
		{field: "text", text: func(d admin.Data) string { return textOf(&d) }},
	}
}

// failureNames completes the IDs of failed calls, with their function and outcome.
func failureNames(ctx context.Context, c *client) ([]string, error) {
	all, err := get[admin.Failures](ctx, c, path("failures"), nil)
	var names []string
	for i := range all.Failures {
		f := &all.Failures[i]
		names = append(names, f.ID+"\t"+f.Function+" "+f.Outcome+" "+f.Start.UTC().Format("15:04:05"))
	}
	return names, err
}

func (a *app) replayCommand() *cobra.Command {
	var data, tenant, target string
	var edit, log bool
	cmd := &cobra.Command{
		Use: "replay ID", Short: "Make a call that failed again, with its input or a corrected one", Args: between(1, 1),
		Long: `Make a call that failed again, with its input or a corrected one. It goes through the gates and limits that any call does.

  faas replay ID --edit
  faas failures input ID > input.json; faas replay ID -d @input.json
  faas replay ID --target resize:7`,
		ValidArgsFunction: a.completion(always(failureNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := admin.ReplayRequest{Target: target}
			if cmd.Flags().Changed("tenant") {
				body.Tenant = &tenant
			}
			var err error
			if body.Input, err = a.input(cmd, data); err != nil {
				return err
			}
			return a.replay(cmd.Context(), args[0], body, edit, log)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&data, "data", "d", "", inputHelp)
	flags.BoolVar(&edit, "edit", false, "correct the input in $VISUAL or $EDITOR first")
	flags.StringVar(&target, "target", "", "call this `version` or alias, such as resize:7; otherwise that which failed")
	flags.StringVar(&tenant, "tenant", "", "for which `tenant`; otherwise that of the call")
	flags.BoolVar(&log, "log", false, "also print what the call has logged")
	a.flagNames(cmd, "target", targetNames)
	a.flagNames(cmd, "tenant", tenantNames)
	return cmd
}

func (a *app) replay(ctx context.Context, id string, body admin.ReplayRequest, edit, log bool) error {
	c, err := a.host()
	if err != nil {
		return err
	}
	if edit {
		if body.Input, err = a.edited(ctx, c, id, body.Input); err != nil {
			return err
		}
	}
	out, err := post[admin.Result](ctx, c, path("failures", id, "replay"), body)
	if err != nil {
		return hinted(err, "faas failures lists those that the host still keeps; a job's delivery is made again by faas jobs replay.")
	}
	return a.ended(&out, log)
}

// edited opens an input in the editor: the given one, or else that of the call. It returns the
// edited input.
func (a *app) edited(ctx context.Context, c *client, id string, in admin.Input) (admin.Input, error) {
	if in.Text == nil {
		data, err := get[admin.Data](ctx, c, path("failures", id, "input"), nil)
		if err != nil {
			return in, hinted(err, "The call or its input is not kept, or you may not see inputs: give another one with -d.")
		}
		if data.Text == nil {
			return in, usagef("the input is no text that an editor shows; give another one with -d @file")
		}
		in.Text = data.Text
	}
	shown := indented(*in.Text)
	text, err := a.editor(ctx, shown)
	if text == shown { // an unchanged input is sent byte for byte
		return in, err
	}
	return admin.Input{Text: &text}, err
}

// indented formats JSON for the editor, with each member on a line of its own. Numbers keep all
// their digits. Text that is not JSON is returned unchanged.
func indented(text string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		return text
	}
	return b.String() + "\n"
}

// editor opens a text in the user's editor, in a file that only the user can read, and returns
// the edited text.
func (a *app) editor(ctx context.Context, text string) (string, error) {
	command := strings.Fields(a.env("VISUAL"))
	if len(command) == 0 {
		command = strings.Fields(a.env("EDITOR"))
	}
	if len(command) == 0 {
		return "", &exitError{code: exitUsage, text: "no editor is set", hint: "Set EDITOR, for example: export EDITOR=vi"}
	}
	dir, err := os.MkdirTemp("", "faas-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	name := dir + "/input.json"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, command[0], append(command[1:], name)...) //nolint:gosec // the command is the user's own
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, a.errOut, a.errOut
	if err := cmd.Run(); err != nil {
		return "", failedf("nothing was done: the editor %s has failed: %v", command[0], err)
	}
	data, err := os.ReadFile(name)
	return string(data), err
}
