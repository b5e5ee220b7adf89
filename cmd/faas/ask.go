package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
)

// confirm asks on the terminal, and returns nil if the answer is yes. Without a terminal it
// returns an error that names the flag -y.
func (a *app) confirm(ctx context.Context, what string) error {
	if a.yes {
		return nil
	}
	if !a.asks {
		return &exitError{code: exitUsage, text: what + " needs a yes, and there is no terminal to ask on", hint: "Nothing was done. Give -y to do it."}
	}
	fmt.Fprint(a.errOut, printable(what)+"? [y/N] ")
	answers := make(chan string, 1)
	go func() { // a read from a terminal can't be canceled; it ends with the process
		answer, _ := bufio.NewReader(a.in).ReadString('\n') // an error leaves the answer empty
		answers <- strings.ToLower(strings.TrimSpace(answer))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case answer := <-answers:
		if answer == "y" || answer == "yes" {
			return nil
		}
		return failedf("nothing was done")
	}
}
