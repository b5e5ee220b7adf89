package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

func (a *app) aliasCommand() *cobra.Command {
	return group("alias", "List, move and remove aliases", a.aliasLsCommand(), a.aliasSetCommand(), a.aliasRmCommand())
}

// aliasName returns an alias as it is written on the command line and in the API's paths.
func aliasName(name string) string {
	if name == "" {
		return admin.DefaultAlias
	}
	return name
}

// versionName returns the name of a version, from its key in weights.
func versionName(key string) string {
	if key == "0" {
		return "$LATEST"
	}
	return key
}

// weights describes the versions of an alias: "8", or "7: 90, 8: 10" with their weights.
func weights(w map[string]admin.Count) string {
	var out []string
	for _, v := range slices.SortedFunc(maps.Keys(w), byNumber) {
		switch {
		case w[v] == 0:
		case len(w) == 1:
			return versionName(v)
		default:
			out = append(out, versionName(v)+": "+count(w[v]))
		}
	}
	return strings.Join(out, ", ")
}

// byNumber compares versions as numbers, so that 9 comes before 10. Names that are not numbers
// come last.
func byNumber(x, y string) int {
	n, errX := strconv.ParseUint(x, 10, 64)
	m, errY := strconv.ParseUint(y, 10, 64)
	switch {
	case errX == nil && errY == nil:
		return cmp.Compare(n, m)
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return strings.Compare(x, y)
}

func aliasColumns(a *app) []column[admin.Alias] {
	return []column[admin.Alias]{
		{title: "ALIAS", field: "alias", text: func(al admin.Alias) string { return aliasName(al.Name) }},
		{title: "VERSIONS", field: "weights", text: func(al admin.Alias) string { return weights(al.Weights) }},
		{title: "STICKY", field: "sticky", drop: 3, text: func(al admin.Alias) string { return yesNo(al.Sticky) }, raw: func(al admin.Alias) string { return strconv.FormatBool(al.Sticky) }},
		counted("REV", "revision", 2, func(al admin.Alias) admin.Count { return al.Revision }),
		{title: "CHANGED", field: "changed", text: func(al admin.Alias) string { return moment(al.Changed, a.now()) }, raw: func(al admin.Alias) string { return stamp(al.Changed) }},
		{title: "BY", field: "by", flex: true, text: func(al admin.Alias) string { return or(al.By) }, raw: func(al admin.Alias) string { return al.By }},
		{title: "DESCRIPTION", field: "description", flex: true, drop: 1, text: func(al admin.Alias) string { return al.Description }},
	}
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func (a *app) aliasLsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ls FUNCTION", Short: "List the aliases of a function", Args: between(1, 1), ValidArgsFunction: a.completion(always(functionNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.host()
			if err != nil {
				return err
			}
			all, err := get[admin.Aliases](cmd.Context(), c, path("functions", args[0], "aliases"), nil)
			if err != nil {
				return meant(cmd.Context(), c, err, args[0])
			}
			return list(a, all, all.Aliases, aliasColumns(a), args[0]+" has no aliases.")
		},
	}
}

// move is the change that faas alias set requests.
type move struct {
	function, alias string
	change          admin.AliasChange
	revision        int64 // -1: the revision that was read before the change
	sticky, about   bool  // the flag was given
}

func (a *app) aliasSetCommand() *cobra.Command {
	m := move{revision: -1}
	cmd := &cobra.Command{
		Use: "set FUNCTION ALIAS VERSION | VERSION=WEIGHT...", Short: "Set an alias, or move it to other versions", Args: between(3, -1),
		Long: `Set an alias, or move it to other versions. All calls go to one version, or each gets a share by its weight:

  faas alias set resize live 8
  faas alias set resize live 7=90 8=10

'` + admin.DefaultAlias + `' is the alias that the function's name alone stands for, and latest the version without a number. What is not
said stays as it is. If the alias is changed by another at the same time, nothing is done.`,
		ValidArgsFunction: a.completeAliasSet,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			m.function, m.alias = args[0], aliasName(args[1])
			m.sticky, m.about = cmd.Flags().Changed("sticky"), cmd.Flags().Changed("description")
			if m.change.Weights, err = parseWeights(args[2:]); err != nil {
				return err
			}
			return a.setAlias(cmd.Context(), m)
		},
	}
	cmd.Flags().BoolVar(&m.change.Sticky, "sticky", false, "calls with one key go to one version")
	cmd.Flags().StringVar(&m.change.Description, "description", "", "the `text` that is shown with it")
	cmd.Flags().Int64Var(&m.revision, "if-revision", -1, "only if the alias has this `revision`; 0: only if there is none")
	return cmd
}

