package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

const inputHelp = "the `input`: text, @file, or - for the standard input"

func (a *app) invokeCommand() *cobra.Command {
	var data, tenant, key string
	var priority int32
	var log bool
	cmd := &cobra.Command{
		Use: "invoke FUNCTION[:VERSION|:ALIAS]", Short: "Call a function and print its output", Args: between(1, 1),
		Long: `Call a function and print its output; how the call has ended goes to the standard error. The exit code is 1 if it has not succeeded.

  faas invoke price -d '{"sku": "sku-1", "quantity": 2}'
  faas invoke resize:8 -d @picture.json`,
		ValidArgsFunction: a.completion(always(targetNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := admin.InvokeRequest{Priority: admin.Int(priority), Key: key}
			if cmd.Flags().Changed("tenant") {
				body.Tenant = &tenant
			}
			var err error
			if body.Input, err = a.input(cmd, data); err != nil {
				return err
			}
			c, err := a.host()
			if err != nil {
				return err
			}
			out, err := post[admin.Result](cmd.Context(), c, path("functions", args[0], "invoke"), body)
			if err != nil {
				return meant(cmd.Context(), c, err, args[0])
			}
			return a.ended(&out, log)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&data, "data", "d", "", inputHelp)
	flags.StringVar(&tenant, "tenant", "", "for which `tenant`; otherwise your own")
	flags.StringVar(&key, "key", "", "the `key` by which a sticky alias chooses a version")
	flags.Int32Var(&priority, "priority", 0, "the `priority`: calls with a higher one go first")
	flags.BoolVar(&log, "log", false, "also print what the call has logged")
	a.flagNames(cmd, "tenant", tenantNames)
	return cmd
}

// input returns the input that the flag -d gives, or an empty one without the flag. JSON is
// sent as a text, so that no encoder on the way changes its numbers.
func (a *app) input(cmd *cobra.Command, data string) (admin.Input, error) {
	if !cmd.Flags().Changed("data") {
		return admin.Input{}, nil
	}
	payload, err := a.payload(data)
	if err != nil || !utf8.Valid(payload) {
		return admin.Input{Base64: payload}, err
	}
	text := string(payload)
	return admin.Input{Text: &text}, nil
}

func (a *app) payload(data string) ([]byte, error) {
	if data == "-" {
		return io.ReadAll(a.in)
	}
	name, ok := strings.CutPrefix(data, "@")
	if !ok {
		return []byte(data), nil
	}
	payload, err := os.ReadFile(name)
	if err != nil {
		return nil, usagef("the input can't be read: %v", err)
	}
	return payload, nil
}

// ended prints how a call has ended. If the call has failed, it returns an error.
func (a *app) ended(out *admin.Result, log bool) error {
	if err := single(a, *out, resultColumns(), func() error { return a.showOutput(out.Output) }); err != nil {
		return err
	}
	if a.text() {
		a.showEnd(out, log)
	}
	if out.Outcome == "OK" {
		return nil
	}
	return &exitError{code: exitFailed, text: failure(out)}
}

// showOutput writes an output byte for byte, so that other programs can read it. On a terminal,
// it escapes control characters, and adds a newline to a text.
func (a *app) showOutput(d *admin.Data) error {
	if d == nil {
		return nil
	}
	_, _, terminal := a.size()
	switch {
	case d.Text == nil && terminal:
		return a.print(fmt.Sprintf("%d bytes that are no text; > FILE writes them", len(d.Base64)))
	case d.Text == nil:
		_, err := a.out.Write(d.Base64)
		return err
	}
	text := *d.Text
	if terminal {
		text = lines(text)
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	_, err := io.WriteString(a.out, text)
	return err
}

// showEnd prints for a person how a call has ended, and what it has logged.
func (a *app) showEnd(out *admin.Result, log bool) {
	if log && out.Log != "" {
		fmt.Fprintln(a.errOut, lines(out.Log))
	}
	version := out.Function
	if out.Version != "" {
		version += ":" + out.Version
	}
	fmt.Fprintln(a.errOut, printable(fmt.Sprintf("%s of %s in %s, request %s", end(out), version, duration(float64(out.TookNS)), out.RequestID)))
	if out.Stack != "" {
		fmt.Fprintln(a.errOut, lines(out.Stack))
	}
}

// end returns how a call has ended, in a word or two.
func end(out *admin.Result) string {
	if out.Outcome != "" {
		return out.Outcome
	}
	return "Refused (" + out.Kind + ")"
}

// failure returns the reason why a call has not succeeded.
func failure(out *admin.Result) string {
	text := out.Error
	if text == "" {
		text = "the call of " + out.Function + " has ended: " + end(out) + "; its error is not yours to see"
	}
	if out.RetryAfterNS > 0 {
		text += "; come again in " + duration(float64(out.RetryAfterNS))
	}
	return text
}

func resultColumns() []column[admin.Result] {
	return []column[admin.Result]{
		{field: "request", text: func(r admin.Result) string { return r.RequestID }},
		{field: "function", text: func(r admin.Result) string { return r.Function }},
		{field: "version", text: func(r admin.Result) string { return r.Version }},
		{field: "tenant", text: func(r admin.Result) string { return r.Tenant }},
		{field: "outcome", text: func(r admin.Result) string { return r.Outcome }},
		{field: "kind", text: func(r admin.Result) string { return r.Kind }},
		{field: "tookNS", text: func(r admin.Result) string { return fmt.Sprint(r.TookNS) }},
		{field: "error", text: func(r admin.Result) string { return r.Error }},
		{field: "output", text: func(r admin.Result) string { return textOf(r.Output) }},
	}
}

// textOf returns an output that is a text, or "".
func textOf(d *admin.Data) string {
	if d == nil || d.Text == nil {
		return ""
	}
	return *d.Text
}
