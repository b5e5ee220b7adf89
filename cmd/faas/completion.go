package main

import (
	"bytes"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) completionCommand(root *cobra.Command) *cobra.Command {
	return group("completion", "Print the script by which a shell completes commands and the live names of the host",
		a.scriptCommand("bash", func(w io.Writer) error { return bashScript(root, w) }),
		a.scriptCommand("zsh", func(w io.Writer) error { return zshScript(root, w) }),
		a.scriptCommand("fish", func(w io.Writer) error { return root.GenFishCompletion(w, true) }),
		a.scriptCommand("powershell", root.GenPowerShellCompletionWithDesc))
}

func (a *app) scriptCommand(shell string, write func(io.Writer) error) *cobra.Command {
	load := "source <(faas completion " + shell + ")"
	switch shell {
	case "fish":
		load = "faas completion fish | source"
	case "powershell":
		load = "faas completion powershell | Out-String | Invoke-Expression"
	}
	return &cobra.Command{
		Use: shell, Short: "Print the script for " + shell, Args: between(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Print the script for " + shell + ". To load it in each new shell, put this into what the shell reads when it starts:\n\n  " + load,
		RunE: func(*cobra.Command, []string) error { return write(a.out) },
	}
}

// bashWords computes the words of the command line for a bash without the package
// bash-completion. Bash also breaks words at = and :, which occur in names such as resize:live.
// Pieces without a space between them are joined again.
const bashWords = `__faas_words()
{
    local i line=$COMP_LINE
    words=()
    for i in "${!COMP_WORDS[@]}"; do
        if [[ $i -gt 0 && $line != [[:space:]]* && ( ${COMP_WORDS[i]} == [=:]* || ${COMP_WORDS[i-1]} == *[=:] ) ]]; then
            words[${#words[@]}-1]+=${COMP_WORDS[i]}
        else
            words+=("${COMP_WORDS[i]}")
        fi
        line=${line#"${line%%[![:space:]]*}"}
        line=${line#"${COMP_WORDS[i]}"}
        [[ $i -ne $COMP_CWORD ]] || cword=$((${#words[@]} - 1))
    done
    cur=${words[cword]}
    prev=${words[cword-1]}
}

`

// bashScript writes cobra's script. It replaces a function of the package bash-completion,
// which may not be installed, by __faas_words.
func bashScript(root *cobra.Command, w io.Writer) error {
	var script bytes.Buffer
	if err := root.GenBashCompletionV2(&script, true); err != nil {
		return err
	}
	own := strings.Replace(script.String(), `_get_comp_words_by_ref "$@" cur prev words cword`, "__faas_words", 1)
	_, err := io.WriteString(w, bashWords+own)
	return err
}

// zshScript writes cobra's script. That needs compinit, which the script then runs if it has
// not run yet.
func zshScript(root *cobra.Command, w io.Writer) error {
	var script bytes.Buffer
	if err := root.GenZshCompletion(&script); err != nil {
		return err
	}
	const start = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n"
	_, err := io.WriteString(w, strings.Replace(script.String(), "compdef _faas faas\n", start+"compdef _faas faas\n", 1))
	return err
}