// parseWeights parses versions with their weights. A single version may be given without a
// weight.
func parseWeights(args []string) (map[string]admin.Count, error) {
	out := map[string]admin.Count{}
	for _, arg := range args {
		version, weight, given := strings.Cut(arg, "=")
		n := uint64(1)
		if given || len(args) > 1 {
			var err error
			if n, err = strconv.ParseUint(strings.TrimSuffix(weight, "%"), 10, 64); err != nil {
				return nil, usagef("%q is not VERSION=WEIGHT, such as 8=10", arg)
			}
		}
		if strings.EqualFold(strings.TrimPrefix(version, "$"), "latest") {
			version = "0"
		}
		if _, err := strconv.ParseUint(version, 10, 31); err != nil {
			return nil, usagef("%q is not a version: give a number, or latest", version)
		}
		if _, twice := out[version]; twice {
			return nil, usagef("version %s is given twice", versionName(version))
		}
		out[version] = admin.Count(n)
	}
	return out, nil
}

// setAlias changes an alias, and keeps the fields that were not given. If the alias was changed
// since it was read, nothing is changed.
func (a *app) setAlias(ctx context.Context, m move) error {
	c, err := a.host()
	if err != nil {
		return err
	}
	before, err := aliasOf(ctx, c, m.function, m.alias)
	if err != nil {
		return err
	}
	if !m.sticky {
		m.change.Sticky = before.Sticky
	}
	if !m.about {
		m.change.Description = before.Description
	}
	revision := before.Revision
	if m.revision >= 0 {
		revision = admin.Count(m.revision)
	}
	m.change.IfRevision = &revision
	after, err := put[admin.Alias](ctx, c, path("functions", m.function, "aliases", m.alias), m.change)
	if err != nil {
		return hinted(err, "It has to be permitted to you: faas describe "+m.function+" shows your rights.")
	}
	return single(a, after, aliasColumns(a), func() error { return a.print(printable(moved(&before, &after))) })
}

// aliasOf returns an alias of the host. If there is none, its revision is 0.
func aliasOf(ctx context.Context, c *client, function, alias string) (admin.Alias, error) {
	all, err := get[admin.Aliases](ctx, c, path("functions", function, "aliases"), nil)
	if err != nil {
		return admin.Alias{}, meant(ctx, c, err, function)
	}
	for _, al := range all.Aliases {
		if aliasName(al.Name) == alias {
			return al, nil
		}
	}
	return admin.Alias{}, nil
}

// moved describes the change: the versions before and after it.
func moved(before, after *admin.Alias) string {
	name := after.Function + ":" + aliasName(after.Name)
	if before.Revision == 0 {
		return fmt.Sprintf("%s → %s (revision %s)", name, weights(after.Weights), count(after.Revision))
	}
	return fmt.Sprintf("%s: %s → %s (revision %s)", name, weights(before.Weights), weights(after.Weights), count(after.Revision))
}

func (a *app) aliasRmCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rm FUNCTION ALIAS", Short: "Remove an alias", Args: between(2, 2),
		ValidArgsFunction: a.completion(always(functionNames), aliasNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.host()
			if err != nil {
				return err
			}
			before, err := aliasOf(cmd.Context(), c, args[0], aliasName(args[1]))
			if err != nil {
				return err
			}
			if before.Revision == 0 {
				return &exitError{code: exitAbsent, text: args[0] + " has no alias " + aliasName(args[1]), hint: "faas alias ls " + args[0] + " shows those that it has."}
			}
			return a.removeAlias(cmd.Context(), c, &before)
		},
	}
}

func (a *app) removeAlias(ctx context.Context, c *client, al *admin.Alias) error {
	name := al.Function + ":" + aliasName(al.Name)
	if err := a.confirm(ctx, "Remove "+name+" ("+weights(al.Weights)+")"); err != nil {
		return err
	}
	query := url.Values{"ifRevision": {strconv.FormatUint(uint64(al.Revision), 10)}}
	done, err := send[admin.Done](ctx, c, http.MethodDelete, path("functions", al.Function, "aliases", aliasName(al.Name)), query, nil)
	if err != nil {
		return err
	}
	return single(a, done, doneColumns(), func() error { return a.print(printable(name) + " is removed.") })
}

func doneColumns() []column[admin.Done] {
	return []column[admin.Done]{{title: "DONE", field: "done", text: func(d admin.Done) string { return strconv.FormatBool(d.Done) }}}
}

// aliasNames completes the aliases of the function that was given before.
func aliasNames(before []string) completes {
	return func(ctx context.Context, c *client) ([]string, error) {
		all, err := get[admin.Aliases](ctx, c, path("functions", before[0], "aliases"), nil)
		var names []string
		for _, al := range all.Aliases {
			names = append(names, aliasName(al.Name)+"\t"+weights(al.Weights))
		}
		return names, err
	}
}

// versionNames completes the versions of the function that was given before.
func versionNames(before []string) completes {
	return func(ctx context.Context, c *client) ([]string, error) {
		all, err := get[admin.Versions](ctx, c, path("functions", before[0], "versions"), nil)
		var names []string
		for i := range all.Versions {
			names = append(names, strings.ToLower(strings.TrimPrefix(all.Versions[i].Version, "$")))
		}
		return names, err
	}
}

func (a *app) completeAliasSet(cmd *cobra.Command, before []string, begun string) ([]string, cobra.ShellCompDirective) {
	switch len(before) {
	case 0:
		return a.names(cmd, functionNames, begun)
	case 1:
		return a.names(cmd, aliasNames(before), begun)
	}
	return a.names(cmd, versionNames(before), begun)
}
