package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	var most int
	var tenant, level, text string
	cmd := &cobra.Command{
		Use: "logs [FUNCTION]", Short: "Show the last lines of the log, or follow it", Args: between(0, 1),
		Long:              "Show the last lines of the log. With -f it is followed until Ctrl-C, also when the host is started anew.",
		ValidArgsFunction: a.completion(always(functionNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if follow && a.output == "json" {
				return usagef("a log that is followed is no JSON document: use -o jsonl")
			}
			query := url.Values{}
			if len(args) > 0 {
				query.Set("function", args[0])
			}
			if cmd.Flags().Changed("tenant") {
				query.Set("tenant", tenant)
			}
			setIf(query, "level", level)
			setIf(query, "text", text)
			return a.logs(cmd.Context(), query, most, follow)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&follow, "follow", "f", false, "go on with the lines that come")
	flags.IntVarP(&most, "limit", "n", 50, "how many at most, the last ones, up to 1000")
	flags.StringVar(&tenant, "tenant", "", "of that `tenant` only")
	flags.StringVar(&level, "level", "", "of that `level` and higher: info, warn or error")
	flags.StringVar(&text, "grep", "", "with that `text` in them")
	a.flagNames(cmd, "tenant", tenantNames)
	choices(cmd, "level", "info", "warn", "error")
	return cmd
}

func (a *app) logs(ctx context.Context, query url.Values, most int, follow bool) error {
	c, err := a.host()
	if err != nil {
		return err
	}
	host, err := get[admin.Host](ctx, c, path("host"), nil)
	if err != nil {
		return err
	}
	all, err := a.lastLines(ctx, c, query, most)
	if err != nil {
		return err
	}
	if !follow {
		return a.showLog(all)
	}
	if err := a.showLines(all.Lines, true); err != nil {
		return err
	}
	return a.followLog(ctx, c, query, host.Epoch, all.Last)
}

func (a *app) lastLines(ctx context.Context, c *client, query url.Values, most int) (admin.Log, error) {
	last := maps.Clone(query)
	last.Set("limit", strconv.Itoa(most))
	return get[admin.Log](ctx, c, path("log"), last)
}

func (a *app) showLog(all admin.Log) error {
	if a.output == "json" {
		return a.json(all)
	}
	if a.text() && len(all.Lines) == 0 {
		fmt.Fprintln(a.errOut, "There are no such lines that you may see.")
	}
	return a.showLines(all.Lines, true)
}

// followLog prints lines as they are written.
func (a *app) followLog(ctx context.Context, c *client, query url.Values, epoch string, after admin.Count) error {
	f := &follower{app: a, epoch: epoch}
	f.stream = &stream{
		c: c, path: path("log", "events"), query: query, last: fmt.Sprint(after), sleep: a.sleep,
		opened: f.opened, lost: f.lost, event: f.event,
	}
	return f.stream.follow(ctx)
}

// follower follows the log of a host, also when the host is restarted.
type follower struct {
	*app

	stream *stream
	epoch  string // of the host's present run
	away   bool   // the host does not answer, and this was printed
}

var errAnew = errors.New("the host was started anew")

// opened checks whether the host was restarted. If so, its lines have new numbers, from 1 on,
// and the follower requests them from the first. It checks on an open connection: an answer
// from before the connection might be that of a host that was about to end.
func (f *follower) opened(ctx context.Context) error {
	host, err := get[admin.Host](ctx, f.stream.c, path("host"), nil)
	switch {
	case err != nil:
		return err
	case host.Epoch != f.epoch:
		f.epoch, f.away, f.stream.last = host.Epoch, true, "0"
		return errAnew
	case f.away:
		fmt.Fprintln(f.errOut, "faas: the host is back")
	}
	f.away = false
	return nil
}

func (f *follower) lost(err error) {
	if !f.away {
		fmt.Fprintln(f.errOut, "faas: "+printable(err.Error())+"; waiting for it")
	}
	f.away = true
}

func (f *follower) event(e event) error {
	var l admin.Line
	if err := json.Unmarshal([]byte(e.data), &l); err != nil {
		return failedf("a line of the host can't be read: %v", err)
	}
	return f.showLines([]admin.Line{l}, false)
}

// showLines prints lines. header says whether CSV begins with the names of its columns.
func (a *app) showLines(all []admin.Line, header bool) error {
	switch a.output {
	case "jsonl":
		for i := range all {
			if err := a.jsonLine(all[i]); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		return writeCSV(a, lineColumns(), all, header)
	}
	for i := range all {
		if err := a.print(a.line(&all[i])); err != nil {
			return err
		}
	}
	return nil
}

func lineColumns() []column[admin.Line] {
	return []column[admin.Line]{
		{field: "seq", text: func(l admin.Line) string { return fmt.Sprint(l.Seq) }},
		{field: "time", text: func(l admin.Line) string { return stamp(l.Time) }},
		{field: "level", text: func(l admin.Line) string { return l.Level }},
		{field: "function", text: func(l admin.Line) string { return l.Function }},
		{field: "tenant", text: func(l admin.Line) string { return l.Tenant }},
		{field: "message", text: func(l admin.Line) string { return l.Message }},
		{field: "json", text: func(l admin.Line) string { return l.JSON }},
	}
}

// line formats a line of the log for a person.
func (a *app) line(l *admin.Line) string {
	level := fmt.Sprintf("%-5s", printable(l.Level))
	place := l.Function
	if l.Tenant != "" {
		place += "/" + l.Tenant
	}
	if place != "" {
		place = printable(place) + ": "
	}
	attrs := attributes(l.JSON, spans(l.Message))
	if a.colors() {
		level, attrs = paint(level, levelTone(l.Level)), paint(attrs, dim)
	}
	text := l.Time.UTC().Format("15:04:05.000") + " " + level + " " + place + printable(l.Message)
	return strings.TrimRight(text+"  "+attrs, " ")
}

func levelTone(level string) tone {
	switch {
	case strings.HasPrefix(level, "ERROR"):
		return bad
	case strings.HasPrefix(level, "WARN"):
		return warn
	}
	return dim
}

// spans returns which attributes are durations, in the lines that package observe writes for
// calls. In the JSON they are numbers of nanoseconds, which can't be told from other numbers.
func spans(message string) []string {
	switch message {
	case "call":
		return []string{"wait", "run", "cold", "billed"}
	case "runaway ended":
		return []string{"over"}
	}
	return nil
}

// attributes returns the attributes of a line as name=value, without those that the line shows
// in other places.
func attributes(text string, spans []string) string {
	in := json.NewDecoder(strings.NewReader(text))
	if open, err := in.Token(); err != nil || open != json.Delim('{') {
		return ""
	}
	var out []string
	for in.More() {
		name, err := in.Token()
		var value json.RawMessage
		if err != nil || in.Decode(&value) != nil {
			break
		}
		switch name := fmt.Sprint(name); name {
		case "time", "level", "msg", "function", "tenant", "stack":
		default:
			out = append(out, printable(name)+"="+attribute(value, slices.Contains(spans, name)))
		}
	}
	return strings.Join(out, " ")
}

// attribute formats a value: a text of one word without quotes, and nanoseconds as slog's
// TextHandler formats a duration.
func attribute(value json.RawMessage, isSpan bool) string {
	var ns time.Duration
	if isSpan && json.Unmarshal(value, &ns) == nil {
		return ns.String()
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		return printable(string(value))
	}
	if text == "" || strings.ContainsAny(text, " =\"") {
		return printable(strconv.Quote(text))
	}
	return printable(text)
}
